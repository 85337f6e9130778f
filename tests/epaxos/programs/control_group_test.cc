// How a change of the members ends for whoever asks for it, when leaders come and go meanwhile. The
// replicas are scripts that speak through the real client plane.

#include <atomic>
#include <chrono>
#include <functional>
#include <gmock/gmock.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/programs/control_requests.h"
#include "epaxos/programs/programs.h"
#include "epaxos/programs/status_json.h"
#include "net/client_plane.h"
#include "tests/epaxos/programs/support.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::CaptureStdout;
using ::testing::internal::GetCapturedStderr;
using ::testing::internal::GetCapturedStdout;

const MemberStatus kWithoutR2{ReplicaSet::all(2), {}, {}, "", ""};
const MemberStatus kWithR2{ReplicaSet::all(3), {}, {}, "", ""};
const MemberStatus kR2Learns{
    ReplicaSet::all(2), {}, ReplicaSet::only(ReplicaId(2)), "R2 catches up", ""};

MemberStatus giving_up(const std::string& why, bool may_pass) {
  MemberStatus members = kWithoutR2;
  members.given_up = why;
  members.may_pass = may_pass;
  return members;
}

/// One replica of a script: what it says of itself, and how often it was asked for what.
struct Scripted {
  bool answers = true;
  bool leads = false;
  std::uint64_t term = 5;
  MemberStatus members = kWithoutR2;
  std::string refusal{};  ///< Of the wish; empty: it is granted.
  int statuses = 0;
  int wishes = 0;
};

/// Three replicas, R2 of which is a spare that says nothing. `scene` sets what they say after each
/// request; it runs in the thread that answers.
class Script {
 public:
  using Replicas = std::vector<Scripted>;

  Script(Replicas replicas, std::function<void(Replicas&)> scene)
      : cluster_(*ClusterConfig::loopback("script", 3)),
        replicas_(std::move(replicas)),
        scene_(std::move(scene)) {
    for (ReplicaSettings& each : cluster_.replicas) {
      net::ClientPlaneOptions options;
      options.address = "tcp://127.0.0.1:*";
      options.cluster = cluster_.id;
      options.linger_ms = 0;
      planes_.push_back(std::move(*net::ClientPlane::open(context_, options)));
      each.client = planes_.back()->bound_address();
    }
    thread_ = std::thread([this] { serve(); });
  }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  ~Script() {
    stops_ = true;
    thread_.join();
  }

  [[nodiscard]] const ClusterConfig& cluster() const { return cluster_; }

 private:
  struct Unanswered {
    std::size_t index = 0;
    net::ClientId client;
    net::RequestToken token = 0;
  };

