#include "epaxos/programs/simulate_speech_checker.h"

#include <algorithm>

#include "epaxos/protocol/message_codec.h"

namespace epaxos {
namespace {

using protocol::MessageType;

}  // namespace

SpeechChecker::SpeechChecker(sim::Cluster& cluster)
    : cluster_(cluster), n_(cluster.size()), highest_floor_(cluster.size()) {
}

std::uint64_t SpeechChecker::said(ReplicaId from, MessageType type) const {
  const auto found = said_.find({from, type});
  return found == said_.end() ? 0 : found->second;
}

std::uint64_t SpeechChecker::said(MessageType type) const {
  std::uint64_t sum = 0;
  for (const ReplicaId replica : cluster_.replicas()) sum += said(replica, type);
  return sum;
}

/// The first few of each kind tell enough.
bool SpeechChecker::is_news(const char* what) {
  return ++of_kind_[what] <= 3;
}

void SpeechChecker::expect(bool holds, const InstanceId& id, const char* what) {
  if (holds || !is_news(what)) return;
  violations_.push_back(to_string(from_) + " said of " + to_string(id) + ": " + what);
}

template <class Key, class Value>
void SpeechChecker::told(std::map<Key, Value>& facts, const Key& fact, const Value& value,
                         const char* what) {
  const auto [at, is_new] = facts.try_emplace(fact, value);
  if (is_new || at->second == value || !is_news(what)) return;
  violations_.push_back(to_string(from_) + " contradicts what was said: " + what);
}

/// A replica whose disk was wiped or set back keeps no promise. That it must find out, and that the
/// others stay right, is checked elsewhere; its own words are not worth a look.
void SpeechChecker::on_started(ReplicaId replica) {
  const sim::VirtualDisk& disk = cluster_.disk(replica);
  if (disk.was_set_back()) forgetful_.insert(replica);
  if (!forgetful_.contains(replica)) expect_promises_kept(replica, disk);
  const Dependencies floor = durable_floor(disk, n_, replica);
  for (auto vote = votes_.lower_bound({replica, InstanceId()});
       vote != votes_.end() && vote->first.first == replica; ++vote) {
    const InstanceId& id = vote->first.second;
    const DurableInstance on_disk = durable_instance(disk.image(), n_, id);
    if (!on_disk.pre_accepted && !floor.covers(id)) forgetful_.insert(replica);
  }
}

// --- What is said ------------------------------------------------------------------------------

void SpeechChecker::on_sent(ReplicaId from, ReplicaId to, Bytes bundle,
                            const sim::VirtualDisk& disk) {
  if (forgetful_.contains(from)) return;
  from_ = from;
  disk_ = &disk;
  cluster_.read_bundle(to, bundle, [&](const net::Frame& frame) { check_frame(frame); });
}

void SpeechChecker::check_frame(const net::Frame& frame) {
  const auto type = static_cast<MessageType>(frame.type);
  ++said_[{from_, type}];
  const auto with = [&](auto message) {
    check(decode(frame.body, n_, message), "a message left that does not decode");
    if constexpr (requires { message.instance; }) {
      if (is_dropped(message.instance)) return;  // It was there when the message was written.
    }
    check_message(message);
  };
  switch (type) {
    case MessageType::kPreAccept:
      return with(protocol::PreAccept());
    case MessageType::kPreAcceptOk:
      return with(protocol::PreAcceptOk());
    case MessageType::kAccept:
      return with(protocol::Accept());
    case MessageType::kAcceptOk:
      return with(protocol::AcceptOk());
    case MessageType::kCommit:
      return with(protocol::Commit());
    case MessageType::kRecover:
      return with(protocol::Recover());
    case MessageType::kRecoverOk:
      return with(protocol::RecoverOk());
    case MessageType::kValidate:
      return with(protocol::Validate());
    case MessageType::kValidateOk:
      return with(protocol::ValidateOk());
    case MessageType::kLearn:
      return with(protocol::Learn());
    case MessageType::kFrontier:
      return with(protocol::Frontier());
    default:
      return;  // Questions, and answers that promise nothing.
  }
}

/// What all have executed may be gone from the disk, and then nothing can be held against it.
bool SpeechChecker::is_dropped(const InstanceId& id) const {
  return !has_records(disk_->image(), id) && durable_floor(*disk_, n_, from_).covers(id);
}

/// An image of a peer says that it is executed; the decision is elsewhere.
bool SpeechChecker::is_covered(const InstanceId& id) const {
  const auto coverage = durable_coverage(*disk_, n_);
  return coverage && covers(*coverage, id);
}

void SpeechChecker::learn_commands(const InstanceId& id, Bytes block) {
  if (block.empty()) return;
  if (!footprints_.contains(id)) footprints_[id] = decode_block_footprint(block).value();
  std::vector<Command> commands;
  decode_block_commands(block, commands);
  for (const Command& command : commands) {
    std::vector<InstanceId>& known = instances_[command.id];
    if (std::ranges::find(known, id) == known.end()) known.push_back(id);
  }
}

/// What an owner proposed is one for ever, whoever repeats it (I1).
void SpeechChecker::expect_proposal(const InstanceId& id, const Dependencies& initial,
                                    Bytes block) {
  const Words words(block.begin(), block.end());
  told(proposals_, id, {initial, words}, "one instance, two proposals");
  learn_commands(id, block);
}

void SpeechChecker::check_message(const protocol::PreAccept& message) {
  const InstanceId& id = message.instance;
  const Words block(message.block.begin(), message.block.end());
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, id);
  expect(on_disk.recorded && on_disk.pre_accepted, id, "PreAccept, without its record");
  expect(!on_disk.recorded || (on_disk.initial == message.initial && on_disk.block == block), id,
         "PreAccept, with another record");
  if (!proposals_.contains(id)) {
    Slot& highest = own_slots_[from_];
    // A host writes to one peer after the other, so if each is asked about other slots, their order
    // is not that of the first words about them.
    expect(id.slot > highest || cluster_.thrifty(), id,
           "PreAccept, in a slot below one that it has used before (C10)");
    highest = std::max(highest, id.slot);
  }
  expect_proposal(id, message.initial, message.block);
  // The owner's own vote.
  if (!votes_.contains({from_, id})) expect_lemmas(id, message.initial);
  told(votes_, std::pair(from_, id), message.initial, "an owner's vote for something else");
}

