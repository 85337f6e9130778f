#pragma once

// What some replicas did between two measurements, all of them together.

#include <cstdint>
#include <span>

#include "bench/throughput/measurement.h"
#include "deps/types/histogram.h"

namespace epaxos::bench {

struct Window {
  double seconds = 0;
  std::uint64_t commands = 0;  ///< Each counted once, at the replica that proposed it.
  std::uint64_t failed = 0;    ///< Rejected, or of unknown outcome.
  std::uint64_t cpu_us = 0;
  std::uint64_t fast_path = 0;  ///< Instances.
  std::uint64_t slow_path = 0;
  // Sent to other replicas:
  std::uint64_t frames = 0;        ///< Messages of the protocol, one a receiver.
  std::uint64_t bundles = 0;       ///< What carries them on the wire, and ...
  std::uint64_t bytes = 0;         ///< ... the bytes of these.
  std::uint64_t transactions = 0;  ///< Of all stores: batches that were made durable at once.
  std::uint64_t peak_bytes = 0;
  std::int64_t grown_bytes = 0;      ///< Resident memory, during the window.
  std::uint64_t longest_gap_us = 0;  ///< Without a completed command, at one replica.
  Histogram latency_us;

  [[nodiscard]] double commands_per_second() const;
  [[nodiscard]] double cpu_us_per_command() const;
  [[nodiscard]] double memory_bytes_per_command() const;
};

/// Precondition: one measurement a replica in both, and `begin` is that of Order::kBegin.
Window window_between(std::span<const Measurement> begin, std::span<const Measurement> end);

/// `sum` over `count`; 0 of nothing.
double per(double sum, double count);

}  // namespace epaxos::bench
