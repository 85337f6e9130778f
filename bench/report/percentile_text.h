#pragma once

// A histogram as the text that HdrHistogram's tools read and plot: a line a percentile, closer and
// closer together towards 100 %.

#include <string>

#include "deps/types/histogram.h"

namespace epaxos::bench {

/// Of microseconds; the text has milliseconds.
std::string percentile_text(const FineHistogram& microseconds);

}  // namespace epaxos::bench
