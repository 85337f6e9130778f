#pragma once

// Messages of peers as a fuzzer's input describes them: well-formed by default, of few instances,
// keys and ballots, so that they meet; and mostly true to one story, so that they are not refused
// at once: an instance has one proposal unless the input says otherwise.

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "epaxos/protocol/message_codec.h"
#include "tests/fuzz/input.h"

namespace epaxos::fuzz {

class MessageSource {
 public:
  MessageSource(Input& input, int n) : input_(input), n_(n) {
    const auto block = [&](std::vector<Footprint> footprints) {
      std::vector<Proposal> proposals;
      for (const Footprint& footprint : footprints) {
        const std::uint64_t number = 100 * (blocks_.size() + 1) + proposals.size();
        proposals.push_back({{{9, number}, 0, !footprint.writes(), {}}, footprint});
      }
      const Footprint all = merged_footprint(proposals);
      std::vector<std::byte>& bytes = blocks_.emplace_back(block_bytes(proposals, all));
      encode_block(proposals, all, bytes);
    };
    block({Footprint::write("a")});
    block({Footprint::write("b")});
    block({Footprint::read("a")});
    block({Footprint::everything()});
    block({Footprint::write("a"), Footprint::write("b")});
    blocks_.emplace_back(8);  // No command at all.
  }

  ReplicaId replica() { return ReplicaId(static_cast<std::uint16_t>(input_.below(rows()))); }

  InstanceId instance() {
    const InstanceId id = any_instance();
    if (id.row.value() > 0 || id.slot.value() <= first_row_slots_ || is_rare()) return id;
    return {ReplicaId(1), id.slot};
  }

  /// One key a command of few.
  Footprint footprint() {
    switch (input_.below(5)) {
      case 0:
        return Footprint::write("b");
      case 1:
        return Footprint::read("a");
      case 2:
        return Footprint::everything();
      default:
        return Footprint::write("a");
    }
  }

  /// The replica under test asks about these at these ballots: answers mostly fit, and are mostly
  /// about the latest.
  void follow(const std::map<InstanceId, Ballot>& asked, const InstanceId& latest) {
    asked_ = asked;
    latest_ = latest;
  }
  /// R0 is under test and has proposed so many instances. A peer that names more of them tells it
  /// that its disk forgot something, after which it votes no more: that is said rarely.
  void limit_first_row(std::uint64_t slots) { first_row_slots_ = slots; }

  /// R0 has executed so much. What peers say they executed and dropped is mostly that, and the
  /// instances that they name lie about there: more tells R0 that it has forgotten something.
  void follow_executed(const Dependencies& executed) { executed_ = executed; }

  Slice commit(const InstanceId& id, Effects& out) {
    const auto kind = static_cast<protocol::CommitKind>(input_.below(4));
    const Dependencies dependencies = grown(id);
    return encode(protocol::Commit{id, kind, dependencies, block(id)}, out);
  }