void SpeechChecker::check_message(const protocol::PreAcceptOk& message) {
  const InstanceId& id = message.instance;
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, id);
  expect(on_disk.recorded && on_disk.pre_accepted, id, "PreAcceptOk, without its record");
  if (!on_disk.pre_accepted || !on_disk.recorded) return;
  const Dependencies& said = message.initial ? on_disk.initial : message.dependencies;
  expect(on_disk.pre_accept_dependencies == said, id, "PreAcceptOk, with another vote on disk");
  if (!votes_.contains({from_, id})) expect_lemmas(id, said);
  told(votes_, std::pair(from_, id), said, "one PreAccept, two answers");
  for (const Validation& validation : validations_[from_]) expect_validation(validation, id);
}

void SpeechChecker::check_message(const protocol::Accept& message) {
  const InstanceId& id = message.instance;
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, id);
  const bool covered = on_disk.voted && on_disk.accepted_ballot >= message.ballot;
  expect(covered, id, "Accept, without its own vote");
  note_promise(id, message.ballot);
  note_vote(id, message.ballot);
  if (covered && on_disk.accepted_ballot == message.ballot && !message.nop) {
    expect(on_disk.vote_dependencies == message.dependencies, id, "Accept, with another vote");
  }
  told(accepts_, std::pair(id, message.ballot), std::pair(message.nop, message.dependencies),
       "one ballot, two values");
  // Whatever was decided, no higher ballot proposes anything else (I8).
  Ballot& highest = highest_accepts_[id];
  const auto decision = decisions_.find(id);
  if (message.ballot > highest && decision != decisions_.end()) {
    expect(decision->second == std::pair(message.nop, message.dependencies), id,
           "Accept, with another value than the decision");
  }
  highest = std::max(highest, message.ballot);
  if (!message.nop) learn_commands(id, message.block);
}

