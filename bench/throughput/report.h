#pragma once

// What was measured, for people and for programs.

#include <string>

#include "bench/throughput/run.h"

namespace epaxos::bench {

std::string to_text(const ThroughputOptions& options, const ThroughputResult& result);
std::string to_json(const ThroughputOptions& options, const ThroughputResult& result);

/// Why the run counts as failed; empty when it does not.
std::string failure_of(const ThroughputResult& result);

}  // namespace epaxos::bench
