#pragma once

// Latencies on their way between processes: histograms as JSON, so that they are merged and never
// averaged.

#include <nlohmann/json.hpp>

#include "deps/types/histogram.h"

namespace epaxos::bench {

using Json = nlohmann::ordered_json;

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
