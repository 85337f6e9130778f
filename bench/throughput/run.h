#pragma once

// One measurement from the first process to the last: warm up, measure, come to rest, compare.

#include <cstdint>
#include <optional>
#include <string>

#include "bench/throughput/options.h"
#include "deps/types/histogram.h"
#include "deps/types/result.h"

namespace epaxos::bench {

/// A window of one subject, all replicas together.
struct Window {
  double seconds = 0;
  std::uint64_t commands = 0;  ///< Each counted once, at the replica that proposed it.
  std::uint64_t failed = 0;    ///< Rejected, or of unknown outcome.
  std::uint64_t cpu_us = 0;
  std::uint64_t fast_path = 0;  ///< Instances.
  std::uint64_t slow_path = 0;
  std::uint64_t bundles = 0;  ///< Sent.
  std::uint64_t bytes = 0;
  std::uint64_t peak_bytes = 0;
  std::int64_t grown_bytes = 0;  ///< Resident memory, during the window.
  Histogram latency_us;

  [[nodiscard]] double commands_per_second() const;
  [[nodiscard]] double cpu_us_per_command() const;
  [[nodiscard]] double memory_bytes_per_command() const;
};

struct ThroughputResult {
  bool interrupted = false;
  Window node;
  bool at_rest = false;  ///< All replicas have executed the same number of commands.
  bool digests_equal = false;
  std::vector<std::uint64_t> digests;  ///< One a replica.
  std::optional<Window> floor;
  std::string kept_directory;  ///< Left for a look when the digests differ.
};

/// Errors: a sentence about what could not be measured.
Result<ThroughputResult> measure_throughput(const ThroughputOptions& options);

}  // namespace epaxos::bench
