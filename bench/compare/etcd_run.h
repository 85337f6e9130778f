#pragma once

// One run of the comparison with etcd in the place of our replicas: the same closed loop of puts,
// from outside, at all members.

#include <optional>
#include <string>

#include "bench/report/progress.h"
#include "bench/throughput/options.h"
#include "bench/throughput/watch_signals.h"
#include "bench/throughput/window.h"
#include "deps/types/result.h"

namespace epaxos::bench {

/// Frames and bundles are left 0; bytes are those that members send each other, transactions the
/// syncs of their logs. Empty: it was interrupted. Errors: a sentence.
Result<std::optional<Window>> measure_etcd(const ThroughputOptions& options,
                                           const WatchSignals& signals, Progress& progress,
                                           const std::string& label);

}  // namespace epaxos::bench
