#include "bench/wan/bounds.h"

#include <algorithm>
#include <array>
#include <utility>

#include "deps/types/check.h"
#include "epaxos/protocol/quorum.h"

namespace epaxos::bench {
namespace {

using compare::paxos::Quorums;

struct Answer {
  Tick at_us = 0;
  ReplicaId from;
};

/// What replicas that live say, in the order in which it arrives; of equals the lowest first.
class Answers {
 public:
  template <class ArrivesAt>
  Answers(const Placement& placement, ArrivesAt arrives_at) {
    for_each_member(placement.living(), [&](ReplicaId from) {
      const Answer answer{arrives_at(from), from};
      std::size_t place = count_++;
      for (; place > 0 && all_[place - 1].at_us > answer.at_us; --place) {
        all_[place] = all_[place - 1];
      }
      all_[place] = answer;
    });
  }
  [[nodiscard]] const Answer* begin() const { return all_.data(); }
  [[nodiscard]] const Answer* end() const { return all_.data() + count_; }
  [[nodiscard]] std::size_t size() const { return count_; }
  const Answer& operator[](std::size_t place) const { return all_[place]; }

 private:
  std::array<Answer, kReplicasMax> all_;
  std::size_t count_ = 0;
};

Answers round_trips(const Placement& placement, ReplicaId asker) {
  return {placement, [&](ReplicaId from) { return placement.round_trip_us(asker, from); }};
}

/// When the answers of a round trip decide which path is taken; kNever: not this one.
Tick path_after_us(const Placement& placement, ReplicaId owner, protocol::Path wanted) {
  protocol::PreAcceptTally tally;
  for (const Answer& answer : round_trips(placement, owner)) {
    tally.answered.add(answer.from);
    if (wanted == protocol::Path::kFast || answer.from == owner) tally.matched.add(answer.from);
    const protocol::Path path =
        tally.path(placement.replica_count(), /*waited=*/false, /*patient=*/false);
    if (path == wanted) return answer.at_us;
    if (path != protocol::Path::kPending) return kNever;
  }
  return kNever;
}

Tick until_chosen_us(const Answers& votes, const Quorums& quorums) {
  ReplicaSet voted;
  for (const Answer& vote : votes) {
    voted.add(vote.from);
    if (quorums.chooses(voted)) return vote.at_us;
  }
  return kNever;
}

Tick sum(Tick a, Tick b) {
  return a == kNever || b == kNever ? kNever : a + b;
}

/// Adds the way between a client and its replica.
template <class AtReplica>
std::vector<Tick> by_site(const Placement& placement, AtReplica at_replica) {
  std::vector<Tick> by_replica(static_cast<std::size_t>(placement.replica_count()), kNever);
  for_each_member(placement.living(),
                  [&](ReplicaId replica) { by_replica[replica.value()] = at_replica(replica); });
  std::vector<Tick> bounds;
  for (std::size_t site = 0; site < placement.topology().site_count(); ++site) {
    const Tick between = placement.to_nearest_us(site) + placement.from_nearest_us(site);
    bounds.push_back(sum(between, by_replica[placement.nearest(site).value()]));
  }
  return bounds;
}

bool has_smaller_mean(const Bounds& a, const Bounds& b) {
  return a.mean_us() < b.mean_us();
}

}  // namespace

Tick fast_path_us(const Placement& placement, ReplicaId owner) {
  return path_after_us(placement, owner, protocol::Path::kFast);
}

Tick slow_path_us(const Placement& placement, ReplicaId owner) {
  // The second round is Paxos: votes of a majority, the owner's among them.
  const Answers votes = round_trips(placement, owner);
  const auto needed =
      static_cast<std::size_t>(protocol::slow_quorum_size(placement.replica_count()));
  const Tick second = votes.size() < needed ? kNever : votes[needed - 1].at_us;
  // A group of one has nobody to differ from.
  if (placement.replica_count() == 1) return fast_path_us(placement, owner);
  return sum(path_after_us(placement, owner, protocol::Path::kSlow), second);
}

Tick chosen_after_us(const Placement& placement, ReplicaId leader, const Quorums& quorums) {
  return until_chosen_us(round_trips(placement, leader), quorums);
}

Tick through_leader_us(const Placement& placement, ReplicaId at, ReplicaId leader,
                       const Quorums& quorums) {
  return sum(placement.round_trip_us(at, leader), chosen_after_us(placement, leader, quorums));
}

Tick learning_from_all_us(const Placement& placement, ReplicaId at, ReplicaId leader,
                          const Quorums& quorums) {
  const Answers votes(placement, [&](ReplicaId from) {
    return placement.one_way_us(leader, from) + placement.one_way_us(from, at);
  });
  // Nobody knows what is chosen before it has the command, from the leader. Where a vote is slow on
  // its way to here, the leader may tell first.
  const Tick chosen = until_chosen_us(votes, quorums);
  const Tick counted = chosen == kNever ? kNever
                                        : placement.one_way_us(at, leader) +
                                              std::max(chosen, placement.one_way_us(leader, at));
  return std::min(counted, through_leader_us(placement, at, leader, quorums));
}

bool Bounds::possible() const {
  return std::ranges::find(by_site_us, kNever) == by_site_us.end();
}

double Bounds::mean_us() const {
  check(possible(), "the mean of what is impossible was asked for");
  double all = 0;
  for (const Tick bound : by_site_us) all += static_cast<double>(bound);
  return all / static_cast<double>(by_site_us.size());
}

Bounds epaxos_fast_path(const Placement& placement) {
  return {"epaxos", "fast path", {}, by_site(placement, [&](ReplicaId owner) {
            return fast_path_us(placement, owner);
          })};
}

Bounds epaxos_slow_path(const Placement& placement) {
  return {"epaxos", "slow path", {}, by_site(placement, [&](ReplicaId owner) {
            return slow_path_us(placement, owner);
          })};
}

Bounds by_leader(const Placement& placement, ReplicaId leader, const Quorums& quorums) {
  const Tick chosen = chosen_after_us(placement, leader, quorums);
  return {"raft, multipaxos", "leader", leader, by_site(placement, [&](ReplicaId at) {
            return sum(placement.round_trip_us(at, leader), chosen);
          })};
}

Bounds by_leader_learning_from_all(const Placement& placement, ReplicaId leader,
                                   const Quorums& quorums) {
  return {"multipaxos-all", "leader", leader, by_site(placement, [&](ReplicaId at) {
            return learning_from_all_us(placement, at, leader, quorums);
          })};
}

const Bounds& best_of(const std::vector<Bounds>& bounds) {
  check(!bounds.empty(), "the best of none was asked for");
  return *std::ranges::min_element(bounds, has_smaller_mean);
}

const Bounds& worst_of(const std::vector<Bounds>& bounds) {
  check(!bounds.empty(), "the worst of none was asked for");
  return *std::ranges::max_element(bounds, has_smaller_mean);
}

}  // namespace epaxos::bench