  /// One body of this type in `out`, as `from` may say it. Unknown types give an empty body.
  Slice body(protocol::MessageType type, Effects& out, ReplicaId from = ReplicaId(1)) {
    const InstanceId id = is_answer(type) ? asked_instance() : instance();
    switch (type) {
      case protocol::MessageType::kPreAccept:
        return encode(protocol::PreAccept{id, initial(id), block(id)}, out);
      case protocol::MessageType::kPreAcceptOk:
        return encode(protocol::PreAcceptOk{id, input_.flag(), grown(id)}, out);
      case protocol::MessageType::kAccept:
        return encode(
            protocol::Accept{id, ballot_of(from), input_.below(4) == 0, grown(id), block(id)}, out);
      case protocol::MessageType::kAcceptOk:
        return encode(protocol::AcceptOk{id, asked_ballot(id)}, out);
      case protocol::MessageType::kCommit:
        return commit(id, out);
      case protocol::MessageType::kNack:
        return encode(protocol::Nack{id, asked_ballot(id), ballot()}, out);
      case protocol::MessageType::kRecover:
        return encode(protocol::Recover{id, ballot_of(from)}, out);
      case protocol::MessageType::kRecoverOk:
        return encode(recover_ok(id), out);
      case protocol::MessageType::kValidate:
        return encode(protocol::Validate{id, ballot_of(from), initial(id), block(id)}, out);
      case protocol::MessageType::kValidateOk:
        return encode(validate_ok(id), out);
      case protocol::MessageType::kWaiting:
        return encode(protocol::Waiting{id, static_cast<std::uint16_t>(input_.byte() % (1u << n_))},
                      out);
      case protocol::MessageType::kStatus:
        return encode(protocol::Status{id}, out);
      case protocol::MessageType::kFetchRange:
        return encode(protocol::FetchRange{id.row, id.slot, Slot(id.slot.value() + input_.byte())},
                      out);
      case protocol::MessageType::kRangeEnd:
        return encode(protocol::RangeEnd{id.row, id.slot, input_.flag()}, out);
      case protocol::MessageType::kLearn:
        return encode(protocol::Learn{id, initial(id), block(id)}, out);
      case protocol::MessageType::kFrontier:
        return encode(frontier(), out);
      case protocol::MessageType::kTruncated:
        return encode(protocol::Truncated{id, floor()}, out);
      case protocol::MessageType::kFence:
        return encode(protocol::Fence{input_.byte(), Tick{input_.byte()} * 4'096, footprint()},
                      out);
      case protocol::MessageType::kUnfence:
        return encode(protocol::Unfence{input_.byte()}, out);
      case protocol::MessageType::kVectorFloor:
        return encode(protocol::VectorFloor{input_.flag() ? floor() : limited(any())}, out);
    }
    return {};
  }

 private:
  [[nodiscard]] unsigned rows() const { return static_cast<unsigned>(n_); }
  bool is_rare() { return input_.byte() == 255; }

  InstanceId any_instance() {
    const ReplicaId row = replica();
    const std::uint8_t byte = input_.byte();
    if (byte == 255) return {row, Slot(input_.number<std::uint64_t>() % protocol::kSlotMax + 1)};
    if (byte >= 250) return {row, Slot(64u * (byte - 249u))};
    const std::uint64_t executed = executed_ && byte % 2 == 0 ? (*executed_)[row].value() : 0;
    return {row, Slot(std::min(executed + 1u + byte / 2u % 6, protocol::kSlotMax))};
  }
  /// What a peer may have dropped, if R0 has forgotten nothing.
  Dependencies floor() {
    if (!executed_ || is_rare()) return any();
    Dependencies floor = *executed_;
    if (input_.flag()) floor.limit(any());
    return floor;
  }
  protocol::Frontier frontier() {
    protocol::Frontier message;
    message.floor = floor();
    message.executed = input_.flag() ? any() : floor();
    message.known = any();
    message.non_voting = input_.below(16) == 15;
    if (is_rare()) message.forgetful = static_cast<std::uint16_t>(input_.byte() % (1u << n_));
    return message;
  }
  /// Dependencies that name no instance of the first row that it has not proposed.
  Dependencies limited(Dependencies dependencies) {
    Slot& first = dependencies[ReplicaId(0)];
    if (first.value() > first_row_slots_ && !is_rare()) first = Slot(first_row_slots_);
    return dependencies;
  }

  [[nodiscard]] static bool is_answer(protocol::MessageType type) {
    return type == protocol::MessageType::kRecoverOk ||
           type == protocol::MessageType::kValidateOk || type == protocol::MessageType::kAcceptOk ||
           type == protocol::MessageType::kNack;
  }
  InstanceId asked_instance() {
    if (asked_.empty() || input_.below(8) == 7) return instance();
    if (input_.below(4) != 3) return latest_;
    auto found = asked_.begin();
    std::advance(found, input_.byte() % asked_.size());
    return found->first;
  }
  Ballot asked_ballot(const InstanceId& id) {
    const auto found = asked_.find(id);
    return found == asked_.end() || input_.below(8) == 7 ? ballot() : found->second;
  }
  Ballot ballot_of(ReplicaId from) {
    Ballot mostly = ballot();
    if (mostly.round > 0 && input_.below(8) != 7) mostly.replica = from;
    return mostly;
  }

  Ballot ballot() {
    const unsigned round = input_.below(4);
    return round == 0 ? kInitialBallot : Ballot{round, replica()};
  }

  Dependencies any() {
    Dependencies dependencies(n_);
    for (unsigned row = 0; row < rows(); ++row) {
      dependencies[ReplicaId(static_cast<std::uint16_t>(row))] = Slot(input_.below(8));
    }
    return limited(dependencies);
  }

  /// What the owner of the instance proposed, if it is true to its story.
  Dependencies initial(const InstanceId& id) {
    if (input_.below(16) == 15) return any();
    Dependencies dependencies(n_);
    for (unsigned row = 0; row < rows(); ++row) {
      const ReplicaId at(static_cast<std::uint16_t>(row));
      const std::uint64_t slot = mix64(id.slot.value() * 16 + id.row.value() + row) % 4;
      dependencies[at] = at == id.row ? Slot(id.slot.value() - 1) : Slot(slot);
    }
    // An owner's proposal never changes, so it names none of the first row unless there are many.
    if (id.row.value() > 0 && first_row_slots_ < 4) dependencies[ReplicaId(0)] = Slot(0);
    return dependencies;
  }

  /// The same with more of one row.
  Dependencies grown(const InstanceId& id) {
    Dependencies dependencies = initial(id);
    const ReplicaId row = replica();
    if (row != id.row) dependencies.raise(row, Slot(input_.below(6)));
    return id.row.value() == 0 ? dependencies : limited(dependencies);
  }

  Bytes block(const InstanceId& id) {
    const std::uint8_t byte = input_.byte();
    if (byte >= 240) return blocks_[byte % blocks_.size()];
    return blocks_[mix64(id.slot.value() * 16 + id.row.value()) % (blocks_.size() - 1)];
  }

  protocol::RecoverOk recover_ok(const InstanceId& id) {
    protocol::RecoverOk message;
    message.instance = id;
    message.ballot = asked_ballot(id);
    const std::uint8_t facts = input_.byte();
    message.recorded = (facts & 1) != 0;
    message.pre_accepted = message.recorded && (facts & 2) != 0;
    message.voted = (facts & 4) != 0 && (facts & 96) == 0;
    message.vote_nop = message.voted && (facts & 8) != 0;
    if (message.voted) message.accepted_ballot = ballot();
    message.initial = initial(id);
    message.pre_accept_dependencies = (facts & 16) != 0 ? message.initial : grown(id);
    message.vote_dependencies = grown(id);
    message.block = block(id);
    return message;
  }

  protocol::ValidateOk validate_ok(const InstanceId& id) {
    protocol::ValidateOk message;
    message.instance = id;
    message.ballot = asked_ballot(id);
    for (unsigned count = input_.below(3); count > 0; --count) {
      const InstanceId blocker = instance();
      message.blockers.push_back({blocker, input_.flag(), input_.flag()});
    }
    return message;
  }

  Input& input_;
  const int n_;
  std::map<InstanceId, Ballot> asked_;
  InstanceId latest_;
  std::optional<Dependencies> executed_;
  std::uint64_t first_row_slots_ = protocol::kSlotMax;
  std::vector<std::vector<std::byte>> blocks_;
};

}  // namespace epaxos::fuzz
