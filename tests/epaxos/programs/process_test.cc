// Signals as a server meets them.

#include "epaxos/programs/process.h"

#include <csignal>
#include <cstdio>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "epaxos/programs/child_process.h"

namespace epaxos::testing {
namespace {

constexpr int kLongMs = 60'000;

TEST(StopSignals, OneThatComesIsReadAndDoesNotEndTheProcess) {
  for (const int signal : {SIGTERM, SIGINT}) {
    StopSignals signals;
    const Event event;
    EXPECT_EQ(wait_for(signals, event, 0), Woken::kByNothing);
    ::kill(::getpid(), signal);
    EXPECT_EQ(wait_for(signals, event, kLongMs), Woken::kBySignal);
    signals.release();
    EXPECT_EQ(wait_for(signals, event, 0), Woken::kByNothing) << "it was taken";
  }
}

TEST(StopSignals, AnotherOneAfterTheReleaseEndsTheProcess) {
  const auto twice = [] {
    StopSignals signals;
    ::kill(::getpid(), SIGTERM);
    signals.release();
    ::kill(::getpid(), SIGTERM);
    ::_exit(0);
  };
  EXPECT_EXIT(twice(), ::testing::KilledBySignal(SIGTERM), "");
}

TEST(CatchInterrupts, TheFirstOneIsNotedAndTheSecondEndsTheProcess) {
  const auto twice = [] {
    catch_interrupts();
    ::kill(::getpid(), SIGINT);
    if (!interrupted()) ::_exit(1);
    ::kill(::getpid(), SIGTERM);
    ::_exit(2);
  };
  EXPECT_EXIT(twice(), ::testing::ExitedWithCode(130), "");
}

TEST(StopSignals, OneThatWasIgnoredStaysIgnored) {
  const auto before = std::signal(SIGINT, SIG_IGN);
  {
    const StopSignals signals;
    const Event event;
    ::kill(::getpid(), SIGINT);
    EXPECT_EQ(wait_for(signals, event, 0), Woken::kByNothing);
  }
  std::signal(SIGINT, before);
}

TEST(Event, WakesFromAnotherThreadUntilItIsCleared) {
  const StopSignals signals;
  Event event;
  std::thread thread([&event] { event.raise(); });
  EXPECT_EQ(wait_for(signals, event, kLongMs), Woken::kByEvent);
  thread.join();
  EXPECT_EQ(wait_for(signals, event, 0), Woken::kByEvent);
  event.clear();
  EXPECT_EQ(wait_for(signals, event, 0), Woken::kByNothing);
}

TEST(OpenFiles, TheSoftLimitBecomesTheHardOne) {
  const auto raised = [] {
    const rlimit low{100, 200};
    ::setrlimit(RLIMIT_NOFILE, &low);
    const bool told = raise_open_files() == 200;
    rlimit now{};
    ::getrlimit(RLIMIT_NOFILE, &now);
    ::_exit(told && now.rlim_cur == 200 && now.rlim_max == 200 ? 7 : 1);
  };
  EXPECT_EXIT(raised(), ::testing::ExitedWithCode(7), "");
}

TEST(OpenFiles, TooFewAreNamedBeforeAnythingNeedsOne) {
  EXPECT_TRUE(check_open_files());
  const auto with_five = [] {
    const rlimit five{5, 5};
    ::setrlimit(RLIMIT_NOFILE, &five);
    const auto enough = check_open_files();
    if (!enough) std::fprintf(stderr, "%s\n", enough.error().message.c_str());
    ::_exit(enough ? 0 : 7);
  };
  EXPECT_EXIT(with_five(), ::testing::ExitedWithCode(7),
              "may open only .* Raise the limit of open files \\(ulimit -n\\)");
}

TEST(StandardStreams, AClosedOneBecomesTheNullDevice) {
  const auto closed = [] {
    ::close(STDIN_FILENO);
    open_standard_streams();
    char byte = 0;
    // At its end at once, and not somebody's file.
    ::_exit(::read(STDIN_FILENO, &byte, 1) == 0 ? 7 : 1);
  };
  EXPECT_EXIT(closed(), ::testing::ExitedWithCode(7), "");
}

/// The exit status tells how often the process was told.
void wait_for_interrupts(int signal) {
  catch_interrupts();
  const int before = interrupted() ? 1 : 0;
  ::kill(::getpid(), signal);
  ::_exit(before == 0 && interrupted() ? 7 : 8);
}

TEST(CatchInterrupts, AClosedTerminalIsOneToo) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(wait_for_interrupts(signal), ::testing::ExitedWithCode(7), "") << signal;
  }
}

TEST(CatchInterrupts, UnderNohupAClosedTerminalIsNone) {
  const auto ignored = [] {
    std::signal(SIGHUP, SIG_IGN);
    wait_for_interrupts(SIGHUP);
  };
  EXPECT_EXIT(ignored(), ::testing::ExitedWithCode(8), "");
}

}  // namespace
}  // namespace epaxos::testing
