#pragma once

// The end of a run: the load stops, everything is executed everywhere, and the states are compared.

#include <cstdint>
#include <string>
#include <vector>

#include "bench/report/progress.h"
#include "bench/throughput/children.h"

namespace epaxos::bench {

struct Rest {
  bool at_rest = false;  ///< All replicas have executed the same.
  bool digests_equal = false;
  std::vector<std::uint64_t> digests;  ///< One a replica.
};

/// Stops the load of all and waits until every replica has executed what any of them has, for a
/// minute at most. Errors: those of Children::order().
Result<Rest> come_to_rest(Children& children, Progress& progress);

/// Why the run counts as failed; empty when it does not. `kept_directory`: where the data was left
/// because of that; may be empty.
std::string failure_of(const Rest& rest, const std::string& kept_directory);

/// A digest as reports print it.
std::string hexadecimal(std::uint64_t digest);

}  // namespace epaxos::bench
