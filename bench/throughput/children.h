#pragma once

// The processes of one measurement: forked, ordered about, and never left behind. They ignore
// Ctrl-C (their parent decides), die with their parent, and are killed by the destructor if they
// still live.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "bench/throughput/control.h"

namespace epaxos::bench {

/// A child that says nothing for so long never will.
inline constexpr std::chrono::seconds kReplyTime(60);

class Children {
 public:
  /// Forks one process a replica, on ports of this machine that are free, opens the subject in
  /// each and waits until they are ready.
  /// Precondition: the calling process has a single thread. `directory` may be empty when the
  /// subject needs none.
  /// Errors: those of the subject; unavailable - no process can be made.
  static Result<std::unique_ptr<Children>> start(const MakeSubject& make,
                                                 const GroupOptions& options,
                                                 const std::string& directory);
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  /// Gives the order to all, then collects the replies of all. Errors: the first one of a child;
  /// unavailable - a child has ended or does not answer.
  Result<std::vector<Measurement>> order(Order order) {
    return order_first(children_.size(), order);
  }
  /// The same for the first `count` alone.
  Result<std::vector<Measurement>> order_first(std::size_t count, Order order);

  /// kill -9. Nothing but restart() may follow for this one.
  void kill(std::size_t index);
  /// Forks a process for a killed one, with the same address and directory. Errors: unavailable.
  Result<void> restart(std::size_t index);
  /// Gives the order to one, and leaves the reply to answer().
  void give(std::size_t index, Order order);
  /// The reply to give(), or none when that takes longer than `wait`. Errors: as for order().
  Result<std::optional<Measurement>> answer(std::size_t index, std::chrono::milliseconds wait);

 private:
  struct Child {
    pid_t pid = -1;
    int socket = -1;
  };

  Children(const MakeSubject& make, const GroupOptions& options, const ClusterConfig& cluster,
           const std::string& directory);
  Result<void> start_all();
  Result<Measurement> reply_of(std::size_t index);
  std::string how_it_ended(std::size_t index);

  const MakeSubject make_;
  const GroupOptions options_;
  const ClusterConfig cluster_;
  const std::string directory_;
  std::vector<Child> children_;
};

}  // namespace epaxos::bench
