#include "bench/wan/timeline.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace epaxos::bench {
namespace {

constexpr Tick kMillisecond = 1'000;

/// As StepHistogram::percentile(). Sorts.
Tick percentile(std::vector<std::uint32_t>& values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double rank = std::ceil(share * static_cast<double>(values.size()) * (1 - 1e-12));
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

Second second_of(std::vector<std::uint32_t> latency_us, std::uint64_t failed) {
  Second second{.executed = latency_us.size(), .failed = failed};
  second.p50_us = percentile(latency_us, 0.5);
  second.p99_us = percentile(latency_us, 0.99);
  return second;
}

std::size_t pieces(Tick time_us, Tick length_us) {
  return static_cast<std::size_t>((time_us + length_us - 1) / length_us);
}

}  // namespace

TimelineRecorder::TimelineRecorder(std::size_t sites, Tick measured_us)
    : measured_us_(measured_us),
      cells_(sites, std::vector<Cell>(pieces(measured_us, kSecond))),
      has_commits_(sites, std::vector<bool>(pieces(measured_us, kMillisecond))) {
}

void TimelineRecorder::add_executed(std::size_t site, std::int64_t committed_us,
                                    std::int64_t ended_us, Tick latency_us) {
  const auto end = static_cast<std::int64_t>(measured_us_);
  if (committed_us >= 0 && committed_us < end) {
    has_commits_[site][static_cast<Tick>(committed_us) / kMillisecond] = true;
  }
  if (ended_us < 0 || ended_us >= end) return;
  constexpr Tick kMost = std::numeric_limits<std::uint32_t>::max();
  cells_[site][static_cast<Tick>(ended_us) / kSecond].latency_us.push_back(
      static_cast<std::uint32_t>(std::min(latency_us, kMost)));
}

void TimelineRecorder::add_failed(std::size_t site, std::int64_t ended_us) {
  if (ended_us < 0 || ended_us >= static_cast<std::int64_t>(measured_us_)) return;
  ++cells_[site][static_cast<Tick>(ended_us) / kSecond].failed;
}

Timeline TimelineRecorder::timeline(const std::vector<Tick>& fault_us, Tick end_us) const {
  end_us = std::min(end_us, measured_us_);
  Timeline out;
  out.by_site.resize(cells_.size());
  for (std::size_t second = 0; second < pieces(end_us, kSecond); ++second) {
    Cell all;
    for (std::size_t site = 0; site < cells_.size(); ++site) {
      const Cell& cell = cells_[site][second];
      out.by_site[site].push_back(second_of(cell.latency_us, cell.failed));
      all.latency_us.insert(all.latency_us.end(), cell.latency_us.begin(), cell.latency_us.end());
      all.failed += cell.failed;
    }
    out.all.push_back(second_of(std::move(all.latency_us), all.failed));
  }
  for (const Tick from : fault_us) {
    const auto next = std::ranges::upper_bound(fault_us, from);
    const Tick to = next == fault_us.end() ? end_us : std::min(*next, end_us);
    std::vector<Timeline::Gap>& gaps = out.gaps.emplace_back();
    for (std::size_t site = 0; site < cells_.size(); ++site) {
      gaps.push_back(longest_gap(site, std::min(from, to), to));
      if (to == end_us) gaps.back().goes_on = false;  // Nobody looked on.
    }
  }
  return out;
}

Timeline::Gap TimelineRecorder::longest_gap(std::size_t site, Tick from_us, Tick to_us) const {
  Tick longest = 0;
  Tick last = from_us;
  for (Tick at = from_us / kMillisecond; at < to_us / kMillisecond; ++at) {
    if (!has_commits_[site][at]) continue;
    const Tick now = std::max(at * kMillisecond, from_us);
    longest = std::max(longest, now - last);
    last = now;
  }
  const Tick rest = to_us - last;
  return rest > longest ? Timeline::Gap{rest, true} : Timeline::Gap{longest, false};
}

}  // namespace epaxos::bench
