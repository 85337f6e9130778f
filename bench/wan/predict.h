#pragma once

// Everything that follows from the delays alone: bounds of all protocols, who leads best, when a
// leader wins, what one site's loss costs, and where replicas stand best.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/wan/bounds.h"
#include "bench/wan/places.h"

namespace epaxos::bench {

struct PredictOptions {
  PlaceOptions places = {};
  std::vector<std::string> down = {};
  int phase2 = 0;  ///< Of flexible quorums; 0: none are asked about.
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

struct Prediction {
  std::unique_ptr<const Topology> topology;  ///< Of all placements below.
  Situation now;
  std::vector<Situation> one_down;  ///< Each replica that lives, if a majority is left.
  Best best;                        ///< With PlaceOptions::place.
};

/// Errors: invalid argument - a sentence that names the option and the remedy.
Result<Prediction> predict(const PredictOptions& options);

/// Precondition: a majority lives; `flexible`, if given, fits the group.
Situation situation_of(const Placement& placement,
                       const std::optional<compare::paxos::Quorums>& flexible, int phase2);

}  // namespace epaxos::bench
