#pragma once

// A log-linear histogram of latencies: 32 buckets an octave, so a percentile is off by at most 3 %.
// Histograms of several replicas or clients are merged; percentiles are never averaged.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace epaxos {

class Histogram {
 public:
  void add(std::uint64_t value, std::uint64_t times = 1) {
    buckets_[bucket_of(value)] += times;
    count_ += times;
    sum_ += value * times;
    if (value > max_) max_ = value;
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
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
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_ - 1)) + 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i];
      if (seen >= wanted) return upper_bound_of(i) < max_ ? upper_bound_of(i) : max_;
    }
    return max_;
  }

  static constexpr std::size_t kBuckets = 32 * 60;

  /// Raw access for whoever sends a histogram to another process.
  [[nodiscard]] std::uint64_t bucket(std::size_t index) const { return buckets_[index]; }
  static std::uint64_t upper_bound_of(std::size_t index) {
    if (index < 32) return index;
    const std::size_t octave = index / 32 - 1;
    return ((std::uint64_t{32} + index % 32 + 1) << octave) - 1;
  }

 private:
  static std::size_t bucket_of(std::uint64_t value) {
    if (value < 32) return value;
    const auto octave = static_cast<std::size_t>(std::bit_width(value)) - 6;
    return (octave + 1) * 32 + ((value >> octave) - 32);
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace epaxos