  void serve() {
    while (!stops_) {
      for (std::size_t i = 0; i < planes_.size(); ++i) {
        planes_[i]->receive([&](net::ClientId client, const net::ClientRequest& request) {
          take(i, client, request);
        });
      }
      tell_statuses();
      for (auto& plane : planes_) plane->flush();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  void take(std::size_t index, net::ClientId client, const net::ClientRequest& request) {
    Scripted& replica = replicas_[index];
    const bool is_wish = request.kind == net::RequestKind::kChangeMembers;
    ++(is_wish ? replica.wishes : replica.statuses);
    const std::string refusal = replica.refusal;
    const bool answers = replica.answers;
    scene_(replicas_);
    if (!is_wish) return unanswered_.push_back({index, client, request.token});
    if (!answers) return;
    const OutcomeKind kind = refusal.empty() ? OutcomeKind::kExecuted : OutcomeKind::kRejected;
    planes_[index]->reply(client,
                          {request.token, kind, ErrorCode::kInvalidArgument, refusal, {}, 0});
  }

  /// Late, if it has to be.
  void tell_statuses() {
    std::erase_if(unanswered_, [this](const Unanswered& each) {
      if (!replicas_[each.index].answers) return false;
      const std::string json = status_of(each.index);
      planes_[each.index]->reply(
          each.client,
          {each.token, OutcomeKind::kExecuted, {}, {}, std::as_bytes(std::span(json)), 0});
      return true;
    });
  }

  [[nodiscard]] std::string status_of(std::size_t index) const {
    const Scripted& replica = replicas_[index];
    NodeStatus status = status_of_replica_one();
    status.self = ReplicaId(static_cast<std::uint16_t>(index));
    status.protocol = "raft";
    status.role = replica.leads ? "leader" : "follower";
    status.has_leader = true;
    status.rows = {{Slot(9), Slot(9), Slot(9), Slot(0)}};
    status.members = replica.members;
    status.counters = {{"core", {{"current_term", replica.term}}}};
    return status_json(status);
  }

  ClusterConfig cluster_;
  Replicas replicas_;
  std::function<void(Replicas&)> scene_;
  net::Context context_;
  std::vector<std::unique_ptr<net::ClientPlane>> planes_;
  std::vector<Unanswered> unanswered_;
  std::atomic<bool> stops_{false};
  std::thread thread_;
};

struct Ended {
  int status = -1;
  std::string out;
  std::string err;
};

/// epaxosctl member add --id 2.
Ended add_r2(const Script& script, const std::string& timeout = "60s") {
  ControlOptions options;
  options.timeout = timeout;
  options.member = 2;
  Control control(options, script.cluster());
  EXPECT_TRUE(control.open());
  CaptureStdout();
  CaptureStderr();
  const int status = control.change_members(MemberChange::kAdd);
  return {status, GetCapturedStdout(), GetCapturedStderr()};
}

const Scripted kSilent{.answers = false};

// R0 led before R1 does, and does not know it yet: what it says of the members is old. R1 grants
// the wish, and is slower to tell what became of it.
TEST(ChangeOfMembers, AnEarlierLeaderDoesNotTellHowItEnded) {
  const auto scene = [requests = 0](auto& replicas) mutable {
    if (replicas[1].wishes == 0) return;
    replicas[0].leads = true;
    replicas[0].refusal = "R0 does not lead; ask the leader.";
    replicas[1].answers = ++requests > 20;
    replicas[1].members = kWithR2;
  };
  const Script script({{.term = 4}, {.leads = true, .term = 5}, kSilent}, scene);

  const Ended ended = add_r2(script);

  EXPECT_EQ(ended.status, kControlExecuted) << ended.err;
  EXPECT_EQ(ended.out, "R2 is a member now.\n");
}

// R0 grants the wish and dies. R1 leads then, has the entry, and has not said so when it is asked
// for the same once more.
TEST(ChangeOfMembers, WhoIsAMemberByTheWishBeforeIsOne) {
  const Script script({{.leads = true}, {}, kSilent}, [](auto& replicas) {
    if (replicas[0].wishes == 0) return;
    if (replicas[0].statuses > 5) replicas[0].answers = false;
    if (replicas[0].answers) replicas[0].members = kR2Learns;
    if (replicas[0].answers) return;
    replicas[1].leads = true;
    replicas[1].term = 6;
    replicas[1].refusal = "R2 is a member already.";
    if (replicas[1].wishes > 0) replicas[1].members = kWithR2;
  });

  const Ended ended = add_r2(script);

  EXPECT_EQ(ended.status, kControlExecuted) << ended.err;
  EXPECT_EQ(ended.out, "R2 is a member now.\n");
}

TEST(ChangeOfMembers, WhatNobodyTellsIsUnknownAndTheSentenceSaysHowToFindOut) {
  const Script script({{.leads = true}, {}, kSilent}, [](auto& replicas) {
    if (replicas[0].wishes > 0) replicas[0].leads = false;
  });

  const Ended ended = add_r2(script, "500ms");

  EXPECT_EQ(ended.status, kControlUnknown);
  EXPECT_THAT(ended.err, HasSubstr("it is not known whether R2 is a member now"));
  EXPECT_THAT(ended.err, HasSubstr("\"epaxosctl member list\""));
}

TEST(ChangeOfMembers, OneThatGoesOnIsSaidToGoOn) {
  const Script script({{.leads = true}, {}, kSilent}, [](auto& replicas) {
    if (replicas[0].wishes > 0) replicas[0].members = kR2Learns;
  });

  const Ended ended = add_r2(script, "500ms");

  EXPECT_EQ(ended.status, kControlUnknown);
  EXPECT_THAT(ended.err, HasSubstr("R2 is not a member yet. The change goes on"));
}

TEST(ChangeOfMembers, OneThatTooFewAnsweredIsAskedForAgainUntilTheTimeout) {
  const std::string why = "R2 was not added: too few answer.";
  const auto grants = [&](int wish) {
    return [why, wish](auto& replicas) {
      if (replicas[0].wishes == 0) return;
      replicas[0].members = replicas[0].wishes < wish ? giving_up(why, true) : kWithR2;
    };
  };
  const Script passes({{.leads = true}, {}, kSilent}, grants(3));
  const Script never({{.leads = true}, {}, kSilent}, grants(1'000'000));

  EXPECT_EQ(add_r2(passes).out, "R2 is a member now.\n");
  const Ended refused = add_r2(never, "500ms");

  EXPECT_THAT(refused.err, HasSubstr(why));
  EXPECT_THAT((std::vector{kControlRejected, kControlUnknown}), ::testing::Contains(refused.status))
      << "unknown when the last wish was not answered any more";
}

TEST(ChangeOfMembers, OneThatWasGivenUpIsNotAskedForAgain) {
  const std::string why = "R2 was not added: it does not answer.";
  const Script script({{.leads = true}, {}, kSilent}, [&](auto& replicas) {
    if (replicas[0].wishes > 0) replicas[0].members = giving_up(why, false);
    if (replicas[0].wishes > 1) replicas[0].members = kWithR2;
  });

  const Ended ended = add_r2(script);

  EXPECT_EQ(ended.status, kControlRejected);
  EXPECT_EQ(ended.err, "epaxosctl: " + why + "\n");
}

}  // namespace
}  // namespace epaxos::testing
