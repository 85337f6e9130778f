#include "compare/paxos/simulate_paxos.h"

#include <memory>
#include <utility>

#include "compare/paxos/core.h"
#include "compare/paxos/simulate_ballot_checker.h"
#include "epaxos/sim/checkers/linearizability.h"
#include "executor/key_value_command.h"
#include "executor/key_value_machine.h"

namespace epaxos::compare::paxos {
namespace {

constexpr Slot kTheSlot{1};

/// Clients that compete for the one decision, some of them when it has fallen.
class CompetingClients final : public sim::Load {
 public:
  CompetingClients(sim::Cluster& cluster, const sim::LoadOptions& options)
      : Load(cluster, fitting(options)) {}

  /// One batch is executed, and the others are told that theirs is not.
  [[nodiscard]] bool all_served() const override {
    return outcomes().executed >= 1 && outcomes().unknown == 0;
  }

 private:
  /// A session takes more than one decision. Half of the loads begin scattered.
  static sim::LoadOptions fitting(sim::LoadOptions options) {
    options.sessions.clients_each = 0;
    if (options.seed % 2 == 0) options.begins_within_us = options.think_us + 1;
    return options;
  }

  [[nodiscard]] std::vector<std::byte> command(sim::Random&, int number) override {
    return number % 2 == 0 ? kv::put("winner", std::to_string(number)) : kv::increment("sum", 1);
  }
};

/// What is said, held against the disk of who says it and against what was said before.
class SpokenBallots final : public sim::Checker {
 public:
  SpokenBallots(sim::Cluster& cluster, const Quorums& quorums)
      : cluster_(cluster), checker_(quorums) {}

  [[nodiscard]] std::string_view name() const override { return "ballots"; }
  [[nodiscard]] std::vector<std::string> violations() const override {
    return checker_.violations();
  }

  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override {
    if (disk.was_set_back()) return;  // It has forgotten, and is gone for good.
    from_ = from;
    checker_.at(cluster_.events());
    cluster_.read_bundle(to, bundle, [&](const net::Frame& frame) { check_frame(frame, disk); });
  }

 private:
  void check_frame(const net::Frame& frame, const sim::VirtualDisk& disk) {
    const auto with = [&](auto message) {
      check(decode(frame.body, cluster_.size(), message), "a message left that does not decode");
      check_message(message, disk);
    };
    switch (static_cast<MessageType>(frame.type)) {
      case MessageType::kPrepare:
        return with(Prepare());
      case MessageType::kPromise:
        return with(Promise());
      case MessageType::kAccept:
        return with(Accept());
      case MessageType::kAccepted:
        return with(Accepted());
      case MessageType::kChosen:
        return with(Chosen());
      default:
        return;  // Questions, and answers that promise nothing.
    }
  }

  void check_message(const Prepare& message, const sim::VirtualDisk& disk) {
    expect_promise(message.ballot, disk);
    checker_.promised(from_, message.ballot);
  }
  void check_message(const Promise& message, const sim::VirtualDisk& disk) {
    expect_promise(message.ballot, disk);
    if (message.accepted_ballot > kInitialBallot) {
      checker_.proposed(from_, kTheSlot, message.accepted_ballot, hash_of(message.value));
    }
    checker_.reported(from_, kTheSlot, message.ballot, message.accepted_ballot);
    checker_.promised(from_, message.ballot);
  }
  void check_message(const Accept& message, const sim::VirtualDisk&) {
    checker_.proposed(from_, kTheSlot, message.ballot, hash_of(message.value));
  }
  void check_message(const Accepted& message, const sim::VirtualDisk& disk) {
    if (durable_vote(disk) < message.ballot) {
      checker_.wrong(from_, kTheSlot, "a vote that is not on disk");
    }
    checker_.voted(from_, kTheSlot, message.ballot);
  }
  void check_message(const Chosen& message, const sim::VirtualDisk&) {
    checker_.chosen(from_, kTheSlot, hash_of(message.value));
  }

  static std::uint64_t hash_of(const ValueView& value) {
    return paxos::hash_of(value.proposer, value.block);
  }

