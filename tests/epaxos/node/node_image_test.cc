// Images at whole nodes: records and instances stay few, a restart finds the same state, and who
// comes back with nothing gets everything from a peer.

#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_store.h"
#include "tests/epaxos/node/node_support.h"

namespace epaxos::testing {
namespace {

constexpr int kKeys = 50;

/// Small logs and short waits, so that images and floors follow a test's load.
void with_small_logs(NodeConfig& config) {
  config.cluster.image_log_bytes = 4096;
  config.cluster.core.gossip_us = 5'000;
  config.cluster.core.question_us = 5'000;
}

/// Increments of some keys at all of these nodes, many at a time. Waits for their outcomes.
void load(LocalCluster& cluster, const std::vector<int>& nodes, int commands) {
  std::vector<std::future<OwnedOutcome>> outcomes;
  for (int i = 0; i < commands; ++i) {
    Node& node = cluster[nodes[static_cast<std::size_t>(i) % nodes.size()]];
    outcomes.push_back(node.propose(kv::increment("k" + std::to_string(i % kKeys), 1)));
    if (outcomes.size() < 200) continue;
    for (auto& outcome : outcomes) ASSERT_EQ(outcome.get().kind, OutcomeKind::kExecuted);
    outcomes.clear();
  }
  for (auto& outcome : outcomes) ASSERT_EQ(outcome.get().kind, OutcomeKind::kExecuted);
}

std::uint64_t executed(const NodeStatus& status) {
  std::uint64_t all = 0;
  for (const RowStatus& row : status.rows) all += row.executed_up_to.value();
  return all;
}

/// Waits until everything that was executed is forgotten everywhere.
bool floors_follow(LocalCluster& cluster) {
  return eventually([&] {
    for (int i = 0; i < cluster.replica_count(); ++i) {
      for (const RowStatus& row : cluster[i].status().rows) {
        if (row.floor != row.highest_known) return false;
      }
    }
    return true;
  });
}

/// A newer image than those so far, durable.
bool makes_image(Node& node) {
  const std::uint64_t before = node.status().image.number;
  node.request_image();
  return eventually([&] {
    const StateImageStatus image = node.status().image;
    return image.number > before && !image.making;
  });
}

/// Records of the protocol in the directory of a replica that is closed.
std::size_t records_on_disk(LocalCluster& cluster, int replica) {
  storage::DataDirectoryOptions options;
  options.path = cluster.directory(replica);
  options.identity = {cluster.config().id, ReplicaId(static_cast<std::uint16_t>(replica)),
                      cluster.replica_count()};
  auto directory = must(storage::DataDirectory::open(options));
  std::size_t records = 0;
  {
    auto store = must(storage::LmdbStore::open(*directory));
    EXPECT_TRUE(store->load([&](const RecordKey& key, Bytes) {
      records += key.kind == kRecordKindMax ? 0 : 1;
      return Result<void>();
    }));
    EXPECT_TRUE(store->close());
  }
  EXPECT_TRUE(directory->mark_clean());
  return records;
}

TEST(NodeImage, KeepsRecordsAndInstancesFewAndARestartFindsTheSameState) {
  LocalCluster cluster(3, Durability::kSync, with_small_logs);
  cluster.open_all();
  load(cluster, {0, 1, 2}, 3000);
  ASSERT_EQ(cluster[0].propose(kv::put("end", "reached")).get().kind, OutcomeKind::kExecuted);
  ASSERT_TRUE(cluster.converges("end", "reached"));
  ASSERT_TRUE(floors_follow(cluster));
  const std::uint64_t digest = cluster[0].digest();
  for (int i = 0; i < 3; ++i) {
    const NodeStatus status = cluster[i].status();
    EXPECT_GE(status.counter("images", "made"), 2) << "by itself";
    EXPECT_GE(status.counter("core", "floors_raised"), 1);
    ASSERT_TRUE(makes_image(cluster[i]));
    EXPECT_TRUE(eventually([&] {
      const NodeStatus now = cluster[i].status();
      return now.counter("core", "dropped_instances") == executed(now);
    })) << "nothing that all have executed stays in memory";
  }
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster[i].stop());
    cluster.close(i);
    EXPECT_LT(records_on_disk(cluster, i), 500) << "of some ten thousand";
  }
  for (int i = 0; i < 3; ++i) {
    cluster.open(i);
    EXPECT_GE(cluster[i].status().image.number, 3);
    EXPECT_TRUE(cluster[i].status().voting);
    EXPECT_EQ(cluster[i].digest(), digest) << "before it has heard of anybody";
  }

