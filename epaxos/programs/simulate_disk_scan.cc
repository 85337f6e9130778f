#include "epaxos/programs/simulate_disk_scan.h"

#include <algorithm>

namespace epaxos {
namespace {

constexpr std::size_t kViolationsMax = 10;

std::optional<InstanceId> instance_of(const RecordKey& key) {
  switch (static_cast<protocol::RecordKind>(key.kind)) {
    case protocol::RecordKind::kPreAccepted:
    case protocol::RecordKind::kRecorded:
    case protocol::RecordKind::kVote:
    case protocol::RecordKind::kDecision:
      return InstanceId{key.row, key.slot};
    default:
      return std::nullopt;
  }
}

}  // namespace

void DiskFacts::wrong(ReplicaId replica, const InstanceId& id, const char* what) {
  if (violations_.size() >= kViolationsMax) return;
  violations_.push_back("the disk of " + to_string(replica) + " holds of " + to_string(id) + ": " +
                        what);
}

template <class Key, class Fact>
void DiskFacts::same(std::map<Key, Fact>& facts, const Key& key, const Fact& fact,
                     ReplicaId replica, const InstanceId& id, const char* what) {
  const auto [at, is_new] = facts.try_emplace(key, fact);
  if (!is_new && !(at->second == fact)) wrong(replica, id, what);
}

void DiskFacts::add(ReplicaId replica, const sim::VirtualDisk::Image& image) {
  std::vector<InstanceId> ids;
  for (const auto& [key, value] : image) {
    if (const auto id = instance_of(key)) ids.push_back(*id);
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (const InstanceId& id : ids) add_instance(replica, id, durable_instance(image, n_, id));
  // In about the order in which they were cast, so that most include all before them.
  const auto slots = [this](const NewVote& vote) {
    std::uint64_t sum = 0;
    for (std::uint16_t row = 0; row < n_; ++row)
      sum += vote.vote.dependencies[ReplicaId(row)].value();
    return std::pair(sum, vote.id);
  };
  std::ranges::sort(new_votes_, {}, slots);
  for (NewVote& vote : new_votes_) add_first_vote(replica, vote.id, std::move(vote.vote));
  new_votes_.clear();
}

void DiskFacts::add_instance(ReplicaId replica, const InstanceId& id,
                             const DurableInstance& on_disk) {
  const auto value = [](bool nop, const Dependencies& dependencies) {
    return nop ? Value(true, {}) : Value(false, dependencies);
  };
  const auto keeps_proposal = [&](const Dependencies& dependencies) {
    return !on_disk.recorded || dependencies.includes(on_disk.initial);
  };
  if (on_disk.recorded) {
    same(payloads_, id, Payload{on_disk.initial, on_disk.block}, replica, id,
         "another payload than elsewhere (I8)");
  }
  if (on_disk.decided) {
    same(decisions_, id, value(on_disk.decided_nop, on_disk.decision), replica, id,
         "another decision than elsewhere, or than before (I1, I2)");
    if (!on_disk.decided_nop && !keeps_proposal(on_disk.decision)) {
      wrong(replica, id, "a decision without a dependency of the proposal");
    }
  }
  if (on_disk.voted) {
    same(votes_, std::pair(id, on_disk.accepted_ballot),
         value(on_disk.vote_nop, on_disk.vote_dependencies), replica, id,
         "another vote than elsewhere at the same ballot (I4)");
    if (!on_disk.vote_nop && !keeps_proposal(on_disk.vote_dependencies)) {
      wrong(replica, id, "a vote without a dependency of the proposal");
    }
    if (on_disk.ballot < on_disk.accepted_ballot) {
      wrong(replica, id, "a vote above the promise");
    }
  }
  if (!on_disk.pre_accepted || !on_disk.recorded) return;
  const Dependencies& vote = on_disk.pre_accept_dependencies;
  const auto known = first_votes_.find({replica, id});
  if (known == first_votes_.end()) {
    new_votes_.push_back({id, {vote, decode_block_footprint(on_disk.block).value()}});
  } else if (known->second.dependencies != vote) {
    wrong(replica, id, "another first vote than before");
  }
}

void DiskFacts::add_first_vote(ReplicaId replica, const InstanceId& id, FirstVote vote) {
  for (const Access access : vote.footprint.accesses()) {
    OnKey& on_key = on_key_.try_emplace({replica, access.key()}, n_).first->second;
    if (!on_key.all_in(vote.dependencies, access)) expect_known(replica, id, vote, on_key.ids());
    on_key.add(id, access);
  }
  first_votes_.emplace(std::pair(replica, id), std::move(vote));
}

void DiskFacts::expect_known(ReplicaId replica, const InstanceId& id, const FirstVote& vote,
                             const std::vector<InstanceId>& others) {
  for (const InstanceId& other_id : others) {
    const FirstVote& other = first_votes_.at({replica, other_id});
    const bool one_knows = vote.dependencies.covers(other_id) || other.dependencies.covers(id);
    if (!one_knows && conflicts(vote.footprint, other.footprint)) {
      wrong(replica, id, "a first vote and another one that do not know each other (I6)");
    }
  }
}

void DiskScan::on_sent(ReplicaId, ReplicaId, Bytes, const sim::VirtualDisk&) {
  if (cluster_.events() < next_) return;
  next_ = cluster_.events() + kEvents;
  finish();
}

/// A disk that was set back or wiped has forgotten what it said, and its replica does not vote.
void DiskScan::finish() {
  for (const ReplicaId replica : cluster_.replicas()) {
    const sim::VirtualDisk& disk = cluster_.disk(replica);
    if (!disk.was_set_back()) facts_.add(replica, disk.image());
  }
}

}  // namespace epaxos
