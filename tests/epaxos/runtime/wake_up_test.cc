// Waking a loop that sleeps, and only then. A lost wake-up shows as a loop that sleeps for ever.

#include "epaxos/runtime/wake_up.h"

#include <atomic>
#include <cstdint>
#include <poll.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::runtime {
namespace {

constexpr int kForEver = 30'000;  // Milliseconds; only protects against hanging.

bool readable(const WakeUp& wake_up, int timeout_ms = 0) {
  pollfd entry{wake_up.fd(), POLLIN, 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

std::unique_ptr<WakeUp> open_one() {
  auto opened = WakeUp::open();
  EXPECT_TRUE(opened);
  return std::move(*opened);
}

TEST(WakeUp, WhatIsAnnouncedWhileTheLoopRunsKeepsItAwakeWithoutADescriptor) {
  const auto wake_up = open_one();
  wake_up->announce();
  wake_up->announce();
  EXPECT_FALSE(readable(*wake_up)) << "a wake-up costs more than the work that it announces";
  EXPECT_FALSE(wake_up->wait_is_needed());
  EXPECT_TRUE(wake_up->wait_is_needed()) << "once is enough";
}

TEST(WakeUp, WhatIsAnnouncedWhileTheLoopSleepsMakesTheDescriptorReadable) {
  const auto wake_up = open_one();
  ASSERT_TRUE(wake_up->wait_is_needed());
  wake_up->announce();
  wake_up->announce();
  EXPECT_TRUE(readable(*wake_up));
  wake_up->awake(true);
  EXPECT_FALSE(readable(*wake_up)) << "it is empty again";
  EXPECT_TRUE(wake_up->wait_is_needed()) << "what woke the loop is not announced twice";
}

TEST(WakeUp, ALoopThatWokeByItselfIsNotWokenAgain) {
  const auto wake_up = open_one();
  ASSERT_TRUE(wake_up->wait_is_needed());
  wake_up->awake(false);
  wake_up->announce();
  EXPECT_FALSE(readable(*wake_up));
  EXPECT_FALSE(wake_up->wait_is_needed());
}

// The loop woke by a message just when a thread had seen it asleep, and that thread writes only
// after the loop has emptied the descriptor.
TEST(WakeUp, AWriteThatComesLateWakesOneWaitInVainAndNoMore) {
  const auto wake_up = open_one();
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(wake_up->fd(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  ASSERT_TRUE(wake_up->wait_is_needed());
  ASSERT_TRUE(readable(*wake_up));
  wake_up->awake(true);
  ASSERT_TRUE(wake_up->wait_is_needed());
  EXPECT_FALSE(readable(*wake_up)) << "the loop would never sleep again";
}

// What is announced is not in a lock of its own, as a store's progress is: the flag alone must
// carry it over.
TEST(WakeUp, NoAnnouncementIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 20'000;
  const auto wake_up = open_one();
  std::array<std::atomic<int>, kThreads> done{};
  std::array<std::atomic<int>, kThreads> seen{};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kEach; ++i) {
        done[t].store(i, std::memory_order_release);
        wake_up->announce();
        // Now and then nobody announces anything until the loop has seen this one.
        if (i % 16 != 0) continue;
        while (seen[t].load() < i) std::this_thread::yield();
      }
    });
  }
  bool lost = false;
  int total = 0;
  while (total < kThreads * kEach && !lost) {
    total = 0;
    for (std::size_t t = 0; t < kThreads; ++t) {
      seen[t] = done[t].load(std::memory_order_acquire);
      total += seen[t];
    }
    if (total == kThreads * kEach || !wake_up->wait_is_needed()) continue;
    const bool woken = readable(*wake_up, kForEver);
    lost = !woken;
    wake_up->awake(woken);
  }
  EXPECT_FALSE(lost) << "the loop slept although something was announced";
  for (auto& each : seen) each = kEach;  // Ends the threads, if something was lost.
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace epaxos::runtime
