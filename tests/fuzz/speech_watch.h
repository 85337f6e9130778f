#pragma once

// What a watched replica says must hold, at once or when it leaves: nothing is told before it is
// durable, and nothing that was told is taken back.

#include <map>
#include <utility>

#include "deps/types/check.h"
#include "epaxos/protocol/core.h"
#include "tests/fuzz/disk_facts.h"

namespace epaxos::protocol {

/// What a replica would know if its power failed now.
struct DurableFacts {
  explicit DurableFacts(int n) : floor(n), lineage(n) {}

  [[nodiscard]] const Facts& of(const InstanceId& id) const {
    static const Facts kNothing;
    const auto found = instances.find(id);
    return found == instances.end() ? kNothing : found->second;
  }

  std::map<InstanceId, Facts> instances;
  Dependencies floor;
  Covered lineage;  ///< The image that the machine began with.
};

class SpeechWatch {
 public:
  explicit SpeechWatch(int n) : n_(n), told_executed_(n) {}

  /// The ballots at which the replica last asked for something.
  [[nodiscard]] const std::map<InstanceId, Ballot>& asked() const { return asked_; }
  [[nodiscard]] const InstanceId& asked_last() const { return latest_; }

  /// What must hold at once, durable or not.
  void check_said(MessageType type, Bytes body, const EpaxosCore& core,
                  const DiskReader& at_start) {
    check(decodes(type, body), "a message left that does not decode");
    as<PreAccept>(type, body, [&](const PreAccept& message) {
      check(at_start.facts().contains(message.instance) ||
                message.instance.slot > at_start.highest(message.instance.row),
            "a slot is used again");
    });
    as<Frontier>(type, body, [&](const Frontier& message) {
      check(message.executed.includes(told_executed_), "what is executed went back");
    });
    as<RecoverOk>(type, body, [&](const RecoverOk& message) {
      const Facts now = facts_of(*core.instances().find(message.instance));
      check(!now.decided, "a promise was made for a decided instance");
      check(now.ballot == message.ballot, "a promise is told that is not the last one");
      check(!now.vote || now.vote->accepted_ballot < message.ballot,
            "a promise is told after a vote at its ballot");
    });
    as<ValidateOk>(type, body, [&](const ValidateOk& message) {
      const Facts now = facts_of(*core.instances().find(message.instance));
      check(now.ballot == message.ballot, "a validation at another ballot than the promised one");
      for (const ValidationBlocker& blocker : message.blockers) {
        check(blocker.instance != message.instance, "an instance blocks itself");
        check(!blocker.committed || !blocker.matched, "a blocker is both open and decided");
      }
    });
    const auto asks = [&](const auto& message) {
      asked_[message.instance] = message.ballot;
      latest_ = message.instance;
      if (message.ballot != kInitialBallot) {
        check(message.ballot.replica == ReplicaId(0), "the ballot of somebody else is used");
      }
    };
    as<Recover>(type, body, asks);
    as<Validate>(type, body, asks);
    as<Accept>(type, body, asks);
  }

  /// What must hold when everything that it rests on is durable.
  void check_leaves(MessageType type, Bytes body, const DurableFacts& disk) {
    const auto each = [&]<class... Message>(Message...) {
      (as<Message>(type, body, [&](const Message& m) { leaves(m, disk); }), ...);
    };
    each(PreAcceptOk(), AcceptOk(), Recover(), RecoverOk(), Validate(), ValidateOk(), Accept(),
         Truncated(), Frontier());
  }

 private:
  template <class Message, class Then>
  void as(MessageType type, Bytes body, Then then) const {
    if (type != Message::kType) return;
    Message message;
    check(decode(body, n_, message), "a message does not decode");
    then(message);
  }

  void leaves(const PreAcceptOk& message, const DurableFacts& disk) {
    const Facts& facts = disk.of(message.instance);
    check(facts.pre_accepted, "an answer left before its vote was durable");
    const Dependencies& vote = message.initial ? facts.initial : message.dependencies;
    check(facts.pre_accept == vote, "an answer tells another vote than the durable one");
  }
  void leaves(const AcceptOk& message, const DurableFacts& disk) {
    const Facts& facts = disk.of(message.instance);
    check(facts.vote && facts.vote->accepted_ballot >= message.ballot,
          "a vote was told before it was durable");
  }
  void leaves(const Recover& message, const DurableFacts& disk) {
    check(disk.of(message.instance).ballot >= message.ballot,
          "a ballot was used before it was durable");
  }
  void leaves(const RecoverOk& message, const DurableFacts& disk) {
    const Facts& facts = disk.of(message.instance);
    check(facts.ballot >= message.ballot, "a promise was told before it was durable");
    if (message.recorded) check(facts.recorded && facts.initial == message.initial, "forgot it");
    if (message.pre_accepted) {
      check(facts.pre_accepted && facts.pre_accept == message.pre_accept_dependencies,
            "a promise tells another first vote than the durable one");
    }
    if (!message.voted) return;
    check(facts.vote && facts.vote->accepted_ballot >= message.accepted_ballot,
          "a promise tells a vote that is not durable");
  }
  void leaves(const Validate& message, const DurableFacts& disk) {
    check(disk.of(message.instance).recorded, "a proposal is validated that is not durable");
  }
  void leaves(const ValidateOk& message, const DurableFacts& disk) {
    const Facts& facts = disk.of(message.instance);
    check(facts.recorded, "a validation left before the proposal was durable");
    check(facts.ballot >= message.ballot, "a validation left before its promise was durable");
  }
  void leaves(const Accept& message, const DurableFacts& disk) {
    const Facts& facts = disk.of(message.instance);
    check(facts.vote && facts.vote->accepted_ballot >= message.ballot,
          "others are asked for a vote that is not durable here");
    const Vote value{message.ballot, message.nop, message.dependencies};
    const auto [first, is_new] = proposed_.try_emplace({message.instance, message.ballot}, value);
    check(is_new || same(first->second, value), "two values were proposed at one ballot");
  }

  void leaves(const Truncated& message, const DurableFacts& disk) {
    check(disk.floor.covers(message.instance) || disk.lineage.listed.contains(message.instance),
          "an instance is said to be over that is not, durably");
    check(disk.floor.includes(message.floor), "a floor was told before it was durable");
  }

  void leaves(const Frontier& message, const DurableFacts&) {
    told_executed_.merge(message.executed);
  }

  [[nodiscard]] bool decodes(MessageType type, Bytes body) const {
    bool good = false;
    const auto with = [&]<class Message>(Message message) {
      if (Message::kType == type) good = decode(body, n_, message);
    };
    const auto each = [&](auto... messages) { (with(messages), ...); };
    each(PreAccept(), PreAcceptOk(), Accept(), AcceptOk(), Commit(), Nack(), Recover(), RecoverOk(),
         Validate(), ValidateOk(), Waiting(), Status(), FetchRange(), RangeEnd(), Learn(),
         Frontier(), Truncated(), Fence(), Unfence(), VectorFloor());
    return good;
  }

  const int n_;
  std::map<InstanceId, Ballot> asked_;
  InstanceId latest_;
  std::map<std::pair<InstanceId, Ballot>, Vote> proposed_;  ///< Over all lives.
  Dependencies told_executed_;                              ///< The most, over all lives.
};

}  // namespace epaxos::protocol
