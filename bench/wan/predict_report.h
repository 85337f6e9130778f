#pragma once

// A prediction for people, as CSV and as JSON.

#include <string>

#include "bench/wan/predict.h"

namespace epaxos::bench {

std::string to_text(const PredictOptions& options, const Prediction& prediction);
/// A line a bound: situation, protocol, leader, site.
std::string to_csv(const Prediction& prediction);
std::string to_json(const PredictOptions& options, const Prediction& prediction);

/// Milliseconds with one decimal, or "-" for what is impossible.
std::string bound_text(Tick us);

}  // namespace epaxos::bench
