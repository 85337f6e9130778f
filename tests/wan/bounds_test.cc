// The bounds against values that were computed by hand, and against every quorum there is on
// matrices by chance.

#include "bench/wan/bounds.h"

#include <bit>
#include <functional>
#include <gmock/gmock.h>
#include <random>

#include "compare/multipaxos/options.h"
#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using compare::paxos::Quorums;
using testing::any_topology;
using ::testing::ElementsAre;
using testing::must;
using testing::shipped;

std::vector<double> ms(const Bounds& bounds) {
  std::vector<double> out;
  for (const Tick us : bounds.by_site_us) out.push_back(static_cast<double>(us) / 1000);
  return out;
}

ReplicaId at(const Placement& placement, std::string_view site) {
  return must(placement.replica_at_site(site));
}

Bounds leader_at(const Placement& placement, std::string_view site) {
  return by_leader(placement, at(placement, site), Quorums::majorities(placement.replica_count()));
}

Bounds all_learn_from(const Placement& placement, std::string_view site) {
  return by_leader_learning_from_all(placement, at(placement, site),
                                     Quorums::majorities(placement.replica_count()));
}

// ---- By hand. Round trips: CA-VA 85, VA-EU 90, CA-EU 156. ----

TEST(Bounds, OfTheThreeSitesOfThePaper) {
  const Topology topology = shipped("sosp13-3");  // CA VA EU
  const Placement p = must(Placement::at(topology, {}));

  EXPECT_THAT(ms(epaxos_fast_path(p)), ElementsAre(85, 85, 90)) << "the nearest of two others";
  EXPECT_THAT(ms(epaxos_slow_path(p)), ElementsAre(170, 170, 180)) << "twice that";
  EXPECT_THAT(ms(leader_at(p, "CA")), ElementsAre(85, 85 + 85, 156 + 85));
  EXPECT_THAT(ms(leader_at(p, "VA")), ElementsAre(85 + 85, 85, 90 + 85));
  EXPECT_THAT(ms(leader_at(p, "EU")), ElementsAre(156 + 90, 90 + 90, 90));
  EXPECT_THAT(ms(all_learn_from(p, "VA")), ElementsAre(85, 85, 90))
      << "the leader and oneself are two of three";
}

// VA: 81 OR, 85 CA, 90 EU, 204 JP. CA: 21, 85, 118, 156. OR: 21, 81, 127, 172. JP: 118, 127, 204,
// 278. EU: 90, 156, 172, 278. Three of five are the second nearest away.
TEST(Bounds, OfTheFiveSitesOfThePaper) {
  const Topology topology = shipped("sosp13-5");  // VA CA OR JP EU
  const Placement p = must(Placement::at(topology, {}));

  EXPECT_THAT(ms(epaxos_fast_path(p)), ElementsAre(85, 85, 81, 127, 156));
  EXPECT_THAT(ms(epaxos_slow_path(p)), ElementsAre(170, 170, 162, 254, 312));
  EXPECT_THAT(ms(leader_at(p, "CA")), ElementsAre(170, 85, 106, 203, 241));
  EXPECT_THAT(ms(leader_at(p, "JP")), ElementsAre(331, 245, 254, 127, 405));
  // CA leads: from VA 42.5 there; then votes reach VA after 42.5 (the leader's and its own) and by
  // way of OR after 10.5 + 40.5.
  EXPECT_THAT(ms(all_learn_from(p, "CA")), ElementsAre(93.5, 85, 93.5, 133, 165.5));
  const Quorums two = must(compare::multipaxos::quorums_of({.phase2 = 2}, 5));
  EXPECT_THAT(ms(by_leader(p, at(p, "CA"), two)), ElementsAre(106, 21, 42, 139, 177));
}

TEST(Bounds, WithoutASiteItsClientsGoToTheNearestOne) {
  const Topology topology = shipped("sosp13-5");  // VA CA OR JP EU
  const Placement p = must(must(Placement::at(topology, {})).without({"VA"}));

  // VA's clients ask OR, 81 away, which then needs CA and JP.
  EXPECT_THAT(ms(epaxos_fast_path(p)), ElementsAre(81 + 127, 118, 127, 127, 172));
  EXPECT_THAT(ms(leader_at(p, "CA")), ElementsAre(81 + 21 + 118, 118, 21 + 118, 118 + 118, 274));
}

