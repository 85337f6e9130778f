#pragma once

// Three members of etcd as processes on loopback, in a directory of the run; and what can be seen
// of them from outside.

#include <cstdint>
#include <string>
#include <vector>

#include "deps/types/result.h"
#include "epaxos/programs/child_process.h"

namespace epaxos::bench {

/// Where it is installed. Errors: unavailable - nowhere; the sentence says how to install it.
Result<std::string> etcd_program();

/// Sums of all members.
struct EtcdTotals {
  std::uint64_t cpu_us = 0;  ///< Of /proc/PID/stat, in steps of the kernel's clock, 10 ms.
  std::uint64_t bytes = 0;   ///< To other members.
  std::uint64_t fsyncs = 0;  ///< Of the logs.
};

class EtcdMembers {
 public:
  /// Starts them; they are not yet reached. Errors: io, unavailable.
  static Result<EtcdMembers> start(const std::string& program, int count,
                                   const std::string& directory);

  [[nodiscard]] const std::vector<int>& client_ports() const { return ports_; }
  /// Errors: unavailable - one has ended, or does not tell.
  Result<EtcdTotals> totals();
  /// Errors: unavailable - one has ended.
  Result<void> all_run();

 private:
  std::vector<int> ports_;
  std::vector<ChildProcess> processes_;
};

}  // namespace epaxos::bench
