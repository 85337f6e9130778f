#pragma once

// The figures of the comparison: what each of them is of a window, and what repetitions of it have
// in common.

#include <cstddef>
#include <span>
#include <vector>

#include "bench/throughput/window.h"

namespace epaxos::bench {

struct Figure {
  const char* name;  ///< As CSV and JSON call it; the unit last.
  double (*of)(const Window& window);
  bool inside = false;  ///< Nobody but our own replicas can tell it.
};

/// All of them, in the order of the columns.
std::span<const Figure> figures();

/// The places of those that the table shows.
enum FigurePlace : std::size_t {
  kCommandsPerSecond,
  kP50,
  kP99,
  kCpu,
  kFrames,
  kBundles,
  kBytes,
  kBatches,
  kBatchesPerSecond,
};

struct Spread {
  double median = 0;  ///< Of an even number: between the two in the middle.
  double least = 0;
  double most = 0;
};

/// All zero of nothing.
Spread spread_of(std::vector<double> values);

/// Of one figure over the repetitions.
Spread spread_of(std::span<const Window> runs, const Figure& figure);

}  // namespace epaxos::bench
