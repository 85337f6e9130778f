#pragma once

// Where the replicas of an experiment stand, as options say it: a topology or some of its sites,
// and replicas at all of them, at those that are named, or at the best ones.

#include <memory>
#include <string>
#include <vector>

#include "bench/wan/placement.h"

namespace CLI {
class App;
}

namespace epaxos::bench {

struct PlaceOptions {
  std::string topology = {};
  std::vector<std::string> sites = {};     ///< Of the topology; empty: all.
  std::vector<std::string> replicas = {};  ///< Empty: at every site.
  int place = 0;  ///< So many replicas are placed where EPaxos' mean is smallest; 0: none is.
};

/// Precondition: `options` outlives the parsing.
void add_place_options(CLI::App& command, PlaceOptions& options);

/// Replicas at these sites: what their clients, at all sites, wait for on average.
struct Candidate {
  std::vector<std::size_t> replica_sites;
  double epaxos_us = 0;  ///< The fast path.
  double leader_us = 0;  ///< Raft and Multi-Paxos, with the best leader.
  ReplicaId leader;
};

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

struct Places {
  std::unique_ptr<const Topology> topology;  ///< Of the placement.
  Placement placement;
  Best best;  ///< With PlaceOptions::place.
};
/// Errors: invalid argument - a sentence that names the option and the remedy.
Result<Places> places_of(const PlaceOptions& options);

}  // namespace epaxos::bench
