// EPaxos in the simulator: which messages are worth stopping their sender for, and which parts of
// the protocol a long run must have reached. Source: docs/testing.md.

#include "epaxos/programs/simulate.h"
#include "epaxos/programs/simulate_disk_scan.h"
#include "epaxos/programs/simulate_epaxos_words.h"
#include "epaxos/programs/simulate_speech_checker.h"
#include "epaxos/protocol/core.h"
#include "epaxos/protocol/message.h"

namespace epaxos {
namespace {

// The first Commit after a fast decision is a word that only one replica hears.
constexpr protocol::MessageType kTargets[] = {
    protocol::MessageType::kCommit,     protocol::MessageType::kCommit,
    protocol::MessageType::kCommit,     protocol::MessageType::kAccept,
    protocol::MessageType::kAccept,     protocol::MessageType::kPreAccept,
    protocol::MessageType::kPreAccept,  protocol::MessageType::kPreAcceptOk,
    protocol::MessageType::kAcceptOk,   protocol::MessageType::kRecover,
    protocol::MessageType::kRecoverOk,  protocol::MessageType::kValidate,
    protocol::MessageType::kValidateOk,
};

// A repeated request is answered from the session table; or its session is closed or has expired,
// or its number was acknowledged.
constexpr const char* kMarks[] = {
    "fast_path",          "slow_path_mismatch", "slow_path_timer",     "resubmitted",
    "decided_nop",        "ranges_served",      "recovery_c1",         "recovery_c2",
    "recovery_c3",        "recovery_c4",        "recovery_c5",         "recovery_v1",
    "recovery_v2",        "recovery_v3",        "recovery_v4",         "recovery_v5",
    "recovery_v6",        "recovery_v7",        "session_duplicates",  "session_unknown",
    "session_expired",    "session_stale",      "components_of_three", "fences_sent",
    "delayed_on_hot_key", "refused_not_voting", "refused_peer_forgot",
};

// What no replica does to another one. A bit that the world flips is found by the checksum of its
// bundle, before anybody looks at a frame.
constexpr const char* kAlwaysZero[] = {
    "refused_malformed_frame",       "refused_malformed_block",      "refused_wrong_group",
    "refused_wrong_epoch",           "refused_unknown_type",         "refused_not_the_owner",
    "refused_not_the_ballots_owner", "refused_contradicts_record",   "refused_contradicts_vote",
    "refused_contradicts_decision",  "refused_shrinks_dependencies",
};

}  // namespace

SimulatedProtocol simulated_epaxos() {
  SimulatedProtocol simulated;
  simulated.swarm = sim::key_value_swarm(protocol::epaxos());
  for (const protocol::MessageType type : kTargets) {
    simulated.swarm.targets.push_back(static_cast<net::FrameType>(type));
  }
  simulated.swarm.checkers.push_back(
      [](sim::Cluster& cluster) { return std::make_unique<SpeechChecker>(cluster); });
  simulated.swarm.checkers.push_back(
      [](sim::Cluster& cluster) { return std::make_unique<DiskScan>(cluster); });
  simulated.swarm.zero_when_calm = {"slow_path_mismatch", "slow_path_timer"};
  simulated.swarm.always_zero.assign(std::begin(kAlwaysZero), std::end(kAlwaysZero));
  simulated.swarm.spins_max = 1'000;
  simulated.words = {words_of_frame, words_of_record};
  simulated.required_marks.assign(std::begin(kMarks), std::end(kMarks));
  for (const MutantInfo& info : mutants()) {
    if (info.name.starts_with("raft-") || info.name.starts_with("paxos-")) continue;
    simulated.mutants.push_back(info.mutant);
  }
  return simulated;
}

}  // namespace epaxos
