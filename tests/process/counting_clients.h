#pragma once

// Clients that write a few keys without a pause while a test does its worst to the replicas, a
// record of everything that they were told, and the question whether the end explains it: no
// acknowledged command is lost, none has two effects, and every key is linearizable.
//
// What a client was not told may have happened. It can be seen afterwards: all writes of a counter
// reply with a sum of their own, and all writes of a chain are compare-and-sets of values that
// nobody writes twice, each of which names the value before it.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "epaxos/sim/checkers/linearizability.h"
#include "net/client.h"
#include "tests/process/cluster_processes.h"

namespace epaxos::testing {

/// One command that was sent, and how it ended.
struct Sent {
  std::string key;
  kv::Operation kind = kv::Operation::kGet;
  std::string expected;  ///< Of compare-and-set; empty: the key holds nothing.
  std::string desired;
  sim::Operation operation;
  OutcomeKind outcome = OutcomeKind::kUnknown;
};

/// Says in a sentence what no execution explains; empty: nothing. `last` is what a key holds in the
/// end, empty when it holds nothing.
std::string counter_contradiction(const std::vector<Sent>& history, const std::string& last);
std::string chain_contradiction(const std::vector<Sent>& history, const std::string& last);

class CountingClients {
 public:
  struct Options {
    std::vector<int> at;      ///< One client each, which prefers this replica.
    int shared_percent = 70;  ///< Of the commands on keys that all clients write.
    bool pinned = false;      ///< Only to that replica.
    std::function<void(int client)> enter = [](int) {};  ///< First on the thread of a client.
  };

  CountingClients(const ClusterProcesses& cluster, Options options);
  /// Stops them.
  ~CountingClients();
  CountingClients(const CountingClients&) = delete;
  CountingClients& operator=(const CountingClients&) = delete;

  /// Waits until each of these clients (all without a list) has had so many more commands executed;
  /// false after a long time.
  bool wait_for_progress(std::uint64_t more, std::vector<std::size_t> clients = {});
  [[nodiscard]] std::uint64_t executed() const;

  /// Returns when every command has its outcome.
  void stop();
  /// Reads all keys through `reader` and says what is wrong; empty: nothing.
  /// Precondition: they have stopped.
  std::string contradictions(net::Client& reader) const;
  /// How the commands ended, for people.
  [[nodiscard]] std::string summary() const;

 private:
  class Worker;

  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> clock_ = 0;  // Orders calls and returns of all clients.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace epaxos::testing