void SpeechChecker::check_message(const protocol::Recover& message) {
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, message.instance);
  expect(on_disk.ballot >= message.ballot || on_disk.decided, message.instance,
         "Recover, without its promise");
  note_promise(message.instance, message.ballot);
}

void SpeechChecker::check_message(const protocol::RecoverOk& message) {
  const InstanceId& id = message.instance;
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, id);
  expect(on_disk.ballot >= message.ballot, id, "RecoverOk, without its promise");
  note_promise(id, message.ballot);
  if (message.recorded) {
    expect(on_disk.recorded, id, "RecoverOk, without its record");
    expect_proposal(id, message.initial, message.block);
  }
  if (message.pre_accepted) {
    expect(on_disk.pre_accepted, id, "RecoverOk, without its first vote");
    told(votes_, std::pair(from_, id), message.pre_accept_dependencies, "two first votes");
  }
  if (!message.voted) return;
  const bool covered = on_disk.voted && on_disk.accepted_ballot >= message.accepted_ballot;
  expect(covered, id, "RecoverOk, without its vote");
  told(accepts_, std::pair(id, message.accepted_ballot),
       std::pair(message.vote_nop, message.vote_dependencies), "one ballot, two values");
}

void SpeechChecker::check_message(const protocol::Validate& message) {
  expect_proposal(message.instance, message.initial, message.block);
}

void SpeechChecker::check_message(const protocol::ValidateOk& message) {
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, message.instance);
  expect(on_disk.recorded, message.instance, "ValidateOk, without its record");
  Validation& validation = validations_[from_].emplace_back();
  validation.instance = message.instance;
  validation.floor = durable_floor(*disk_, n_, from_);
  validation.settled = message.blockers.size() == 1 && message.blockers[0].committed;
  for (const protocol::ValidationBlocker& blocker : message.blockers) {
    validation.blockers.push_back(blocker.instance);
    const DurableInstance other = durable_instance(disk_->image(), n_, blocker.instance);
    if (is_dropped(blocker.instance)) continue;
    expect(!blocker.matched || other.pre_accepted, blocker.instance,
           "a blocker with a first vote that is not on disk");
    expect(!blocker.committed || other.decided || is_covered(blocker.instance), blocker.instance,
           "a decided blocker whose decision is not on disk");
  }
  for (auto vote = votes_.lower_bound({from_, InstanceId()});
       vote != votes_.end() && vote->first.first == from_; ++vote) {
    expect_validation(validation, vote->first.second);
  }
}

void SpeechChecker::check_message(const protocol::AcceptOk& message) {
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, message.instance);
  expect(on_disk.voted && on_disk.accepted_ballot >= message.ballot, message.instance,
         "AcceptOk, without its vote");
  expect(on_disk.ballot >= message.ballot, message.instance, "AcceptOk, without its promise");
  note_promise(message.instance, message.ballot);
  note_vote(message.instance, message.ballot);
}

void SpeechChecker::check_message(const protocol::Commit& message) {
  const InstanceId& id = message.instance;
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, id);
  const bool nop = message.kind == protocol::CommitKind::kNop;
  Dependencies said = message.dependencies;
  if (message.kind == protocol::CommitKind::kInitial) said = on_disk.initial;
  if (nop) said = {};
  // Decided here; or by a quorum of votes at the slow path, of which the sender's own is durable.
  const bool decided =
      on_disk.decided && on_disk.decided_nop == nop && (nop || on_disk.decision == said);
  const bool voted = on_disk.voted && on_disk.vote_dependencies == said;
  expect(decided || voted, id, "Commit, without a decision or a vote for it");
  decided_floors_.try_emplace(id, highest_floor_);
  told(decisions_, id, std::pair(nop, said), "one instance, two decisions");
}

