#pragma once

// Watches what replicas execute: conflicting commands in the same order everywhere, no command
// twice in one line of states (a life, or an image and what came after it), nothing that nobody
// proposed, the same bytes and the same reply everywhere, and nothing acknowledged is lost. What
// only reads may also be answered once without a place in the order. Knows no protocol. Source:
// protocol.md 9 (I10, I12), reliability.md 3.7 (C4, C6, C9).
//
// The order is checked by counting: among all commands that write a key, each has one index, and a
// command that reads the key stands behind the same number of writes in every life. A command that
// touches everything writes one more key, which all others read.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "epaxos/sim/observer.h"

namespace epaxos::sim {

class ExecutionChecker final : public Observer {
 public:
  ExecutionChecker() = default;

  void on_started(ReplicaId replica) override;
  void on_proposed(ReplicaId replica, const Proposal& proposal) override;
  void on_executed(ReplicaId replica, const Command& command, Bytes reply) override;
  void on_read(ReplicaId replica, const Command& command, Bytes reply) override;
  void on_imaged(ReplicaId replica, std::uint64_t image) override;
  void on_loaded(ReplicaId replica, std::uint64_t image) override;
  void on_acknowledged(ReplicaId replica, CommandId command, Bytes reply) override;

  /// What was seen to be wrong, a sentence each; the first kViolationsMax.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  /// Which acknowledged commands one of these replicas has not executed in its present life.
  [[nodiscard]] std::vector<std::string> missing_acknowledged(
      const std::vector<ReplicaId>& replicas) const;

  [[nodiscard]] std::uint64_t proposed() const { return commands_.size(); }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  /// Executions over all replicas and lives.
  [[nodiscard]] std::uint64_t executed() const { return executed_; }
  [[nodiscard]] bool has_executed(ReplicaId replica, CommandId command) const;

  static constexpr std::size_t kViolationsMax = 20;

 private:
  struct Facts {
    Footprint footprint;
    std::uint64_t payload_hash = 0;
    std::uint64_t reply_hash = 0;
    std::uint16_t executed_by = 0;  ///< One bit a replica: in its present life.
    bool placed = false;            ///< Somebody has executed it; `indices` and reply are set.
    bool acknowledged = false;
    bool read = false;                   ///< It has an answer and no place, and nobody executes it.
    std::vector<std::uint64_t> indices;  ///< One an access, and one among the barriers.
  };
  /// Writes of one key, by replica: in its present life.
  using Writes = std::array<std::uint64_t, kReplicasMax>;

  /// What a state machine has executed.
  struct State {
    std::vector<CommandId> commands;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> writes;  ///< Of every key.
    std::uint64_t barriers = 0;
  };

  void clear(ReplicaId replica);
  void place(ReplicaId replica, const CommandId& id, Facts& facts);
  void violation(std::string sentence);

  std::map<CommandId, Facts> commands_;
  std::map<std::uint64_t, Writes> writes_;  ///< By key.
  Writes barriers_{};
  std::map<std::uint64_t, State> images_;
  std::vector<std::uint64_t> indices_;
  std::vector<std::string> violations_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t executed_ = 0;
};

}  // namespace epaxos::sim
