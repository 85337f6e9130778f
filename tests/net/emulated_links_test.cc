// When what is sent arrives on an emulated link, in virtual time.

#include "net/emulated_links.h"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "tests/net/support.h"

namespace epaxos::net {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr ReplicaId kHere{0};
constexpr ReplicaId kFar{1};
constexpr ReplicaId kNear{2};

class Links : public ::testing::Test {
 protected:
  Links() : links(table, kHere, 7) {}

  std::vector<std::pair<ReplicaId, std::string>> released(Tick now) {
    std::vector<std::pair<ReplicaId, std::string>> all;
    links.release(now,
                  [&](ReplicaId to, Bytes message) { all.emplace_back(to, text_of(message)); });
    return all;
  }

  LinkTable table;
  EmulatedLinks links;
};

TEST_F(Links, AMessageArrivesAfterTheDelayOfItsDirection) {
  table.set(kHere, kFar, {.delay_us = 40'000});
  table.set(kFar, kHere, {.delay_us = 1});
  table.set(kHere, kNear, {.delay_us = 10'000});
  EXPECT_TRUE(links.send(kFar, bytes_of("far"), 1'000));
  EXPECT_TRUE(links.send(kNear, bytes_of("near"), 1'000));

  EXPECT_EQ(links.due(), 11'000U);
  EXPECT_THAT(released(10'999), IsEmpty());
  EXPECT_THAT(released(11'000), ElementsAre(Pair(kNear, "near")));
  EXPECT_EQ(links.due(), 41'000U);
  EXPECT_THAT(released(50'000), ElementsAre(Pair(kFar, "far")));
  EXPECT_EQ(links.due(), kNever);
  EXPECT_EQ(links.counters().delayed, 2U);
}

TEST_F(Links, NothingOvertakesWhenTheDelayBecomesShorter) {
  table.set(kHere, kFar, {.delay_us = 40'000});
  links.send(kFar, bytes_of("first"), 0);
  table.set(kHere, kFar, {.delay_us = 10});
  links.send(kFar, bytes_of("second"), 5);

  EXPECT_THAT(released(39'999), IsEmpty());
  EXPECT_THAT(released(40'000), ElementsAre(Pair(kFar, "first"), Pair(kFar, "second")));
}

TEST_F(Links, JitterLiesBetweenNothingAndItsLimit) {
  table.set(kHere, kFar, {.delay_us = 100, .jitter_us = 50});
  Tick least = kNever;
  Tick most = 0;
  for (Tick i = 0; i < 2'000; ++i) {
    const Tick now = i * 1'000;
    links.send(kFar, bytes_of("x"), now);
    const Tick took = links.due() - now;
    least = std::min(least, took);
    most = std::max(most, took);
    released(links.due());
  }
  EXPECT_EQ(least, 100U);
  EXPECT_EQ(most, 150U);
}

// TCP sends again, and what came later waits for it.
TEST_F(Links, LossDelaysTheMessageAndAllBehindIt) {
  table.set(kHere, kFar, {.delay_us = 10, .loss = 1, .loss_delay_us = 1'000});
  links.send(kFar, bytes_of("lost"), 0);
  table.set(kHere, kFar, {.delay_us = 10});
  links.send(kFar, bytes_of("behind"), 0);
  EXPECT_THAT(released(1'009), IsEmpty());
  EXPECT_THAT(released(1'010), ElementsAre(Pair(kFar, "lost"), Pair(kFar, "behind")));
  EXPECT_EQ(links.counters().lost, 1U);
}

TEST_F(Links, LossHappensAsOftenAsItSays) {
  table.set(kHere, kFar, {.loss = 0.1});
  for (int i = 0; i < 10'000; ++i) links.send(kFar, bytes_of("x"), 0);
  EXPECT_GT(links.counters().lost, 850U);
  EXPECT_LT(links.counters().lost, 1'150U);
}

TEST_F(Links, BandwidthIsSharedByWhatFollows) {
  table.set(kHere, kFar, {.delay_us = 5'000, .bytes_per_second = 1'000'000});
  const std::string kilobyte(1'000, 'x');
  links.send(kFar, bytes_of(kilobyte), 0);
  links.send(kFar, bytes_of(kilobyte), 0);
  EXPECT_THAT(released(5'999), IsEmpty());
  EXPECT_EQ(released(6'000).size(), 1U);
  EXPECT_EQ(links.due(), 7'000U);
  EXPECT_EQ(released(7'000).size(), 1U);
  // An idle link has saved up nothing.
  links.send(kFar, bytes_of(kilobyte), 20'000);
  EXPECT_EQ(links.due(), 26'000U);
}

TEST_F(Links, ACutLinkDropsWhatIsSentAndDeliversWhatIsOnItsWay) {
  table.set(kHere, kFar, {.delay_us = 10});
  links.send(kFar, bytes_of("before"), 0);
  table.set(kHere, kFar, {.delay_us = 10, .cut = true});
  EXPECT_FALSE(links.send(kFar, bytes_of("during"), 1));
  table.set(kHere, kFar, {.delay_us = 10});
  links.send(kFar, bytes_of("after"), 2);
  EXPECT_THAT(released(100), ElementsAre(Pair(kFar, "before"), Pair(kFar, "after")));
  EXPECT_EQ(links.counters().dropped_cut, 1U);
}

TEST_F(Links, WhatIsOnTheWayIsBounded) {
  table.set(kHere, kFar, {.delay_us = kNever / 2});
  const std::string large(16 << 20, 'x');
  int taken = 0;
  while (links.send(kFar, bytes_of(large), 0)) ++taken;
  EXPECT_EQ(taken, 16);
  EXPECT_EQ(links.counters().dropped_full, 1U);
  EXPECT_TRUE(links.send(kNear, bytes_of(large), 0)) << "another link";
}

TEST(LinkTable, GivesBackWhatWasSet) {
  LinkTable table;
  const LinkSettings settings{1, 2, 0.25, 3, 4, true};
  table.set(kHere, kFar, settings);
  EXPECT_EQ(table.get(kHere, kFar), settings);
  EXPECT_EQ(table.get(kFar, kHere).delay_us, 0U);
}

TEST(EmulatedNetwork, MakesOneLinkADirection) {
  const EmulatedNetwork network{{{0, 10}, {20, 0}}, {.jitter_us = 5}};
  const auto table = network.table();
  EXPECT_EQ(table->get(kHere, kFar).delay_us, 10U);
  EXPECT_EQ(table->get(kFar, kHere).delay_us, 20U);
  EXPECT_EQ(table->get(kFar, kHere).jitter_us, 5U);
}

}  // namespace
}  // namespace epaxos::net
