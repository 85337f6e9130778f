#include "epaxos/programs/simulate_epaxos_words.h"

#include <vector>

#include "epaxos/programs/simulate_words.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/record.h"

namespace epaxos {
namespace {

using protocol::CommitKind;
using protocol::RecordKind;

std::string ballot_of(const Ballot& ballot) {
  return " ballot " + to_string(ballot);
}

std::string vote_of(const Ballot& ballot, bool nop, const Dependencies& dependencies) {
  return " voted " + to_string(ballot) + " " + (nop ? "nop" : to_string(dependencies));
}

std::string told(const protocol::PreAccept& m) {
  return "PreAccept " + to_string(m.instance) + " " + to_string(m.initial) + commands_of(m.block);
}
std::string told(const protocol::PreAcceptOk& m) {
  return "PreAcceptOk " + to_string(m.instance) + " " +
         (m.initial ? "initial" : to_string(m.dependencies));
}
std::string told(const protocol::Accept& m) {
  return "Accept " + to_string(m.instance) + ballot_of(m.ballot) + " " +
         (m.nop ? "nop" : to_string(m.dependencies));
}
std::string told(const protocol::AcceptOk& m) {
  return "AcceptOk " + to_string(m.instance) + ballot_of(m.ballot);
}
std::string told(const protocol::Commit& m) {
  const std::string text = "Commit " + to_string(m.instance) + " ";
  if (m.kind == CommitKind::kNop) return text + "nop";
  if (m.kind == CommitKind::kInitial) return text + "initial";
  return text + to_string(m.dependencies) + commands_of(m.block);
}
std::string told(const protocol::Nack& m) {
  return "Nack " + to_string(m.instance) + " heard " + to_string(m.heard) + " current " +
         to_string(m.current);
}
std::string told(const protocol::Recover& m) {
  return "Recover " + to_string(m.instance) + ballot_of(m.ballot);
}
std::string told(const protocol::RecoverOk& m) {
  std::string text = "RecoverOk " + to_string(m.instance) + ballot_of(m.ballot);
  if (m.recorded) text += " recorded " + to_string(m.initial);
  if (m.pre_accepted) text += " pre-accepted " + to_string(m.pre_accept_dependencies);
  if (m.voted) text += vote_of(m.accepted_ballot, m.vote_nop, m.vote_dependencies);
  return text;
}
std::string told(const protocol::Validate& m) {
  return "Validate " + to_string(m.instance) + ballot_of(m.ballot) + " " + to_string(m.initial);
}
std::string told(const protocol::ValidateOk& m) {
  std::string text = "ValidateOk " + to_string(m.instance) + ballot_of(m.ballot);
  for (const protocol::ValidationBlocker& blocker : m.blockers) {
    text += " blocker " + to_string(blocker.instance);
    if (blocker.committed) text += " committed";
    if (blocker.matched) text += " matched";
  }
  return text;
}
std::string told(const protocol::Waiting& m) {
  return "Waiting " + to_string(m.instance) + " mask " + std::to_string(m.mask);
}
std::string told(const protocol::Status& m) {
  return "Status " + to_string(m.instance);
}
std::string told(const protocol::FetchRange& m) {
  return "FetchRange " + to_string(InstanceId{m.row, m.from}) + " to " +
         std::to_string(m.to.value());
}
std::string told(const protocol::RangeEnd& m) {
  return "RangeEnd " + to_string(InstanceId{m.row, m.next}) + (m.more ? " more" : "");
}
std::string told(const protocol::Learn& m) {
  return "Learn " + to_string(m.instance) + " " + to_string(m.initial) + commands_of(m.block);
}
std::string told(const protocol::Frontier& m) {
  return "Frontier executed " + to_string(m.executed) + " known " + to_string(m.known) + " floor " +
         to_string(m.floor) + (m.non_voting ? " non-voting" : "") +
         (m.forgetful == 0 ? "" : " forgetful " + std::to_string(m.forgetful));
}
std::string told(const protocol::Truncated& m) {
  return "Truncated " + to_string(m.instance) + " floor " + to_string(m.floor);
}
std::string told(const protocol::Fence& m) {
  return "Fence " + std::to_string(m.number) + " for " + std::to_string(m.ttl_us) + " us";
}
std::string told(const protocol::VectorFloor& m) {
  return "VectorFloor " + to_string(m.executed);
}
std::string told(const protocol::Unfence& m) {
  return "Unfence " + std::to_string(m.number);
}

std::string recorded(const char* how, Bytes value, int replicas) {
  protocol::PreAccept record;
  if (!decode(value, replicas, record)) return kUnreadable;
  return how + to_string(record.initial) + commands_of(record.block);
}

std::string vote(Bytes value, int replicas) {
  protocol::VoteRecord record;
  if (!decode(value, replicas, record)) return kUnreadable;
  std::string text = "promised " + to_string(record.ballot);
  if (record.pre_accepted) text += " pre-accepted " + to_string(record.pre_accept_dependencies);
  if (record.voted)
    text += vote_of(record.accepted_ballot, record.vote_nop, record.vote_dependencies);
  return text + commands_of(record.block);
}

std::string decision(Bytes value, int replicas) {
  protocol::DecisionRecord record;
  if (!decode(value, replicas, record)) return kUnreadable;
  if (record.nop) return "decided nop";
  if (record.initial) return "decided initial";
  return "decided " + to_string(record.dependencies) + commands_of(record.block);
}

}  // namespace

std::string words_of_frame(const net::Frame& frame, int replicas) {
  return told_of<protocol::PreAccept, protocol::PreAcceptOk, protocol::Accept, protocol::AcceptOk,
                 protocol::Commit, protocol::Nack, protocol::Recover, protocol::RecoverOk,
                 protocol::Validate, protocol::ValidateOk, protocol::Waiting, protocol::Status,
                 protocol::FetchRange, protocol::RangeEnd, protocol::Learn, protocol::Frontier,
                 protocol::Truncated, protocol::Fence, protocol::Unfence, protocol::VectorFloor>(
      frame, replicas, [](const auto& message) { return told(message); });
}

std::string words_of_record(const RecordKey& key, Bytes value, int replicas) {
  const std::string id = to_string(InstanceId{key.row, key.slot}) + " ";
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kPreAccepted:
      return id + recorded("pre-accepted ", value, replicas);
    case RecordKind::kRecorded:
      return id + recorded("recorded ", value, replicas);
    case RecordKind::kVote:
      return id + vote(value, replicas);
    case RecordKind::kDecision:
      return id + decision(value, replicas);
    case RecordKind::kMemoryLost:
      return "its memory is lost";
    case RecordKind::kFloor: {
      protocol::FloorRecord record;
      return decode(value, replicas, record) ? "floor " + to_string(record.floor) : kUnreadable;
    }
  }
  return id + "kind " + std::to_string(key.kind);
}

}  // namespace epaxos
