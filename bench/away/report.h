#pragma once

// What was measured, for people and for programs.

#include <string>

#include "bench/away/run.h"

namespace epaxos::bench {

std::string to_text(const AwayOptions& options, const AwayResult& result);
std::string to_json(const AwayOptions& options, const AwayResult& result);
/// A line a phase; what is known of the returned replica stands in that of "coming back".
std::string to_csv(const AwayResult& result);

/// Why the run counts as failed; empty when it does not.
std::string failure_of(const AwayResult& result);

}  // namespace epaxos::bench
