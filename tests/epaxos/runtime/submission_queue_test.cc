// What other threads hand to the loop: bounded, all of a submission or none, in order, and nothing
// that got in is lost when the queue closes.

#include "epaxos/runtime/submission_queue.h"

#include <atomic>
#include <string>
#include <thread>

#include "tests/epaxos/runtime/host_support.h"

namespace epaxos::runtime {
namespace {

using testing::bytes_of;
using testing::text_of;

const Error kStopping = {ErrorCode::kStopped, "stopping"};

Submission submission(std::string_view payload) {
  return {Footprint::write("k"), bytes_of(payload), kNever, [](const Outcome&) {}};
}

Result<void> submit(SubmissionQueue& queue, std::initializer_list<std::string_view> payloads) {
  std::vector<Submission> all;
  for (const std::string_view payload : payloads) all.push_back(submission(payload));
  return queue.submit(all);
}

std::vector<std::string> take(SubmissionQueue& queue, SubmissionQueue::Batch& batch) {
  queue.take(batch);
  std::vector<std::string> payloads;
  for (const Submission& each : batch.submissions()) payloads.push_back(text_of(each.payload));
  return payloads;
}

TEST(SubmissionQueue, GivesOutWhatWentInInOrderWithPayloadsOfItsOwn) {
  SubmissionQueue queue({});
  SubmissionQueue::Batch batch;
  {
    const std::string gone = "second";
    ASSERT_TRUE(submit(queue, {"first", gone, ""}));
    ASSERT_TRUE(submit(queue, {std::string(100'000, 'x')}));
  }
  const auto payloads = take(queue, batch);
  EXPECT_EQ(payloads, (std::vector<std::string>{"first", "second", "", std::string(100'000, 'x')}));
  EXPECT_TRUE(take(queue, batch).empty()) << "once";
  ASSERT_TRUE(submit(queue, {"third"}));
  EXPECT_EQ(take(queue, batch), std::vector<std::string>{"third"}) << "memory is reused";
}

TEST(SubmissionQueue, MoreThanItsCountIsOverloadedAndNothingOfItGetsIn) {
  SubmissionQueue queue({.count_max = 3});
  SubmissionQueue::Batch batch;
  ASSERT_TRUE(submit(queue, {"a", "b"}));
  const auto refused = submit(queue, {"c", "d"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_TRUE(submit(queue, {"e"}));
  EXPECT_FALSE(submit(queue, {"f"}));
  EXPECT_EQ(take(queue, batch), (std::vector<std::string>{"a", "b", "e"}));
  EXPECT_TRUE(submit(queue, {"g", "h", "i"})) << "there is room again";
}

TEST(SubmissionQueue, MoreThanItsBytesAreOverloaded) {
  SubmissionQueue queue({.count_max = 100, .bytes_max = 10});
  SubmissionQueue::Batch batch;
  ASSERT_TRUE(submit(queue, {"12345", "67890"}));
  EXPECT_EQ(queue.size().count, 2u);
  EXPECT_EQ(queue.size().bytes, 10u);
  EXPECT_EQ(submit(queue, {"1"}).error().code, ErrorCode::kOverloaded);
  EXPECT_TRUE(submit(queue, {""}));
  queue.take(batch);
  EXPECT_EQ(queue.size().bytes, 0u);
  EXPECT_TRUE(submit(queue, {"1"}));
}

TEST(SubmissionQueue, RefusesWithTheFirstErrorItWasGivenButStillTakesTasks) {
  SubmissionQueue queue({});
  SubmissionQueue::Batch batch;
  ASSERT_TRUE(submit(queue, {"before"}));
  queue.refuse(kStopping);
  queue.refuse({ErrorCode::kIo, "the disk failed"});
  EXPECT_EQ(submit(queue, {"after"}).error(), kStopping);
  EXPECT_TRUE(queue.submit(Task([] {})));
  EXPECT_EQ(take(queue, batch), std::vector<std::string>{"before"});
  EXPECT_EQ(batch.tasks().size(), 1u);
}

TEST(SubmissionQueue, WhenItIsClosedNothingGetsInAndWhatIsInGetsOut) {
  SubmissionQueue queue({});
  SubmissionQueue::Batch batch;
  int runs = 0;
  ASSERT_TRUE(queue.submit(Task([&] { ++runs; })));
  queue.refuse(kStopping);
  queue.close();
  EXPECT_FALSE(queue.submit(Task([&] { ++runs; })));
  queue.take(batch);
  for (Task& task : batch.tasks()) task();
  EXPECT_EQ(runs, 1);
}

TEST(SubmissionQueueDeathTest, IsNotClosedWhileItTakesProposals) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  SubmissionQueue queue({});
  EXPECT_DEATH(queue.close(), "a queue that still takes proposals was closed");
}

// Several threads submit until they are refused; one takes. Everything that was accepted comes out,
// each thread's in its order, and nothing else.
TEST(SubmissionQueue, LosesAndDoublesNothingBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kEnough = 5'000;
  SubmissionQueue queue({.count_max = 64});
  std::array<std::atomic<int>, kThreads> accepted{};
  std::atomic<int> tasks{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int number = 0;;) {
        const std::string payload = std::to_string(t) + std::to_string(number);
        Submission one = submission(payload);
        const auto taken = queue.submit({&one, 1});
        if (taken) {
          ++number;
          ++accepted[t];
        } else if (taken.error().code == ErrorCode::kStopped) {
          break;
        }
      }
      if (queue.submit(Task([] {}))) ++tasks;
    });
  }

  std::array<int, kThreads> seen{};
  int tasks_seen = 0;
  SubmissionQueue::Batch batch;
  const auto drain = [&] {
    for (const std::string& payload : take(queue, batch)) {
      const auto thread = static_cast<std::size_t>(payload.front() - '0');
      EXPECT_EQ(payload.substr(1), std::to_string(seen[thread]++));
    }
    tasks_seen += static_cast<int>(batch.tasks().size());
  };
  while (seen[0] + seen[1] + seen[2] + seen[3] < kEnough) drain();
  queue.refuse(kStopping);
  drain();
  queue.close();
  for (std::thread& thread : threads) thread.join();
  drain();

  for (std::size_t t = 0; t < kThreads; ++t) EXPECT_EQ(seen[t], accepted[t]);
  EXPECT_EQ(tasks_seen, tasks);
}

}  // namespace
}  // namespace epaxos::runtime
