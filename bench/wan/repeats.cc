#include "bench/wan/repeats.h"

#include <algorithm>

#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

std::optional<double> middle_share(const std::vector<MeasuredRun>& runs, std::size_t site) {
  std::vector<double> shares;
  for (const MeasuredRun& run : runs) {
    if (run.sites[site].slow_share) shares.push_back(*run.sites[site].slow_share);
  }
  if (shares.empty()) return std::nullopt;
  return median_of(std::move(shares));
}

}  // namespace

MeasuredRun merged(const std::vector<MeasuredRun>& runs) {
  check(!runs.empty(), "there is something to merge");
  MeasuredRun all = runs.front();
  for (std::size_t i = 1; i < runs.size(); ++i) {
    for (std::size_t site = 0; site < all.sites.size(); ++site) {
      all.sites[site].merge(runs[i].sites[site]);
    }
    all.events += runs[i].events;
    all.digest.reset();  // Each has its own.
    if (runs[i].linearizable) {
      all.linearizable = all.linearizable.value_or(0) + *runs[i].linearizable;
    }
    all.interrupted = all.interrupted || runs[i].interrupted;
  }
  for (std::size_t site = 0; site < all.sites.size(); ++site) {
    all.sites[site].slow_share = middle_share(runs, site);
  }
  return all;
}

double Spread::median_us() const {
  return median_of(values_us);
}

double Spread::least_us() const {
  return *std::ranges::min_element(values_us);
}

double Spread::most_us() const {
  return *std::ranges::max_element(values_us);
}

Spread spread_of(const std::vector<MeasuredRun>& runs, std::size_t site, Histograms histograms,
                 double share, Kind kind) {
  Spread spread;
  for (const MeasuredRun& run : runs) {
    const FineHistogram& seen = latency_of(run.sites[site], kind).*histograms;
    if (seen.count() == 0) continue;
    spread.values_us.push_back(static_cast<double>(seen.percentile(share)));
  }
  return spread;
}

double median_of(std::vector<double> values) {
  check(!values.empty(), "there is a median");
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace epaxos::bench
