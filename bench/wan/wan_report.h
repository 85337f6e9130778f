#pragma once

// What was measured beside what is possible: for people, as CSV and as JSON.

#include <string>

#include "bench/wan/wan.h"

namespace epaxos::bench {

/// Conditions, and a table: every site of every run, and all sites together.
std::string to_text(const WanOptions& options, const WanResult& result);
/// A line a run and site.
std::string to_csv(const WanOptions& options, const WanResult& result);
/// With the histograms, so that they can be merged.
std::string to_json(const WanOptions& options, const WanResult& result);

}  // namespace epaxos::bench
