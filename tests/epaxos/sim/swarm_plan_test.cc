// Plans: what a seed draws, that a plan survives being written down, and that one that fails is
// made smaller without a detour.

#include "epaxos/sim/swarm_plan.h"

#include <array>
#include <bit>
#include <gmock/gmock.h>
#include <set>

#include <gtest/gtest.h>

#include "epaxos/sim/shrink.h"

namespace epaxos::sim {
namespace {

using ::testing::HasSubstr;

TEST(SwarmPlan, ASeedDrawsTheSamePlanAndAnotherSeedAnother) {
  EXPECT_EQ(draw_plan(7, {}), draw_plan(7, {}));
  EXPECT_NE(draw_plan(7, {}), draw_plan(8, {}));
}

TEST(SwarmPlan, EverySizeAndEveryKindOfFaultIsDrawn) {
  std::set<std::uint64_t> sizes;
  std::array<int, kFaultClasses> drawn{};
  int calm = 0;
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    const SwarmPlan plan = draw_plan(seed, {});
    sizes.insert(plan.replicas);
    if (plan.calm()) ++calm;
    for (std::size_t i = 0; i < kFaultClasses; ++i) {
      if (plan.has(static_cast<FaultClass>(i))) ++drawn[i];
    }
    EXPECT_LE(plan.permanent, (plan.replicas - 1) / 2) << "a majority stays";
  }

  EXPECT_EQ(sizes, (std::set<std::uint64_t>{1, 3, 4, 5, 7}));
  EXPECT_GT(calm, 60) << "a twentieth has no faults";
  EXPECT_LT(calm, 140);
  for (std::size_t i = 0; i < kFaultClasses; ++i) {
    EXPECT_GT(drawn[i], 100) << to_string(static_cast<FaultClass>(i));
  }
}

TEST(SwarmPlan, NobodyGoesForGoodUnlessItIsAllowed) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const SwarmPlan plan = draw_plan(seed, {.permanent_faults = false});
    EXPECT_FALSE(plan.has(FaultClass::kPermanent) || plan.has(FaultClass::kForget) ||
                 plan.has(FaultClass::kDiskRot));
  }
}

TEST(SwarmPlan, MembersChangeOnlyWhereTheyCanAndThenNobodyIsGoneForGood) {
  int changing = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    const SwarmPlan usual = draw_plan(seed, {});
    EXPECT_EQ(usual.spares + usual.member_change_ppm, 0u);
    const SwarmPlan plan = draw_plan(seed, {.changes_members = true});
    if (plan.member_change_ppm == 0) {
      EXPECT_EQ(plan, usual) << seed;
      continue;
    }
    ++changing;
    EXPECT_LT(plan.spares, plan.replicas);
    EXPECT_EQ(plan.permanent, 0u);
    EXPECT_EQ(plan.cluster().core.spares.size(), static_cast<int>(plan.spares));
    EXPECT_FALSE(plan.has(FaultClass::kPermanent) || plan.has(FaultClass::kForget) ||
                 plan.has(FaultClass::kDiskRot));
  }
  EXPECT_GT(changing, 150);
  EXPECT_LT(changing, 300);
}

TEST(SwarmPlan, ImagesCanBeMadeInEveryRun) {
  int in_others = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const SwarmPlan plan = draw_plan(seed, {.always_images = true});
    EXPECT_GT(plan.image_log_bytes, 0) << seed;
    // Nothing else depends on it, but for the machines that keep themselves instead.
    SwarmPlan other = draw_plan(seed, {});
    in_others += other.image_log_bytes > 0 ? 1 : 0;
    EXPECT_EQ(other.classes, plan.classes) << seed;
    EXPECT_EQ(other.faults, plan.faults) << seed;
  }
  EXPECT_GT(in_others, 20);
  EXPECT_LT(in_others, 80);
}

TEST(SwarmPlan, AQuarterHasSessionsAndNothingElseDependsOnThat) {
  int with = 0;
  int expiring = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const SwarmPlan plan = draw_plan(seed, {});
    if (plan.session_clients == 0) continue;
    ++with;
    if (plan.session_ttl_us > 0) ++expiring;
    EXPECT_FALSE(plan.calm()) << "a repeated command may not take the fast path";
    EXPECT_FALSE(plan.session_ttl_us > 0 && plan.has(FaultClass::kForget)) << "seed " << seed;
    EXPECT_EQ(plan.load().sessions.clients_each, plan.session_clients);
    EXPECT_EQ(plan.cluster().session_ttl_us, plan.session_ttl_us);
  }

  EXPECT_GT(with, 180);
  EXPECT_LT(with, 300);
  EXPECT_GT(expiring, 60);
}

