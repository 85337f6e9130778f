#pragma once

// What a run looked like over time: after each fault for people, second by second as CSV.

#include <string>
#include <vector>

#include "bench/wan/wan.h"

namespace epaxos::bench {

/// A line of cells a run and fault: the run, the fault, and for each site how long its clients
/// waited for a commit until the next fault or the end, in ms.
std::vector<std::vector<std::string>> gaps(const WanPlan& plan, const WanResult& result);

/// How long the clients of each site waited for a commit after each fault; empty without faults.
std::string gaps_text(const WanPlan& plan, const WanResult& result);

/// A line a run, site and second, and one for all sites together. Precondition: every run has a
/// timeline, or nobody reads this.
std::string to_series(const WanPlan& plan, const WanResult& result);

}  // namespace epaxos::bench