void SpeechChecker::check_message(const protocol::Learn& message) {
  const DurableInstance on_disk = durable_instance(disk_->image(), n_, message.instance);
  expect(on_disk.recorded, message.instance, "Learn, without its record");
  expect_proposal(message.instance, message.initial, message.block);
}

void SpeechChecker::check_message(const protocol::Frontier& message) {
  if (!message.non_voting) highest_floor_.merge(message.floor);  // It may hold there alone (14.4).
  const Dependencies floor = durable_floor(*disk_, n_, from_);
  for (std::uint16_t row = 0; row < n_; ++row) {
    Slot& known = decided_up_to_[{from_, ReplicaId(row)}];
    for (; known < message.executed[ReplicaId(row)]; known = known.next()) {
      const InstanceId id{ReplicaId(row), known.next()};
      if (floor.covers(id) || is_decided(disk_->image(), id) || is_covered(id)) continue;
      return expect(false, id, "executed, by gossip, without its decision");
    }
  }
}

/// Messages overtake each other, so a lower ballot may well be said after a higher one. But what
/// was ever promised and voted is on disk for ever, whatever lies between: a crash, a restart.
void SpeechChecker::expect_promises_kept(ReplicaId replica, const sim::VirtualDisk& disk) {
  from_ = replica;
  const Dependencies floor = durable_floor(disk, n_, replica);
  for (auto each = promises_.lower_bound({replica, InstanceId()});
       each != promises_.end() && each->first.first == replica; ++each) {
    const InstanceId& id = each->first.second;
    const Promise& told = each->second;
    const DurableInstance on_disk = durable_instance(disk.image(), n_, id);
    if (on_disk.decided || floor.covers(id)) continue;
    expect(on_disk.ballot >= told.ballot, id, "a promise that its disk has lost (C10)");
    expect(!told.voted || (on_disk.voted && on_disk.accepted_ballot >= told.accepted_ballot), id,
           "a vote that its disk has lost (C10)");
  }
}

void SpeechChecker::note_promise(const InstanceId& id, Ballot ballot) {
  Ballot& promised = promises_[{from_, id}].ballot;
  promised = std::max(promised, ballot);
}

void SpeechChecker::note_vote(const InstanceId& id, Ballot ballot) {
  Promise& promise = promises_[{from_, id}];
  promise.voted = true;
  promise.accepted_ballot = std::max(promise.accepted_ballot, ballot);
}

/// Whichever of two conflicting proposals a replica voted for second, that vote has the first one,
/// or the second proposal is in the first one's own (lemma 2). In which order it voted is not
/// heard.
void SpeechChecker::expect_lemmas(const InstanceId& id, const Dependencies& vote) {
  constexpr std::size_t kWindow = 512;
  const auto proposal = proposals_.find(id);
  if (proposal == proposals_.end()) return;
  const Dependencies& initial = proposal->second.first;
  for (const Access access : footprints_[id].accesses()) {
    OnKey& on_key = votes_on_key_.try_emplace({from_, access.key()}, n_).first->second;
    const std::vector<InstanceId>& earlier = on_key.ids();
    std::size_t first = earlier.size() > kWindow ? earlier.size() - kWindow : 0;
    if (on_key.all_in(vote, access)) first = earlier.size();  // And so they are no rivals (I7).
    for (std::size_t i = first; i < earlier.size(); ++i) {
      const InstanceId& other = earlier[i];
      if (!conflicts(footprints_[other], footprints_[id])) continue;
      const Dependencies& others_vote = votes_[{from_, other}];
      expect(vote.covers(other) || others_vote.covers(id), id,
             "first votes for two conflicting proposals, neither with the other (I6)");
      const bool apart = !initial.covers(other) && !proposals_[other].first.covers(id);
      expect(!apart || vote != initial || others_vote != proposals_[other].first, id,
             "first votes for two proposals that exclude each other (I7)");
    }
    on_key.add(id, access);
  }
}