TEST(SwarmPlan, ReadsAreServedInAllWaysWhereTheProtocolCan) {
  std::array<int, 3> seen{};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const SwarmPlan plan = draw_plan(seed, {.reads = true});
    ++seen.at(plan.reads);
    EXPECT_EQ(plan.cluster().core.reads, static_cast<Reads>(plan.reads));
    EXPECT_EQ(plan.cluster().pauses_in_turns, plan.reads > 0);
    EXPECT_EQ(plan_from(to_text(plan)).value(), plan);
    const SwarmPlan other = draw_plan(seed, {});
    EXPECT_EQ(other.reads, 0u);
    if (plan.reads == 0) {
      EXPECT_EQ(plan, other) << "seed " << seed;
    }
  }
  for (const int times : seen) EXPECT_GT(times, 70);
}

TEST(SwarmPlan, TextSaysAllOfIt) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const SwarmPlan plan = draw_plan(seed, {.profile = Profile::kNightly});
    const Result<SwarmPlan> read = plan_from(to_text(plan));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, plan);
  }
}

TEST(SwarmPlan, TextThatIsNoPlanIsRefused) {
  for (const char* bad : {"speed=3", "seed", "seed=x", "classes=crash+sloth", "replicas=0",
                          "replicas=10", "clients=0", "reads=3", "seed=1 7"}) {
    EXPECT_FALSE(plan_from(bad)) << bad;
  }
  EXPECT_THAT(plan_from("seed=1 speed=3").error().message, HasSubstr("speed=3"));
}

TEST(SwarmPlan, AFaultThatIsOffIsNotInTheWorld) {
  SwarmPlan plan;
  plan.loss_ppm = 1;
  plan.timeout_us = 1;
  plan.in_flight_max = 1;
  EXPECT_EQ(plan.cluster().links.loss_ppm, 0u);
  EXPECT_EQ(plan.load().timeout_us, 0u);
  EXPECT_NE(plan.cluster().core.in_flight_max, 1u);

  plan.classes = ~std::uint64_t{0};

  EXPECT_EQ(plan.cluster().links.loss_ppm, 1u);
  EXPECT_EQ(plan.load().timeout_us, 1u);
  EXPECT_EQ(plan.cluster().core.in_flight_max, 1u);
}

/// Fails when there are crashes, three replicas, at least 17 commands and fault 5 or fault 40.
bool fails(const SwarmPlan& plan) {
  const bool fault = (plan.fault_mask >> 5 & 1) != 0 || (plan.fault_mask >> 40 & 1) != 0;
  return plan.has(FaultClass::kCrash) && plan.replicas >= 3 && plan.commands >= 17 && fault &&
         plan.faults >= 6;
}

TEST(Shrink, WhatDoesNotMatterGoes) {
  SwarmPlan plan = draw_plan(3, {.profile = Profile::kNightly, .replicas = 7});
  plan.classes = ~std::uint64_t{0} >> (64 - kFaultClasses);
  plan.commands = 2'345;
  plan.faults = 64;
  ASSERT_TRUE(fails(plan));
  int runs = 0;

  const SwarmPlan small = shrink(plan, [&](const SwarmPlan& each) {
    ++runs;
    return fails(each);
  });

  EXPECT_TRUE(fails(small));
  EXPECT_EQ(small.classes, std::uint64_t{1} << static_cast<unsigned>(FaultClass::kCrash));
  EXPECT_EQ(small.replicas, 3u);
  EXPECT_EQ(small.commands, 17u);
  EXPECT_EQ(small.clients, 1u);
  EXPECT_EQ(small.faults, 6u);
  EXPECT_EQ(std::popcount(small.fault_mask), 1);
  EXPECT_EQ(small.pause_us, 0u);
  EXPECT_EQ(small.seed, plan.seed) << "the rest of the run stays as it was";
  EXPECT_LT(runs, 500);
}

TEST(Shrink, ItEndsAfterTheTriesThatItMayTake) {
  int runs = 0;
  const SwarmPlan plan = draw_plan(3, {.profile = Profile::kNightly});

  const SwarmPlan small = shrink(
      plan,
      [&](const SwarmPlan&) {
        ++runs;
        return true;
      },
      10);

  EXPECT_EQ(runs, 10);
  EXPECT_NE(small, plan);
}

}  // namespace
}  // namespace epaxos::sim