  EXPECT_EQ(value_of(cluster[2].propose(kv::increment("k0", 1)).get().reply), "61");
  EXPECT_TRUE(cluster.converges("k0", "61"));
}

TEST(NodeImage, IsMadeOnceMoreWhenSomebodyAsks) {
  LocalCluster cluster(1, Durability::kSync);
  cluster.open_all();
  load(cluster, {0}, 100);
  ASSERT_EQ(cluster[0].propose(kv::put("k", "v")).get().kind, OutcomeKind::kExecuted);
  EXPECT_EQ(cluster[0].status().image.number, 0);
  const std::uint64_t logged = cluster[0].status().image.log_bytes;

  ASSERT_TRUE(makes_image(cluster[0]));

  EXPECT_GT(cluster[0].status().image.bytes, 0);
  EXPECT_LT(cluster[0].status().image.log_bytes, logged / 2);
  cluster.close(0);
  cluster.open(0);
  EXPECT_EQ(cluster[0].status().image.number, 1);
  EXPECT_TRUE(cluster.converges("k", "v"));
}

TEST(NodeImage, WhoWasAwayForLongGetsItFromAPeerAndVotesAgain) {
  LocalCluster cluster(3, Durability::kSync, [](NodeConfig& config) {
    with_small_logs(config);
    config.cluster.core.image_lag_instances = 100;
  });
  cluster.open_all();
  load(cluster, {0, 1, 2}, 100);
  cluster.close(2);
  load(cluster, {0, 1}, 2000);

  cluster.open(2);

  EXPECT_TRUE(cluster.converges("k0", "42"));
  EXPECT_TRUE(cluster[2].status().voting);
  cluster.close(1);
  EXPECT_EQ(value_of(cluster[0].propose(kv::increment("k0", 1)).get().reply), "43")
      << "with the vote of the one that came back";
}

class NodeImageBelowSync : public ::testing::TestWithParam<Durability> {};
INSTANTIATE_TEST_SUITE_P(Durability, NodeImageBelowSync,
                         ::testing::Values(Durability::kAsync, Durability::kNone),
                         [](const auto& instance) {
                           return std::string(to_string(instance.param));
                         });

// The others have forgotten the instances, so there is no other way.
TEST_P(NodeImageBelowSync, WhoComesBackEmptyGetsTheStateServesReadsAndDoesNotVote) {
  LocalCluster cluster(3, GetParam(), with_small_logs);
  cluster.open_all();
  load(cluster, {0, 1, 2}, 2000);
  ASSERT_EQ(cluster[2].propose(kv::put("end", "reached")).get().kind, OutcomeKind::kExecuted);
  ASSERT_TRUE(cluster.converges("end", "reached"));
  ASSERT_TRUE(floors_follow(cluster));
  cluster.close(2);
  std::filesystem::remove_all(cluster.directory(2));

  Node& empty = cluster.open(2);

  EXPECT_TRUE(cluster.converges("end", "reached"));
  ASSERT_TRUE(eventually([&] { return !empty.status().voting; }));
  EXPECT_TRUE(eventually([&] { return empty.status().counter("images", "installed") >= 1; }));
  EXPECT_EQ(empty.propose(kv::put("k", "v")).get().kind, OutcomeKind::kRejected);
  const std::string read = empty.query<KeyValueMachine>(
      [](const KeyValueMachine& machine) { return std::string(machine.find("k0").value_or("")); });
  EXPECT_EQ(read, "40");

  load(cluster, {0, 1}, 500);
  EXPECT_TRUE(cluster.converges("k0", "50")) << "it follows what the others decide";
  EXPECT_FALSE(empty.status().voting);
}

}  // namespace
}  // namespace epaxos::testing
