#pragma once

// Latencies on their way between processes: histograms as JSON, so that they are merged and never
// averaged.

#include <nlohmann/json.hpp>

#include "deps/types/histogram.h"
#include "deps/types/ids.h"

namespace epaxos::bench {

using Json = nlohmann::ordered_json;

/// How long commands took that were executed.
struct Latency {
  FineHistogram commit_us;  ///< Until their replica knew that the command is committed, and back.
  FineHistogram execution_us;  ///< Until the reply.

  void add(Tick commit, Tick execution) {
    commit_us.add(commit);
    execution_us.add(execution);
  }
  void merge(const Latency& other) {
    commit_us.merge(other.commit_us);
    execution_us.merge(other.execution_us);
  }
  friend bool operator==(const Latency&, const Latency&) = default;
};

/// [[upper bound, count], ...] of the buckets that are not empty.
Json to_json(const Histogram& histogram);
Json to_json(const FineHistogram& histogram);

/// Adds what to_json() wrote. False: it is something else.
bool add_json(const Json& json, Histogram& out);
bool add_json(const Json& json, FineHistogram& out);

/// "1.25": a percentile in milliseconds, with as many decimals as say something; "-" when empty.
std::string milliseconds(const Histogram& histogram, double share);
std::string milliseconds(double microseconds);

}  // namespace epaxos::bench
