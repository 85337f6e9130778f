// Stopping and coming back, cleanly and by kill -9: what was acknowledged is there, who missed
// something catches up, and who may have forgotten votes does not vote.
//
// A run that ends uncleanly needs a process of its own: it is forked before this one has threads,
// and killed by its id.

#include <csignal>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/epaxos/node/node_support.h"

namespace epaxos {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::LocalCluster;
using testing::must;
using testing::Tally;
using testing::value_of;

/// Another process of this program, which runs `life` until it is killed. Make it while this
/// process has one thread.
class Child {
 public:
  /// Tells the parent a number. For `life`.
  using Tell = std::function<void(int)>;

  explicit Child(const std::function<void(const Tell&)>& life) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(ends[0]);
      life([&](int number) {
        if (::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(1);
      });
      while (true) ::pause();  // A life ends by kill() alone: nothing of it may clean up.
    }
    ::close(ends[1]);
    read_end_ = ends[0];
  }
  ~Child() {
    kill();
    ::close(read_end_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// The next number that it tells; -1 when it is dead and has told everything.
  int next() {
    int number = -1;
    return ::read(read_end_, &number, sizeof number) == sizeof number ? number : -1;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int read_end_ = -1;
};

std::string key(int number) {
  return "k" + std::to_string(number);
}

/// Proposes puts of key(first), key(first + 1), ... one after the other and tells each that was
/// acknowledged, for ever.
void put_for_ever(Node& node, int first, const Child::Tell& tell) {
  for (int number = first;; ++number) {
    const OwnedOutcome outcome = node.propose(kv::put(key(number), "here")).get();
    if (outcome.kind == OutcomeKind::kExecuted) tell(number);
  }
}

/// The same, many at a time.
void put_many_for_ever(Node& node, int first, const Child::Tell& tell) {
  for (int number = first;; number += 50) {
    std::vector<std::future<OwnedOutcome>> outcomes;
    for (int i = 0; i < 50; ++i) outcomes.push_back(node.propose(kv::put(key(number + i), "here")));
    for (int i = 0; i < 50; ++i) {
      const OwnedOutcome outcome = outcomes[static_cast<std::size_t>(i)].get();
      if (outcome.kind == OutcomeKind::kExecuted) tell(number + i);
    }
  }
}

bool has_key(Node& node, int number) {
  return node.query<KeyValueMachine>(
      [&](const KeyValueMachine& machine) { return machine.find(key(number)) == "here"; });
}

// ---- A clean stop ----

TEST(NodeRestart, AfterACleanStopOfAllEverythingAcknowledgedIsThere) {
  LocalCluster cluster(3, Durability::kSync);
  cluster.open_all();
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(cluster[i % 3].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  }
  const std::uint64_t before = cluster[0].status().incarnation;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster[i].stop());
    cluster.close(i);
  }
  for (int i = 0; i < 3; ++i) cluster.open(i);

  EXPECT_TRUE(cluster.converges("n", "30"));
  EXPECT_GT(cluster[0].status().incarnation, before);
  EXPECT_EQ(value_of(cluster[1].propose(kv::increment("n", 1)).get().reply), "31");
}

TEST(NodeRestart, ANodeThatWasAwayCatchesUpAndVotes) {
  LocalCluster cluster(3, Durability::kSync);
  cluster.open_all();
  ASSERT_EQ(cluster[2].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  cluster.close(2);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(cluster[i % 2].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  }
  cluster.open(2);
  EXPECT_TRUE(cluster.converges("n", "51"));

  cluster.close(1);  // From here on nothing is decided without the one that came back.
  EXPECT_EQ(value_of(cluster[0].propose(kv::increment("n", 1)).get().reply), "52");
  EXPECT_TRUE(cluster.converges("n", "52"));
}

// Whoever starts in an empty directory has forgotten its votes; one peer that ran all the time is
// enough to tell, although the first start is as far as the lost directory had come too.
TEST(NodeRestart, ANodeWhoseDirectoryWasEmptiedDoesNotVote) {
  LocalCluster cluster(3, Durability::kSync);
  cluster.open_all();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(cluster[i % 3].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  }
  ASSERT_TRUE(cluster.converges("n", "10"));
  cluster.close(0);
  cluster.close(1);
  std::filesystem::rename(cluster.directory(1), cluster.directory(1) + ".newest");

  Node& emptied = cluster.open(1);

  ASSERT_TRUE(eventually([&] { return !emptied.status().voting; }));
  EXPECT_THAT(emptied.status().non_voting_reason, HasSubstr("forgotten"));
  EXPECT_EQ(emptied.propose(kv::increment("n", 1)).get().kind, OutcomeKind::kRejected);

  // It was a mistake, and what the sentence says mends it.
  cluster.close(1);
  std::filesystem::remove_all(cluster.directory(1));
  std::filesystem::rename(cluster.directory(1) + ".newest", cluster.directory(1));
  cluster.close(2);
  cluster.open(2);
  cluster.open(0);
  EXPECT_TRUE(cluster.open(1).status().voting);
  EXPECT_EQ(value_of(cluster[1].propose(kv::increment("n", 1)).get().reply), "11");
  EXPECT_TRUE(cluster.converges("n", "11"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(cluster[i].status().voting) << i;
}

class BelowSync : public ::testing::TestWithParam<Durability> {};
INSTANTIATE_TEST_SUITE_P(Durability, BelowSync,
                         ::testing::Values(Durability::kAsync, Durability::kNone),
                         [](const auto& instance) {
                           return std::string(to_string(instance.param));
                         });

TEST(NodeRestart, AtAsyncACleanStopKeepsTheVoteAndTheData) {
  LocalCluster cluster(1, Durability::kAsync);
  cluster.open_all();
  ASSERT_EQ(cluster[0].propose(kv::put("k", "v")).get().kind, OutcomeKind::kExecuted);
  ASSERT_TRUE(cluster[0].stop());
  cluster.close(0);

  Node& node = cluster.open(0);
  EXPECT_TRUE(node.status().voting);
  EXPECT_TRUE(cluster.converges("k", "v"));
  EXPECT_EQ(node.propose(kv::put("k", "w")).get().kind, OutcomeKind::kExecuted);
}

// ---- kill -9 ----

TEST(NodeRestart, AfterKillNineOfAllEverythingAcknowledgedIsThere) {
  LocalCluster cluster(3, Durability::kSync);
  Child child([&](const Child::Tell& tell) {
    cluster.open_all();
    std::vector<std::thread> proposers;
    for (int i = 0; i < 3; ++i) {
      proposers.emplace_back([&, i] { put_for_ever(cluster[i], 1'000'000 * i, tell); });
    }
    for (std::thread& proposer : proposers) proposer.join();
  });
  std::vector<int> acknowledged;
  while (acknowledged.size() < 60) acknowledged.push_back(child.next());
  child.kill();
  for (int number = child.next(); number >= 0; number = child.next()) {
    acknowledged.push_back(number);
  }

  for (int i = 0; i < 3; ++i) cluster.open(i);
  ASSERT_EQ(cluster[0].propose(kv::put("end", "reached")).get().kind, OutcomeKind::kExecuted);
  EXPECT_TRUE(cluster.converges("end", "reached"));
  for (const int number : acknowledged) {
    EXPECT_TRUE(eventually([&] { return has_key(cluster[1], number); })) << number;
  }
  EXPECT_TRUE(cluster.converges("end", "reached")) << "all in the same state";
}

// Whatever was half written of an image when they died.
TEST(NodeRestart, AfterKillNineInTheMiddleOfImagesEverythingAcknowledgedIsThere) {
  LocalCluster cluster(3, Durability::kSync, [](NodeConfig& config) {
    config.cluster.image_log_bytes = 4096;
    config.cluster.core.gossip_us = 5'000;
  });
  Child child([&](const Child::Tell& tell) {
    cluster.open_all();
    std::vector<std::thread> proposers;
    for (int i = 0; i < 3; ++i) {
      proposers.emplace_back([&, i] { put_many_for_ever(cluster[i], 1'000'000 * i, tell); });
    }
    for (std::thread& proposer : proposers) proposer.join();
  });
  std::vector<int> acknowledged;
  while (acknowledged.size() < 3000) acknowledged.push_back(child.next());
  child.kill();
  for (int number = child.next(); number >= 0; number = child.next()) {
    acknowledged.push_back(number);
  }

  for (int i = 0; i < 3; ++i) {
    cluster.open(i);
    EXPECT_GE(cluster[i].status().image.number, 1);
    EXPECT_TRUE(cluster[i].status().voting);
  }
  ASSERT_EQ(cluster[0].propose(kv::put("end", "reached")).get().kind, OutcomeKind::kExecuted);
  EXPECT_TRUE(cluster.converges("end", "reached")) << "all in the same state";
  for (const int number : acknowledged) {
    EXPECT_TRUE(eventually([&] { return has_key(cluster[1], number); })) << number;
  }
}

TEST(NodeRestart, AKilledNodeComesBackVotesAndCatchesUp) {
  LocalCluster cluster(3, Durability::kSync);
  Child child([&](const Child::Tell& tell) { put_for_ever(cluster.open(2), 0, tell); });
  cluster.open(0);
  cluster.open(1);
  int last = -1;
  while (last < 20) last = child.next();
  child.kill();
  for (int number = child.next(); number >= 0; number = child.next()) last = number;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(cluster[i % 2].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  }

  Node& back = cluster.open(2);

  EXPECT_TRUE(back.status().voting) << "at sync every vote is on disk";
  EXPECT_TRUE(cluster.converges("n", "20"));
  for (int number = 0; number <= last; ++number) {
    EXPECT_TRUE(has_key(back, number)) << number << " was acknowledged by the killed node itself";
  }
  cluster.close(1);
  EXPECT_EQ(value_of(cluster[0].propose(kv::increment("n", 1)).get().reply), "21")
      << "decided with the vote of the one that came back";
}

// Below "sync" votes may be missing after an unclean end, so the node learns and serves but does
// not vote, says why and what to do, and an operator may insist.
TEST_P(BelowSync, AfterAnUncleanStopANodeDoesNotVoteUnlessTheOperatorInsists) {
  LocalCluster cluster(3, GetParam());
  const LocalCluster::Change directory = [&](NodeConfig& config) {
    config.data_directory = cluster.directory(2);  // At "none" too: to know of the earlier run.
  };
  Child child([&](const Child::Tell& tell) {
    const auto node = must(cluster.try_open(2, directory));
    put_for_ever(*node, 0, tell);
  });
  cluster.open(0);
  cluster.open(1);
  while (child.next() < 10) continue;
  child.kill();
  {
    const auto back = must(cluster.try_open(2, directory));
    const NodeStatus status = back->status();
    EXPECT_FALSE(status.voting);
    EXPECT_EQ(status.role, "non-voting");
    EXPECT_THAT(status.non_voting_reason, HasSubstr("--unsafe-rejoin"));
    const OwnedOutcome refused = back->propose(kv::put("k", "v")).get();
    EXPECT_EQ(refused.kind, OutcomeKind::kRejected);
    EXPECT_EQ(refused.code, ErrorCode::kNotVoting);
    EXPECT_EQ(refused.reason, status.non_voting_reason);

    ASSERT_EQ(cluster[0].propose(kv::put("k", "v")).get().kind, OutcomeKind::kExecuted);
    EXPECT_TRUE(eventually([&] {
      return back->query<KeyValueMachine>(
          [](const KeyValueMachine& machine) { return machine.find("k") == "v"; });
    })) << "it learns what the others decide";
    ASSERT_TRUE(back->stop());
  }
  EXPECT_FALSE(must(cluster.try_open(2, directory))->status().voting)
      << "a clean stop does not bring votes back";

  const auto insisting = must(cluster.try_open(2, [&](NodeConfig& config) {
    directory(config);
    config.unsafe_rejoin = true;
  }));
  EXPECT_TRUE(insisting->status().voting);
  EXPECT_EQ(insisting->status().non_voting_reason, "");
}

}  // namespace
}  // namespace epaxos
