#pragma once

// Log-linear histograms of latencies: so many buckets an octave, and a percentile is too large by
// at most one part in so many. Those of several replicas or clients are merged; percentiles are
// never averaged.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace epaxos {

/// For so many buckets an octave, a power of two.
constexpr std::size_t histogram_buckets(std::size_t steps) {
  return steps * (65 - static_cast<std::size_t>(std::bit_width(steps - 1)));
}

/// Buckets that take memory where there are values: those of one second lie close to each other,
/// and an hour has thousands of seconds.
class PagedBuckets {
 public:
  [[nodiscard]] std::size_t size() const { return pages_.size() * kPage; }
  void resize(std::size_t size) { pages_.resize((size + kPage - 1) / kPage); }

  std::uint64_t& operator[](std::size_t index) {
    std::vector<std::uint64_t>& page = pages_[index / kPage];
    if (page.empty()) page.resize(kPage);
    return page[index % kPage];
  }
  std::uint64_t operator[](std::size_t index) const {
    const std::vector<std::uint64_t>& page = pages_[index / kPage];
    return page.empty() ? 0 : page[index % kPage];
  }

  friend bool operator==(const PagedBuckets&, const PagedBuckets&) = default;

 private:
  static constexpr std::size_t kPage = 128;

  std::vector<std::vector<std::uint64_t>> pages_;  // Empty: all of its buckets are.
};

/// `Buckets`: an array of all of them, or PagedBuckets, which grow with the largest value.
template <std::size_t kSteps, class Buckets>
class StepHistogram {
 public:
  void add(std::uint64_t value, std::uint64_t times = 1) {
    if (times == 0) return;
    const std::size_t place = bucket_of(value);
    grow_to(place + 1);
    buckets_[place] += times;
    count_ += times;
    sum_ += value * times;
    if (value > max_) max_ = value;
  }

  void merge(const StepHistogram& other) {
    grow_to(other.buckets_.size());
    for (std::size_t i = 0; i < other.buckets_.size(); ++i) {
      if (other.buckets_[i] > 0) buckets_[i] += other.buckets_[i];
    }
    count_ += other.count_;
    sum_ += other.sum_;
    if (other.max_ > max_) max_ = other.max_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  /// The smallest value that at least `share` (0 .. 1) of the values do not exceed; 0 when empty.
  [[nodiscard]] std::uint64_t percentile(double share) const {
    if (count_ == 0) return 0;
    // The nearest rank. 0.55 of 100 values is 55 of them, whatever 0.55 is in binary.
    const double values = share * static_cast<double>(count_) * (1 - 1e-12);
    const auto wanted = std::max(static_cast<std::uint64_t>(std::ceil(values)), std::uint64_t{1});
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted) return upper_bound_of(i) < max_ ? upper_bound_of(i) : max_;
    }
    return max_;
  }

  /// Whether both have seen the same, as far as buckets tell.
  friend bool operator==(const StepHistogram&, const StepHistogram&) = default;

  static constexpr std::size_t kBuckets = histogram_buckets(kSteps);

  /// Raw access for whoever sends a histogram to another process. Below kBuckets.
  [[nodiscard]] std::uint64_t bucket(std::size_t index) const {
    return index < buckets_.size() ? buckets_[index] : 0;
  }
  static std::uint64_t upper_bound_of(std::size_t index) {
    if (index < kSteps) return index;
    const std::size_t octave = index / kSteps - 1;
    return ((std::uint64_t{kSteps} + index % kSteps + 1) << octave) - 1;
  }

 private:
  static_assert(std::has_single_bit(kSteps));

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSteps) return value;
    const auto octave = static_cast<std::size_t>(std::bit_width(value) - std::bit_width(kSteps));
    return (octave + 1) * kSteps + ((value >> octave) - kSteps);
  }

  void grow_to(std::size_t size) {
    if constexpr (requires { buckets_.resize(size); }) {
      if (size > buckets_.size()) buckets_.resize(size);
    }
  }

  Buckets buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

/// Off by 3 % at most; a plain block of bytes.
using Histogram = StepHistogram<32, std::array<std::uint64_t, histogram_buckets(32)>>;
/// Off by 0.1 % at most, for comparisons with what is computed.
using FineHistogram = StepHistogram<1024, PagedBuckets>;

}  // namespace epaxos
