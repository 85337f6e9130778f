#pragma once

// What one process says about a window of time. A plain value that crosses a socket as its bytes:
// both ends are the same program.

#include <array>
#include <cstdint>
#include <type_traits>

#include "deps/types/histogram.h"
#include "deps/types/ids.h"

namespace epaxos::bench {

/// Sums since the process began; two of them make a window.
struct Totals {
  std::uint64_t wall_us = 0;  ///< The monotonic clock.
  std::uint64_t cpu_us = 0;   ///< User and system time of all threads.
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;  ///< Rejected, or of unknown outcome.
  std::uint64_t fast_path = 0;
  std::uint64_t slow_path = 0;
  std::uint64_t frames_out = 0;  ///< Messages of the protocol, one a receiver.
  std::uint64_t bundles_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t transactions = 0;    ///< Of the store: batches that were made durable at once.
  std::uint64_t resident_bytes = 0;  ///< Without pages of files, such as a store's.
};

struct Measurement {
  Totals totals;
  std::uint64_t peak_bytes = 0;
  std::uint64_t in_flight = 0;
  /// A row: every slot up to this one is applied, by itself or with an image.
  std::array<std::uint64_t, kReplicasMax> executed_up_to{};
  std::uint64_t digest = 0;  ///< Of the state machine.
  bool voting = false;
  bool leads = false;                    ///< Of protocols with a leader.
  std::uint64_t instances_executed = 0;  ///< By themselves.
  std::uint64_t images_installed = 0;    ///< Those of peers.
  std::uint64_t bytes_in = 0;            ///< From peers.
  std::uint64_t store_bytes = 0;         ///< Of the data directory, on disk.
  std::uint64_t record_bytes = 0;        ///< Of the records in the store; the rest of it is free.
  std::uint64_t longest_gap_us = 0;      ///< Without a completed command, since Order::kBegin.
  Histogram latency_us;                  ///< Since the last Order::kBegin.
};
static_assert(std::is_trivially_copyable_v<Measurement>);

}  // namespace epaxos::bench
