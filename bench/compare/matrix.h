#pragma once

// The matrix of the comparison: every protocol under every load, round by round, so that what
// changes in the machine over the time of the whole run reaches all of them alike.

#include <cstddef>
#include <string>
#include <vector>

#include "bench/compare/options.h"
#include "bench/throughput/options.h"
#include "bench/throughput/window.h"

namespace epaxos::bench {

/// Who decides, and how many commands contend.
struct Contender {
  std::string protocol;
  unsigned conflict_percent = 0;

  bool operator==(const Contender&) const = default;
};

/// In the order of the options. A protocol with a log is one contender, epaxos one a share of
/// conflicts; etcd comes last.
std::vector<Contender> contenders(const CompareOptions& options);

/// The contender that is another program, and always writes to its disk.
inline constexpr const char* kEtcd = "etcd";

/// Whether one replica decides for all.
bool has_leader(const std::string& protocol);

/// "epaxos 2 %", "raft".
std::string to_string(const Contender& contender);

struct Combination {
  Contender contender;
  Durability durability = Durability::kNone;
  std::size_t value_bytes = 0;
  std::size_t in_flight = 0;
  std::vector<Window> runs;  ///< One a round that was measured to its end.
};

struct Matrix {
  std::vector<Combination> combinations;  ///< As combinations() gives them.
  bool interrupted = false;
  std::string trouble;  ///< A sentence: why it ended before its time; empty: it did not.
};

/// Every contender under every load, nothing measured yet; those under one load stand together.
std::vector<Combination> combinations(const CompareOptions& options);

/// Of one run of it.
ThroughputOptions throughput_options(const CompareOptions& options, const Combination& of);

/// Measures each combination as `epaxos-bench throughput` does, with processes of its own.
Matrix measure_matrix(const CompareOptions& options);

}  // namespace epaxos::bench
