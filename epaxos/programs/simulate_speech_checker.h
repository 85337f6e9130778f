#pragma once

// Holds every word of every replica against its disk: no message may say what a power loss would
// take back (I9, protocol.md 13.1), and nobody ever says two different things about the same
// (I1, I2, I4, I8), nor falls back behind what it ever promised, across restarts (I4;
// reliability.md 3.7, C10). First votes keep the two lemmas that recovery rests on (I6, I7).
// Decodes what leaves with the real codec and reads the records of the virtual disk. Source:
// protocol.md 9.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "epaxos/programs/simulate_disk_view.h"
#include "epaxos/protocol/message.h"
#include "epaxos/sim/cluster.h"

namespace epaxos {

class SpeechChecker : public sim::Checker {
 public:
  explicit SpeechChecker(sim::Cluster& cluster);

  [[nodiscard]] std::string_view name() const override { return "speech"; }
  /// Looks for pairs of conflicting decisions that do not know of each other (I3).
  /// Cost: at worst quadratic in the decisions of a key.
  void finish() override;

  void on_started(ReplicaId replica) override;
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;
  void on_acknowledged(ReplicaId replica, CommandId command, Bytes reply) override;

  /// How many messages of this type left this replica, one a receiver.
  [[nodiscard]] std::uint64_t said(ReplicaId from, protocol::MessageType type) const;
  [[nodiscard]] std::uint64_t said(protocol::MessageType type) const;
  [[nodiscard]] std::vector<std::string> violations() const override { return violations_; }

 private:
  using Words = std::vector<std::byte>;

  void check_frame(const net::Frame& frame);
  void check_message(const protocol::PreAccept& message);
  void check_message(const protocol::PreAcceptOk& message);
  void check_message(const protocol::Accept& message);
  void check_message(const protocol::AcceptOk& message);
  void check_message(const protocol::Commit& message);
  void check_message(const protocol::Recover& message);
  void check_message(const protocol::RecoverOk& message);
  void check_message(const protocol::Validate& message);
  void check_message(const protocol::ValidateOk& message);
  void check_message(const protocol::Learn& message);
  void check_message(const protocol::Frontier& message);
  [[nodiscard]] bool is_dropped(const InstanceId& id) const;
  [[nodiscard]] bool is_covered(const InstanceId& id) const;
  void learn_commands(const InstanceId& id, Bytes block);
  struct Validation {
    InstanceId instance;
    std::vector<InstanceId> blockers;
    Dependencies floor;    ///< Of its sender.
    bool settled = false;  ///< A single blocker, which is decided.
  };
  void expect_validation(const Validation& validation, const InstanceId& voted);
  void expect_promises_kept(ReplicaId replica, const sim::VirtualDisk& disk);
  void note_promise(const InstanceId& id, Ballot ballot);
  void note_vote(const InstanceId& id, Ballot ballot);
  void expect_known(const InstanceId& id, const Dependencies& decision,
                    const std::vector<InstanceId>& others);
  void expect_lemmas(const InstanceId& id, const Dependencies& vote);
  void expect_proposal(const InstanceId& id, const Dependencies& initial, Bytes block);
  /// Notes a fact that must be the same whenever it is told.
  template <class Key, class Value>
  void told(std::map<Key, Value>& facts, const Key& key, const Value& value, const char* what);
  void expect(bool holds, const InstanceId& id, const char* what);
  bool is_news(const char* what);

  sim::Cluster& cluster_;
  const int n_;
  // The message that is being checked.
  ReplicaId from_;
  const sim::VirtualDisk* disk_ = nullptr;

  std::map<InstanceId, std::pair<Dependencies, Words>> proposals_;
  std::map<std::pair<ReplicaId, InstanceId>, Dependencies> votes_;
  std::map<std::pair<InstanceId, Ballot>, std::pair<bool, Dependencies>> accepts_;
  std::map<InstanceId, Ballot> highest_accepts_;
  std::map<InstanceId, std::pair<bool, Dependencies>> decisions_;
  Dependencies highest_floor_;  // What all have executed, as far as anybody has said.
  std::map<InstanceId, Dependencies> decided_floors_;  // The same, when a decision was told first.
  /// The most that a replica ever said of an instance, in all lives.
  struct Promise {
    Ballot ballot;
    bool voted = false;
    Ballot accepted_ballot;
  };
  std::map<std::pair<ReplicaId, InstanceId>, Promise> promises_;
  std::map<ReplicaId, Slot> own_slots_;  // The highest that an owner ever proposed in.
  std::map<CommandId, std::vector<InstanceId>> instances_;
  std::map<InstanceId, Footprint> footprints_;
  std::map<ReplicaId, std::vector<Validation>> validations_;
  std::set<ReplicaId> forgetful_;
  /// First votes of a replica, by the keys that they touch, oldest first.
  std::map<std::pair<ReplicaId, std::uint64_t>, OnKey> votes_on_key_;
  std::map<std::pair<ReplicaId, ReplicaId>, Slot> decided_up_to_;  // By (disk, row).
  std::map<std::pair<ReplicaId, protocol::MessageType>, std::uint64_t> said_;
  std::map<std::string, int> of_kind_;
  std::vector<std::string> violations_;
};

}  // namespace epaxos
