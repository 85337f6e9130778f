#pragma once

// The processes of one measurement: forked, ordered about, and never left behind. They ignore
// Ctrl-C (their parent decides), die with their parent, and are killed by the destructor if they
// still live.

#include <sys/types.h>
#include <vector>

#include "bench/throughput/control.h"

namespace epaxos::bench {

class Children {
 public:
  /// Forks one process a replica, opens the subject in each and waits until they are connected.
  /// Precondition: the calling process has a single thread.
  /// Errors: those of the subject; unavailable - no process can be made.
  static Result<std::unique_ptr<Children>> start(const MakeSubject& make,
                                                 const ThroughputOptions& options,
                                                 const ClusterConfig& cluster,
                                                 const std::string& directory);
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  /// Gives the order to all, then collects the replies of all. Errors: the first one of a child;
  /// unavailable - a child has ended or does not answer.
  Result<std::vector<Measurement>> order(Order order);

 private:
  struct Child {
    pid_t pid = -1;
    int socket = -1;
  };

  Children() = default;
  Result<void> fork_one(const MakeSubject& make, const ThroughputOptions& options,
                        const Place& place);
  Result<Measurement> reply_of(std::size_t index);
  std::string how_it_ended(std::size_t index);

  std::vector<Child> children_;
};

}  // namespace epaxos::bench
