#pragma once

// What an image of the state covers, in a protocol with a log: everything up to a position. Which
// blocks count as executed there is part of it, as nobody could tell from the rest of the log, and
// so is the membership.

#include <vector>

#include "compare/log/members.h"
#include "compare/log/origin_table.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::compare {

/// How many replicas the group has; all stand in its cluster file.
struct Configuration {
  Epoch epoch;
  int replica_count = 0;

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

struct LogCoverage {
  Slot slot;                ///< 0: nothing.
  std::uint64_t round = 0;  ///< Of the entry at `slot`: its term, or the ballot of its decision.
  Configuration configuration;
  OriginTable executed;
  Members members{};  ///< Who of them belongs to it there; nobody where that cannot change.

  friend bool operator==(const LogCoverage&, const LogCoverage&) = default;
};

/// Appends the coverage as bytes.
void encode(const LogCoverage& coverage, std::vector<std::byte>& out);
/// Of any alignment. Errors: malformed.
Result<LogCoverage> decode_log_coverage(Bytes bytes);

}  // namespace epaxos::compare
