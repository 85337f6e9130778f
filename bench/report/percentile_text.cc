#include "bench/report/percentile_text.h"

#include <cmath>
#include <cstdio>

namespace epaxos::bench {
namespace {

/// So many lines each time that the rest is halved.
constexpr int kStepsPerHalf = 5;

/// Where the values up to a bucket are, as far as they were counted.
struct CountedUpTo {
  double value_us = 0;
  std::uint64_t count = 0;
};

/// Walks over the buckets once, as the shares grow.
class Walk {
 public:
  explicit Walk(const FineHistogram& histogram) : histogram_(histogram) {}

  CountedUpTo up_to(double share) {
    const double wanted = share * static_cast<double>(histogram_.count());
    while (seen_.count == 0 || static_cast<double>(seen_.count) < wanted) {
      seen_.count += histogram_.bucket(bucket_);
      const std::uint64_t upper = FineHistogram::upper_bound_of(bucket_++);
      seen_.value_us = static_cast<double>(upper < histogram_.max() ? upper : histogram_.max());
    }
    return seen_;
  }

 private:
  const FineHistogram& histogram_;
  CountedUpTo seen_;
  std::size_t bucket_ = 0;
};

/// As far as the buckets tell.
double deviation_us(const FineHistogram& histogram) {
  double squares = 0;
  for (std::size_t i = 0; i < FineHistogram::kBuckets; ++i) {
    const std::uint64_t count = histogram.bucket(i);
    if (count == 0) continue;
    const double off = static_cast<double>(FineHistogram::upper_bound_of(i)) - histogram.mean();
    squares += off * off * static_cast<double>(count);
  }
  return std::sqrt(squares / static_cast<double>(histogram.count()));
}

}  // namespace

std::string percentile_text(const FineHistogram& seen) {
  std::string out = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
  char line[160];
  if (seen.count() > 0) {
    Walk walk(seen);
    double share = 0;
    double rest = 1;
    for (int step = 0;; ++step) {
      if (step > 0 && step % kStepsPerHalf == 0) rest /= 2;
      share = 1 - rest + rest / 2 * (step % kStepsPerHalf) / kStepsPerHalf;
      const CountedUpTo at = walk.up_to(share);
      if (at.count == seen.count()) break;
      std::snprintf(line, sizeof line, "%12.3f %2.12f %10llu %14.2f\n", at.value_us / 1000, share,
                    static_cast<unsigned long long>(at.count), 1 / (1 - share));
      out += line;
    }
    std::snprintf(line, sizeof line, "%12.3f %2.12f %10llu\n",
                  static_cast<double>(seen.max()) / 1000, 1.0,
                  static_cast<unsigned long long>(seen.count()));
    out += line;
  }
  std::snprintf(line, sizeof line, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
                seen.mean() / 1000, seen.count() == 0 ? 0 : deviation_us(seen) / 1000);
  out += line;
  std::snprintf(line, sizeof line, "#[Max     = %12.3f, Total count    = %12llu]\n",
                static_cast<double>(seen.max()) / 1000,
                static_cast<unsigned long long>(seen.count()));
  out += line;
  std::snprintf(line, sizeof line, "#[Buckets = %12zu, SubBuckets     = %12d]\n",
                FineHistogram::kBuckets / 1024, 1024);
  return out + line;
}

}  // namespace epaxos::bench
