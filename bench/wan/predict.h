#pragma once

// Everything that follows from the delays alone: bounds of all protocols, who leads best, when a
// leader wins, what one site's loss costs, and where replicas stand best.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/wan/bounds.h"

namespace epaxos::bench {

struct PredictOptions {
  std::string topology;
  std::vector<std::string> sites = {};     ///< Of the topology; empty: all.
  std::vector<std::string> replicas = {};  ///< Empty: at every site.
  std::vector<std::string> down = {};
  int phase2 = 0;  ///< Of flexible quorums; 0: none are asked about.
  int place = 0;   ///< So many replicas are placed best; 0: none is.
  std::string csv = {};
  std::string json = {};
};

/// From which share of slow paths on a leader is faster, 0 .. 1; none: never.
using Crossover = std::optional<double>;

/// The bounds while some sites may be down.
struct Situation {
  Placement placement;
  Bounds fast;
  Bounds slow;
  std::vector<Bounds> leaders;             ///< Raft and Multi-Paxos, a living leader each.
  std::vector<Bounds> leaders_all;         ///< Where acceptors tell everybody.
  std::vector<Bounds> leaders_flexible;    ///< With PredictOptions::phase2.
  Crossover crossover;                     ///< Of the means, against the best leader.
  std::vector<Crossover> crossover_sites;  ///< The same of each site.

  /// All of them, in the order of a table.
  [[nodiscard]] std::vector<const Bounds*> all() const;
};

/// Replicas at these sites: what their clients, at all sites, wait for on average.
struct Candidate {
  std::vector<std::size_t> replica_sites;
  double epaxos_us = 0;  ///< The fast path.
  double leader_us = 0;  ///< Raft and Multi-Paxos, with the best leader.
  ReplicaId leader;
};

struct Prediction {
  std::unique_ptr<const Topology> topology;  ///< Of all placements below.
  Situation now;
  std::vector<Situation> one_down;         ///< Each replica that lives, if a majority is left.
  std::vector<Candidate> best_for_epaxos;  ///< The first few; empty unless asked for.
  std::vector<Candidate> best_for_leader;
};

/// Errors: invalid argument - a sentence that names the option and the remedy.
Result<Prediction> predict(const PredictOptions& options);

/// Precondition: a majority lives; `flexible`, if given, fits the group.
Situation situation_of(const Placement& placement,
                       const std::optional<compare::paxos::Quorums>& flexible, int phase2);

/// The topology of these sites alone. Errors: invalid argument - unknown, or named twice.
Result<Topology> only(const Topology& topology, const std::vector<std::string>& sites);

/// All ways to place so many replicas, the best ones first, by EPaxos' mean or by the best
/// leader's.
struct Best {
  std::vector<Candidate> for_epaxos;
  std::vector<Candidate> for_leader;
};
/// Errors: invalid argument - fewer sites than replicas, or too many ways.
Result<Best> best_placements(const Topology& topology, int replicas);

}  // namespace epaxos::bench