/// Whatever a replica has validated it has recorded: a conflicting first vote that comes later has
/// it, and one that came earlier was named as a blocker, or its decision settles the matter.
void SpeechChecker::expect_validation(const Validation& validation, const InstanceId& voted) {
  const InstanceId& id = validation.instance;
  const auto proposal = proposals_.find(voted);
  if (id == voted || proposal == proposals_.end()) return;
  // All had executed it (14.2), or a decided blocker was named alone, which settles the matter
  // (V1).
  if (validation.floor.covers(voted) || validation.settled) return;
  if (!conflicts(footprints_[id], footprints_[voted])) return;
  const auto decision = decisions_.find(voted);
  const bool settled = decision != decisions_.end() &&
                       (decision->second.first || decision->second.second.covers(id));
  const bool named = std::ranges::find(validation.blockers, voted) != validation.blockers.end();
  expect(settled || named || votes_[{from_, voted}].covers(id) ||
             proposal->second.first.covers(id) || proposals_[id].first.covers(voted),
         voted,
         "a first vote without a conflict that it had validated before, or did not name (I6)");
}

void SpeechChecker::finish() {
  // In about the order in which they were proposed, so that most include all before them.
  std::vector<std::pair<std::uint64_t, InstanceId>> in_order;
  for (const auto& [id, decision] : decisions_) {
    if (decision.first) continue;  // Nop.
    std::uint64_t slots = 0;
    for (std::uint16_t row = 0; row < n_; ++row) slots += decision.second[ReplicaId(row)].value();
    in_order.emplace_back(slots, id);
  }
  std::ranges::sort(in_order);
  std::map<std::uint64_t, OnKey> on_keys;
  for (const auto& [slots, id] : in_order) {
    const Dependencies& decision = decisions_[id].second;
    for (const Access access : footprints_[id].accesses()) {
      OnKey& on_key = on_keys.try_emplace(access.key(), n_).first->second;
      if (!on_key.all_in(decision, access)) expect_known(id, decision, on_key.ids());
      on_key.add(id, access);
    }
  }
}

/// Of two conflicting decisions one includes the other, unless all had executed one of them before
/// the other one was made (I3, 14.2).
void SpeechChecker::expect_known(const InstanceId& id, const Dependencies& decision,
                                 const std::vector<InstanceId>& others) {
  for (const InstanceId& other : others) {
    if (!conflicts(footprints_[id], footprints_[other]) || decision.covers(other)) continue;
    if (decided_floors_.at(id).covers(other) || decided_floors_.at(other).covers(id)) continue;
    expect(decisions_[other].second.covers(id), id,
           "a decision; a conflicting one and this do not know of each other");
  }
}

void SpeechChecker::on_acknowledged(ReplicaId replica, CommandId command, Bytes) {
  from_ = replica;
  const sim::VirtualDisk& disk = cluster_.disk(replica);
  disk_ = &disk;
  if (n_ == 1) return;  // Nobody ever heard in which instance it is.
  const std::vector<InstanceId>& instances = instances_[command];
  const bool decided = std::ranges::any_of(instances, [&](const InstanceId& id) {
    const DurableInstance on_disk = durable_instance(disk.image(), n_, id);
    if (on_disk.decided && !on_disk.decided_nop) return true;
    return durable_floor(disk, n_, replica).covers(id) || is_covered(id);
  });
  expect(decided, instances.empty() ? InstanceId() : instances.front(),
         "executed, to a client, without its decision");
}

}  // namespace epaxos
