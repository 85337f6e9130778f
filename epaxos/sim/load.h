#pragma once

// Clients of a virtual cluster. A load proposes commands, each with the next one when the last has
// its outcome, and ends when all of them have one. Which commands is the load's business: an
// embedder brings one for a machine of its own. Source: reliability.md 3.6.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "epaxos/sim/cluster.h"
#include "epaxos/sim/session_clients.h"

namespace epaxos::sim {

/// How the outcomes of a load were.
struct Outcomes {
  int executed = 0;
  int rejected = 0;
  int unknown = 0;
  [[nodiscard]] int total() const { return executed + rejected + unknown; }
};

void note(Outcomes& outcomes, OutcomeKind kind);

struct LoadOptions {
  int commands = 100;  ///< In all.
  int clients = 4;     ///< Spread over the replicas.
  std::uint32_t conflict_ppm = 20'000;
  Tick think_us = 0;          ///< At most, between outcome and next command.
  Tick begins_within_us = 0;  ///< Each client begins at some moment of it.
  std::uint64_t seed = 1;
  /// Besides the hot one; 0: every command has a key of its own.
  std::uint64_t keys = 100'000;
  bool rich = false;    ///< All operations, of several keys too.
  bool moves = false;   ///< A client whose replica is down goes to the next one.
  Tick timeout_us = 0;  ///< A client gives up after it; 0: it waits for ever.
  SessionOptions sessions = {};
};

class Load {
 public:
  Load(Cluster& cluster, const LoadOptions& options);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  virtual ~Load() = default;

  void start();
  [[nodiscard]] bool done() const {
    return outcomes_.total() == options_.commands && (!sessions_ || sessions_->idle());
  }
  /// At most so long clients still rest, who then are not waiting for anybody.
  [[nodiscard]] Tick rests_left_us() const { return sessions_ ? sessions_->rests_left_us() : 0; }
  /// What clients were told and is not so, a sentence each.
  [[nodiscard]] std::vector<std::string> violations() const;
  [[nodiscard]] const Outcomes& outcomes() const { return outcomes_; }
  /// Whether the clients got all that they can get where nothing goes wrong.
  [[nodiscard]] virtual bool all_served() const { return outcomes_.executed == options_.commands; }

 protected:
  /// The next command, of `random` alone. `number` counts from 1.
  [[nodiscard]] virtual std::vector<std::byte> command(Random& random, int number) = 0;
  [[nodiscard]] const LoadOptions& options() const { return options_; }

 private:
  void next(int client);
  void propose(int client, ReplicaId replica, Bytes payload);
  void ended(int client, OutcomeKind kind);

  Cluster& cluster_;
  const LoadOptions options_;
  Random random_;
  std::vector<int> homes_;                    // By client: its replica.
  std::unique_ptr<SessionClients> sessions_;  // None: commands come without one.
  int proposed_ = 0;
  Outcomes outcomes_;
};

using LoadFactory = std::function<std::unique_ptr<Load>(Cluster&, const LoadOptions&)>;

}  // namespace epaxos::sim
