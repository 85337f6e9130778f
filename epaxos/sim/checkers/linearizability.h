#pragma once

// Whether clients could tell the cluster from one machine that runs one command at a time: every
// command seems to take effect at one moment between its proposal and its answer, and all answers
// are those of that order. Keys that no command connects are judged one by one; those that
// multi-key commands connect, together (strict serializability).
// Source: reliability.md 3.7 (C7, C8); Wing and Gong 1993, with the memo of Lowe 2017.

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "epaxos/sim/observer.h"
#include "executor/key_value_command.h"

namespace epaxos::sim {

/// One command of a client, and what it was told.
struct Operation {
  static constexpr std::uint64_t kNoReturn = ~std::uint64_t{0};

  std::vector<std::byte> payload;
  std::vector<std::byte> reply;
  std::uint64_t called = 0;
  std::uint64_t returned = kNoReturn;  ///< None: its client was not told.
  std::uint64_t hint = 0;              ///< Tried in this order first; need not be right.
};

enum class Verdict { kLinearizable, kNotLinearizable, kUndecided };

struct Judgement {
  Verdict verdict = Verdict::kLinearizable;
  std::string what;  ///< Of the other two: a sentence.
};

/// Judges a history of the key-value machine, from an empty one on. All operations took effect.
/// Cost: linear when the hints are right; otherwise exponential at worst, and undecided after
/// `steps_max` steps.
Judgement judge(std::span<const Operation> history, std::uint64_t steps_max = 2'000'000);

/// Collects the history of a run. What no client was told but a replica has executed took effect
/// with that reply; what nobody has executed when the world has converged did not.
class LinearizabilityChecker final : public Checker {
 public:
  void on_proposed(ReplicaId replica, const Proposal& proposal) override;
  void on_executed(ReplicaId replica, const Command& command, Bytes reply) override;
  void on_read(ReplicaId replica, const Command& command, Bytes reply) override;
  void on_acknowledged(ReplicaId replica, CommandId command, Bytes reply) override;
  void on_started(ReplicaId replica) override { reached_[replica.value()] = 0; }
  void on_imaged(ReplicaId replica, std::uint64_t image) override;
  void on_loaded(ReplicaId replica, std::uint64_t image) override;

  [[nodiscard]] std::string_view name() const override { return "linearizability"; }
  void finish() override;
  [[nodiscard]] std::vector<std::string> violations() const override { return violations_; }
  [[nodiscard]] std::vector<Operation> history() const;

 private:
  struct Facts {
    Operation operation;
    bool executed = false;
    bool told = false;
  };
  std::map<CommandId, Facts> commands_;
  // Hints: the order of first executions, and among these the reads that saw no more.
  static constexpr std::uint64_t kReadsBetween = std::uint64_t{1} << 24;
  std::array<std::uint64_t, kReplicasMax> reached_{};  // The highest that each state shows.
  std::map<std::uint64_t, std::uint64_t> images_;      // The same of images.
  std::uint64_t now_ = 0;  // Counts what was seen: an order, where the clock has ties.
  std::vector<std::string> violations_;
};

}  // namespace epaxos::sim
