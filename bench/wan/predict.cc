#include "bench/wan/predict.h"

#include <utility>

#include "compare/multipaxos/options.h"

namespace epaxos::bench {
namespace {

using compare::paxos::Quorums;

/// The share of slow paths at which fast + share * (slow - fast) reaches what a leader takes.
Crossover crossover_of(double fast, double slow, double leader) {
  if (leader <= fast) return 0;
  if (leader >= slow) return std::nullopt;
  return (leader - fast) / (slow - fast);
}

Result<std::optional<Quorums>> flexible_quorums(int phase2, int replica_count) {
  if (phase2 == 0) return std::optional<Quorums>();
  if (phase2 > replica_count) {
    return fail(ErrorCode::kInvalidArgument, "--q2 " + std::to_string(phase2) +
                                                 " is more than there are replicas. Take 1 to " +
                                                 std::to_string(replica_count) + ".");
  }
  const Result<Quorums> quorums =
      compare::multipaxos::quorums_of({.phase2 = phase2}, replica_count);
  if (!quorums) return fail(quorums.error());
  return std::optional<Quorums>(*quorums);
}

}  // namespace

std::vector<const Bounds*> Situation::all() const {
  std::vector<const Bounds*> all{&fast, &slow};
  for (const auto* bounds : {&leaders, &leaders_all, &leaders_flexible}) {
    for (const Bounds& each : *bounds) all.push_back(&each);
  }
  return all;
}

Situation situation_of(const Placement& placement, const std::optional<Quorums>& flexible,
                       int phase2) {
  const Quorums majorities = Quorums::majorities(placement.replica_count());
  Situation s{placement, epaxos_fast_path(placement), epaxos_slow_path(placement), {}, {}, {}, {},
              {}};
  for (const ReplicaId leader : members_of(placement.living())) {
    s.leaders.push_back(by_leader(placement, leader, majorities));
    s.leaders_all.push_back(by_leader_learning_from_all(placement, leader, majorities));
    if (!flexible) continue;
    Bounds& bounds = s.leaders_flexible.emplace_back(by_leader(placement, leader, *flexible));
    bounds.protocol = "multipaxos";
    bounds.way = "leader, q2=" + std::to_string(phase2);
  }
  const Bounds& best = best_of(s.leaders);
  if (!s.fast.possible()) return s;
  s.crossover = crossover_of(s.fast.mean_us(), s.slow.mean_us(), best.mean_us());
  for (std::size_t site = 0; site < placement.topology().site_count(); ++site) {
    s.crossover_sites.push_back(crossover_of(static_cast<double>(s.fast.by_site_us[site]),
                                             static_cast<double>(s.slow.by_site_us[site]),
                                             static_cast<double>(best.by_site_us[site])));
  }
  return s;
}

Result<Prediction> predict(const PredictOptions& options) {
  Result<Places> places = places_of(options.places);
  if (!places) return fail(places.error());
  const Placement& everybody = places->placement;
  const Result<Placement> left = everybody.without(options.down);
  if (!left) return fail(left.error());
  const auto flexible = flexible_quorums(options.phase2, left->replica_count());
  if (!flexible) return fail(flexible.error());

  Prediction prediction{std::move(places->topology),
                        situation_of(*left, *flexible, options.phase2),
                        {},
                        std::move(places->best)};
  for (const ReplicaId lost : members_of(left->living())) {
    const Result<Placement> rest = left->without({left->name_of(lost)});
    if (!rest) continue;
    prediction.one_down.push_back(situation_of(*rest, *flexible, options.phase2));
  }
  return prediction;
}

}  // namespace epaxos::bench
