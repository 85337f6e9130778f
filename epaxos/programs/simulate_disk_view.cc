#include "epaxos/programs/simulate_disk_view.h"

#include "epaxos/protocol/message_codec.h"

namespace epaxos {
namespace {

using protocol::RecordKind;
using Words = std::vector<std::byte>;

/// A copy that starts at a multiple of 8 bytes.
class Aligned {
 public:
  explicit Aligned(Bytes bytes) : words_((bytes.size() + 7) / 8), size_(bytes.size()) {
    copy_bytes(bytes, words_.data());
  }
  [[nodiscard]] Bytes bytes() const {
    return {reinterpret_cast<const std::byte*>(words_.data()), size_};
  }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

RecordKey key(RecordKind kind, const InstanceId& id) {
  return {static_cast<std::uint8_t>(kind), GroupId(), Epoch(), id.row, id.slot};
}

void read_payload(const Words& record, int n, bool pre_accepted, DurableInstance& out) {
  const Aligned aligned(record);
  protocol::PreAccept payload;
  check(decode(aligned.bytes(), n, payload), "a payload record does not decode");
  out.recorded = true;
  out.initial = payload.initial;
  out.block.assign(payload.block.begin(), payload.block.end());
  if (!pre_accepted) return;
  out.pre_accepted = true;
  out.pre_accept_dependencies = payload.initial;
}

void read_vote(const Words& record, int n, DurableInstance& out) {
  const Aligned aligned(record);
  protocol::VoteRecord vote;
  check(decode(aligned.bytes(), n, vote), "a vote record does not decode");
  out.ballot = vote.ballot;
  if (vote.pre_accepted) {
    out.pre_accepted = true;
    out.pre_accept_dependencies = vote.pre_accept_dependencies;
  }
  out.voted = vote.voted;
  out.vote_nop = vote.vote_nop;
  out.accepted_ballot = vote.accepted_ballot;
  out.vote_dependencies = vote.vote_dependencies;
}

void read_decision(const Words& record, int n, DurableInstance& out) {
  const Aligned aligned(record);
  protocol::DecisionRecord decision;
  check(decode(aligned.bytes(), n, decision), "a decision record does not decode");
  out.decided = true;
  out.decided_nop = decision.nop;
  out.decision = decision.initial ? out.initial : decision.dependencies;
}

}  // namespace

DurableInstance durable_instance(const sim::VirtualDisk::Image& image, int n,
                                 const InstanceId& id) {
  DurableInstance out;
  const auto with = [&](RecordKind kind, auto read) {
    const auto found = image.find(key(kind, id));
    if (found != image.end()) read(found->second);
  };
  with(RecordKind::kPreAccepted, [&](const Words& r) { read_payload(r, n, true, out); });
  with(RecordKind::kRecorded, [&](const Words& r) { read_payload(r, n, false, out); });
  with(RecordKind::kVote, [&](const Words& r) { read_vote(r, n, out); });
  with(RecordKind::kDecision, [&](const Words& r) { read_decision(r, n, out); });
  return out;
}

bool is_decided(const sim::VirtualDisk::Image& image, const InstanceId& id) {
  return image.contains(key(RecordKind::kDecision, id));
}

}  // namespace epaxos