  template <class Record>
  [[nodiscard]] Ballot ballot_of(RecordKind kind, const sim::VirtualDisk& disk) {
    const auto* const value = disk.find({static_cast<std::uint8_t>(kind), {}, {}, {}, kTheSlot});
    if (value == nullptr) return kInitialBallot;
    aligned_.assign(*value);
    Record record;
    check(decode(aligned_.bytes(), cluster_.size(), record), "a record does not decode");
    return record.ballot;
  }
  [[nodiscard]] Ballot durable_vote(const sim::VirtualDisk& disk) {
    return ballot_of<Accept>(RecordKind::kVote, disk);
  }
  void expect_promise(Ballot ballot, const sim::VirtualDisk& disk) {
    const Ballot promised = ballot_of<Prepare>(RecordKind::kPromise, disk);
    if (std::max(promised, durable_vote(disk)) >= ballot) return;
    checker_.wrong(from_, kTheSlot, "a promise that is not on disk");
  }

  sim::Cluster& cluster_;
  BallotChecker checker_;
  ReplicaId from_;
  AlignedBytes aligned_;
};

constexpr MessageType kTargets[] = {MessageType::kPrepare, MessageType::kPromise,
                                    MessageType::kAccept, MessageType::kAccepted,
                                    MessageType::kChosen};

constexpr const char* kMarks[] = {
    "ballots_given_up", "adopted",         "decided",        "retransmissions",
    "rejected_other",   "rejected_chosen", "nacks_received", "refused_storage_full"};

// What no replica does to another one.
constexpr const char* kAlwaysZero[] = {
    "refused_malformed_frame",       "refused_wrong_group",      "refused_wrong_epoch",
    "refused_unknown_type",          "refused_contradicts_vote", "refused_contradicts_decision",
    "refused_not_the_ballots_owner", "refused_never_asked",      "refused_last_ballot",
};

std::string words_of_frame(const net::Frame& frame, int replicas) {
  const auto told = [&](auto message, const char* name) {
    if (!decode(frame.body, replicas, message)) return std::string("something malformed");
    return name + (" " + to_string(message.ballot));
  };
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kPrepare:
      return told(Prepare(), "Prepare");
    case MessageType::kPromise:
      return told(Promise(), "Promise");
    case MessageType::kAccept:
      return told(Accept(), "Accept");
    case MessageType::kAccepted:
      return told(Accepted(), "Accepted");
    case MessageType::kNack:
      return "Nack";
    case MessageType::kChosen:
      return "Chosen";
    case MessageType::kAsk:
      return "Ask";
    case MessageType::kForgot:
      return "Forgot";
  }
  return "a frame of type " + std::to_string(frame.type);
}

std::string words_of_record(const RecordKey& key, Bytes value, int replicas) {
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kPromise:
      if (Prepare record; decode(value, replicas, record)) {
        return "promised " + to_string(record.ballot);
      }
      break;
    case RecordKind::kVote:
      if (Accept record; decode(value, replicas, record)) {
        return "voted " + to_string(record.ballot);
      }
      break;
    case RecordKind::kChosen:
      return "chosen";
    case RecordKind::kMemoryLost:
      return "its memory is lost";
  }
  return "kind " + std::to_string(key.kind);
}

}  // namespace

SimulatedProtocol simulated_paxos() {
  SimulatedProtocol simulated;
  sim::SwarmOptions& swarm = simulated.swarm;
  swarm.protocol = paxos();
  swarm.make_machine = [] { return std::make_unique<KeyValueMachine>(); };
  swarm.make_load = [](sim::Cluster& cluster, const sim::LoadOptions& options) {
    return std::make_unique<CompetingClients>(cluster, options);
  };
  swarm.checkers.push_back(
      [](sim::Cluster&) { return std::make_unique<sim::LinearizabilityChecker>(); });
  swarm.checkers.push_back([](sim::Cluster& cluster) {
    return std::make_unique<SpokenBallots>(cluster, Quorums::majorities(cluster.size()));
  });
  for (const MessageType type : kTargets) {
    swarm.targets.push_back(static_cast<net::FrameType>(type));
  }
  swarm.always_zero.assign(std::begin(kAlwaysZero), std::end(kAlwaysZero));
  swarm.zero_when_calm = {"retransmissions"};
  swarm.spins_max = 1'000;
  simulated.words = {words_of_frame, words_of_record};
  simulated.required_marks.assign(std::begin(kMarks), std::end(kMarks));
  simulated.mutants = {
      Mutant::kAdoptsFirstVote,     Mutant::kBallotsWithoutReplica, Mutant::kLearnerMixesBallots,
      Mutant::kAnswersCountedTwice, Mutant::kAcceptIgnoresPromise,  Mutant::kAcceptOkBeforeDurable,
      Mutant::kPromiseNotDurable,   Mutant::kOneBallotVariable,     Mutant::kForgetfulVotes};
  return simulated;
}

}  // namespace epaxos::compare::paxos
