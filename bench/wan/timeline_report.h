#pragma once

// What a run looked like over time: after each fault for people, second by second as CSV.

#include <string>

#include "bench/wan/wan.h"

namespace epaxos::bench {

/// How long the clients of each site waited for a commit after each fault; empty without faults.
std::string gaps_text(const WanPlan& plan, const WanResult& result);

/// A line a run, site and second, and one for all sites together. Precondition: every run has a
/// timeline, or nobody reads this.
std::string to_series(const WanPlan& plan, const WanResult& result);

}  // namespace epaxos::bench
