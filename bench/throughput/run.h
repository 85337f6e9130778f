#pragma once

// One measurement from the first process to the last: warm up, measure, come to rest, compare.

#include <optional>
#include <string>

#include "bench/throughput/options.h"
#include "bench/throughput/rest.h"
#include "bench/throughput/watch_signals.h"
#include "bench/throughput/window.h"
#include "deps/types/result.h"

namespace epaxos::bench {

struct ThroughputResult {
  bool interrupted = false;
  Window node;  ///< All replicas together, like the floor.
  Rest rest;
  std::optional<Window> floor;
  std::string kept_directory;  ///< Left for a look when the digests differ.
};

/// How long measuring takes, without starting and coming to rest.
double seconds_of(const ThroughputOptions& options);

/// `label` begins the name of each stage. Errors: a sentence about what could not be measured.
Result<ThroughputResult> measure_throughput(const ThroughputOptions& options,
                                            const WatchSignals& signals, Progress& progress,
                                            const std::string& label = {});

/// The same, alone.
Result<ThroughputResult> measure_throughput(const ThroughputOptions& options);

}  // namespace epaxos::bench