TEST(Bounds, ASiteWithoutAReplicaAsksTheNearestOne) {
  const Topology topology = shipped("sosp13-5");
  const Placement p = must(Placement::at(topology, {"EU", "CA", "VA"}));

  EXPECT_EQ(p.name_of(p.nearest(2)), "CA");
  EXPECT_THAT(ms(epaxos_fast_path(p)), ElementsAre(85, 85, 21 + 85, 118 + 85, 90));
}

TEST(Bounds, WhatPassesWithinASiteIsAdded) {
  const Topology topology("x", "", {"A", "B"}, {100, 5000, 7000, 200});
  const Placement p = must(Placement::at(topology, {}));
  EXPECT_THAT(ms(epaxos_fast_path(p)), ElementsAre(12.2, 12.4));
}

TEST(Bounds, AFastQuorumThatIsGoneIsImpossible) {
  std::mt19937_64 random(1);
  const Topology topology = any_topology(7, 1000, random);
  const Placement all = must(Placement::at(topology, {}));
  const Placement five = must(all.without({"S0", "S1"}));
  const Placement four = must(all.without({"S0", "S1", "S2"}));

  EXPECT_TRUE(epaxos_fast_path(five).possible());
  EXPECT_FALSE(epaxos_fast_path(four).possible()) << "five of seven are a fast quorum";
  EXPECT_TRUE(epaxos_slow_path(four).possible()) << "four of seven are a majority";
  EXPECT_TRUE(leader_at(four, "S3").possible());
}

TEST(Bounds, TheBestLeaderHasTheSmallestMean) {
  const Topology topology = shipped("nsdi21-5");
  const Placement p = must(Placement::at(topology, {}));
  std::vector<Bounds> leaders;
  for (const char* site : {"VA", "CA", "OR", "JP", "EU"}) leaders.push_back(leader_at(p, site));

  EXPECT_EQ(p.name_of(*best_of(leaders).leader), "OR");
  EXPECT_EQ(p.name_of(*worst_of(leaders).leader), "EU");
  EXPECT_DOUBLE_EQ(best_of(leaders).mean_us(), 120'000);
}

// ---- By trying every quorum. ----

/// Fast quorums of EPaxos by group size, as the table of the paper has them; and majorities.
constexpr int kFastQuorum[] = {0, 1, 2, 2, 3, 3, 4, 5, 5, 6};
constexpr int kMajority[] = {0, 1, 2, 2, 3, 3, 4, 4, 5, 5};

/// The earliest time at which all members of some set of this size, the one at `must_have` among
/// them, have done something.
Tick earliest(int n, int size, int must_have, const std::function<Tick(int)>& done_at) {
  Tick best = kNever;
  for (unsigned set = 0; set < (1u << n); ++set) {
    if (std::popcount(set) != size || (must_have >= 0 && (set >> must_have & 1) == 0)) continue;
    Tick last = 0;
    for (int i = 0; i < n; ++i) {
      if ((set >> i & 1) != 0) last = std::max(last, done_at(i));
    }
    best = std::min(best, last);
  }
  return best;
}

TEST(Bounds, AreWhatTheBestOfAllQuorumsTakes) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const int n = 1 + static_cast<int>(random() % 9);
    const Topology topology = any_topology(static_cast<std::size_t>(n), 300'000, random);
    const Placement p = must(Placement::at(topology, {}));
    const auto way = [&p](int from, int to) {
      return p.one_way_us(replica_at(from), replica_at(to));
    };
    const Quorums majorities = Quorums::majorities(n);
    for (int a = 0; a < n; ++a) {
      const auto trip = [&](int i) { return way(a, i) + way(i, a); };
      const Tick majority = earliest(n, kMajority[n], a, trip);
      EXPECT_EQ(fast_path_us(p, replica_at(a)), earliest(n, kFastQuorum[n], a, trip)) << n;
      EXPECT_EQ(slow_path_us(p, replica_at(a)), n == 1 ? 0 : 2 * majority) << n;
      for (int leader = 0; leader < n; ++leader) {
        const Tick chosen = earliest(n, kMajority[n], leader,
                                     [&](int i) { return way(leader, i) + way(i, leader); });
        EXPECT_EQ(through_leader_us(p, replica_at(a), replica_at(leader), majorities),
                  way(a, leader) + chosen + way(leader, a));
        const Tick told =
            earliest(n, kMajority[n], -1, [&](int i) { return way(leader, i) + way(i, a); });
        EXPECT_EQ(
            learning_from_all_us(p, replica_at(a), replica_at(leader), majorities),
            way(a, leader) + std::min(std::max(told, way(leader, a)), chosen + way(leader, a)));
      }
    }
  }
}

}  // namespace
}  // namespace epaxos::bench
