#include "compare/multipaxos/simulate_multipaxos.h"

#include <memory>

#include "compare/multipaxos/core.h"
#include "compare/multipaxos/simulate_log_checker.h"
#include "epaxos/programs/simulate_words.h"

namespace epaxos::compare::multipaxos {
namespace {

constexpr MessageType kTargets[] = {MessageType::kPrepare,   MessageType::kPromise,
                                    MessageType::kAccept,    MessageType::kAccept,
                                    MessageType::kAccepted,  MessageType::kAccepted,
                                    MessageType::kHeartbeat, MessageType::kHeartbeatOk};

constexpr const char* kMarks[] = {"ballots_opened",
                                  "stepped_down",
                                  "adopted",
                                  "nops",
                                  "learned_by_told",
                                  "learned",
                                  "skipped_repetitions",
                                  "wanted_sent",
                                  "retransmissions",
                                  "served",
                                  "nacks_received",
                                  "truncated_sent",
                                  "images_installed",
                                  "refused_not_voting",
                                  "session_duplicates",
                                  "reads_answered",
                                  "read_rounds",
                                  "reads_by_lease",
                                  "reads_not_leader",
                                  "ballots_leased",
                                  "pre_votes_with_leader",
                                  "quorum_lost"};

// What no replica does to another one.
constexpr const char* kAlwaysZero[] = {
    "refused_malformed_frame",      "refused_malformed_block",       "refused_wrong_group",
    "refused_wrong_epoch",          "refused_unknown_type",          "refused_contradicts_vote",
    "refused_contradicts_decision", "refused_not_the_ballots_owner", "refused_never_asked",
    "refused_last_ballot",
};

std::string range(Slot first, Slot last) {
  return std::to_string(first.value()) + ".." + std::to_string(last.value());
}

std::string words_of_entry(const Entry& entry) {
  const std::string text = " at " + to_string(Ballot::from_packed(entry.round));
  return text + (entry.origin.is_nobody() ? " nop" : commands_of(entry.block));
}

std::string told(const Prepare& m, int) {
  return "Prepare " + to_string(m.ballot) + " from " + std::to_string(m.from.value());
}
std::string told(const Promise& m, int) {
  std::string text = "Promise " + to_string(m.ballot) + " " + range(m.from, m.through) +
                     " decided " + std::to_string(m.decided_up_to.value());
  for (const Promise::Voted& each : m.votes) {
    text += "; " + std::to_string(each.slot.value()) + words_of_entry(each.entry);
  }
  return text;
}
std::string told(const Accept& m, int replicas) {
  std::string text =
      "Accept " + to_string(m.ballot) + " decided " + std::to_string(m.decided_up_to.value());
  for_each_entry(m.first, m.entries, replicas, [&](Slot slot, const Entry& entry, Bytes) {
    text += "; " + std::to_string(slot.value()) + words_of_entry(entry);
  });
  return text;
}
std::string told(const Accepted& m, int) {
  return "Accepted " + to_string(m.ballot) + " " + range(m.first, m.last);
}
std::string told(const Nack& m, int) {
  return "Nack heard " + to_string(m.heard) + " promised " + to_string(m.promised);
}
std::string told(const Heartbeat& m, int) {
  return "Heartbeat " + to_string(m.ballot) + " decided " + range(m.decided_up_to, m.last);
}
std::string told(const HeartbeatOk& m, int) {
  return "HeartbeatOk " + to_string(m.ballot);
}
std::string told(const PreVote&, int) {
  return "PreVote";
}
std::string told(const PreVoteOk&, int) {
  return "PreVoteOk";
}
std::string told(const Fetch& m, int) {
  return "Fetch " + range(m.from, m.to);
}
std::string told(const Learn& m, int replicas) {
  std::string text = "Learn";
  for_each_entry(m.first, m.entries, replicas, [&](Slot slot, const Entry& entry, Bytes) {
    text += "; " + std::to_string(slot.value()) + words_of_entry(entry);
  });
  return text;
}
std::string told(const Truncated& m, int) {
  return "Truncated " + std::to_string(m.floor.value());
}

std::string told(const Forgot&, int) {
  return "Forgot";
}
std::string told(const Forward& m, int) {
  std::string text = "Forward " + std::to_string(m.sequence) + " of life " + std::to_string(m.life);
  if (!decode_block_footprint(m.block)) return text;
  return text + words_of_entry({0, {{}, m.life, m.sequence}, m.block});
}
std::string told(const Wanted& m, int) {
  return "Wanted " + std::to_string(m.sequence) + " of life " + std::to_string(m.life);
}

std::string told(const ReadIndex& m, int) {
  return "ReadIndex " + std::to_string(m.number) + " of life " + std::to_string(m.life);
}
std::string told(const ReadIndexReply& m, int) {
  return "ReadIndexReply " + std::to_string(m.number) + " of life " + std::to_string(m.life) +
         " index " + std::to_string(m.index.value());
}

std::string words_of_frame(const net::Frame& frame, int replicas) {
  return told_of<Prepare, Promise, Accept, Accepted, Nack, Heartbeat, HeartbeatOk, PreVote,
                 PreVoteOk, Fetch, Learn, Truncated, Forgot, Forward, Wanted, ReadIndex,
                 ReadIndexReply>(
      frame, replicas, [replicas](const auto& message) { return told(message, replicas); });
}

std::string words_of_record(const RecordKey& key, Bytes value, int replicas) {
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kPromise:
      if (Prepare record; decode(value, replicas, record)) {
        return "promised " + to_string(record.ballot);
      }
      return kUnreadable;
    case RecordKind::kEntry: {
      Entry entry;
      if (!take_entry(value, replicas, entry)) return kUnreadable;
      return "slot " + std::to_string(key.slot.value()) + words_of_entry(entry);
    }
    case RecordKind::kMemoryLost:
      return "its memory is lost";
    case RecordKind::kDecided:
      return "decided up to " + std::to_string(number_from<std::uint64_t>(value).value_or(0));
  }
  return "kind " + std::to_string(key.kind);
}

}  // namespace

SimulatedProtocol simulated_multipaxos(const Options& options) {
  SimulatedProtocol simulated;
  sim::SwarmOptions& swarm = simulated.swarm;
  swarm = sim::key_value_swarm(multipaxos(options));
  swarm.checkers.push_back([options](sim::Cluster& cluster) {
    return std::make_unique<LogChecker>(cluster, quorums_of(options, cluster.size()).value());
  });
  for (const MessageType type : kTargets) {
    swarm.targets.push_back(static_cast<net::FrameType>(type));
  }
  swarm.always_zero.assign(std::begin(kAlwaysZero), std::end(kAlwaysZero));
  swarm.zero_when_calm = {"skipped_repetitions"};
  swarm.spins_max = 1'000;
  swarm.never_silent = true;
  swarm.limits.reads = true;
  simulated.words = {words_of_frame, words_of_record};
  simulated.required_marks.assign(std::begin(kMarks), std::end(kMarks));
  simulated.mutants = {
      Mutant::kAdoptsFirstVote,       Mutant::kBallotsWithoutReplica, Mutant::kLearnerMixesBallots,
      Mutant::kAcceptedIsChosen,      Mutant::kAnswersCountedTwice,   Mutant::kAcceptIgnoresPromise,
      Mutant::kAcceptOkBeforeDurable, Mutant::kPromiseNotDurable,     Mutant::kForgetfulVotes,
      Mutant::kInstallsOlderImages,   Mutant::kPaxosLeaseWallClock};
  return simulated;
}

}  // namespace epaxos::compare::multipaxos
