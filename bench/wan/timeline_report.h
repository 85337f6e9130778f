#pragma once

// What a run looked like over time: after each fault for people, second by second as CSV.

#include <string>
#include <vector>

#include "bench/wan/wan.h"

namespace epaxos::bench {

/// How long the clients of each site waited for a commit after the faults of one moment.
struct Gaps {
  std::string faults;  ///< As they were written, with "; " between them.
  std::vector<std::vector<Timeline::Gap>> by_site;  ///< Of each run that was repeated.
};
/// In the order of their times; empty when the run has no timeline.
std::vector<Gaps> gaps_of(const std::vector<Fault>& faults, const WanRun& run);

/// A line of cells a run and moment with faults: the run, the faults, and for each site how long
/// its clients waited for a commit, in ms; of repeats the median and in brackets the range; with a
/// + when one of them went on after the next fault.
std::vector<std::vector<std::string>> gaps(const WanPlan& plan, const WanResult& result);
/// What the figures are, for below the table: a sentence.
std::string gaps_note(const WanResult& result);

/// How long the clients of each site waited for a commit after each fault; empty without faults.
std::string gaps_text(const WanPlan& plan, const WanResult& result);

/// A line a run, site and second, and one for all sites together. Precondition: every run has a
/// timeline, or nobody reads this.
std::string to_series(const WanPlan& plan, const WanResult& result);

}  // namespace epaxos::bench
