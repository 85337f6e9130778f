// Opening nodes: what cannot serve is refused with a sentence, and costs nothing. What a node tells
// about itself, and what it does when its disk fails.

#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <set>
#include <unistd.h>

#include "epaxos/protocol/core.h"
#include "tests/epaxos/node/node_support.h"

namespace epaxos {
namespace {

using ::testing::AllOf;
using testing::eventually;
using ::testing::HasSubstr;
using testing::LocalCluster;
using testing::must;
using testing::Tally;

Error error_of(const Result<std::unique_ptr<Node>>& node) {
  return node ? Error{ErrorCode::kUnsupported, "it was opened"} : node.error();
}

// ---- Refused ----

TEST(NodeOpen, APortThatIsTakenIsAClearError) {
  LocalCluster cluster(3);
  cluster.open_all();
  const std::string peer = cluster[0].peer_address();
  const std::string client = cluster[0].client_address();

  const Error second = error_of(cluster.try_open(0));
  EXPECT_EQ(second.code, ErrorCode::kBusy);
  EXPECT_EQ(second.message, peer +
                                " is already in use. Stop the process that listens there, or "
                                "choose another address.");

  const Error clients = error_of(cluster.try_open(
      0, [](NodeConfig& config) { config.peer_bind_address = "tcp://127.0.0.1:*"; }));
  EXPECT_EQ(clients.code, ErrorCode::kBusy);
  EXPECT_THAT(clients.message, HasSubstr(client + " is already in use."));
}

TEST(NodeOpen, AnAddressOfAnotherMachineIsAClearError) {
  LocalCluster cluster(1);
  const Error error = error_of(cluster.try_open(
      0, [](NodeConfig& config) { config.peer_bind_address = "tcp://192.0.2.1:7000"; }));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, HasSubstr("tcp://192.0.2.1:7000 cannot be listened on"));
}

TEST(NodeOpen, AWayToReadThatTheProtocolCannotIsAClearError) {
  LocalCluster cluster(1);
  cluster.config().reads = Reads::kLease;
  const Error error = error_of(cluster.try_open(0));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, AllOf(HasSubstr("reads = \"lease\""), HasSubstr("epaxos has none"),
                                   HasSubstr("write reads = \"log\"")));

  cluster.config().reads = Reads::kLog;
  EXPECT_TRUE(cluster.try_open(0));
}

TEST(NodeOpen, ThriftWithAProtocolThatHasNoneIsAClearError) {
  LocalCluster cluster(1);
  cluster.config().core.thrifty = true;
  const Error error = error_of(cluster.try_open(0, [](NodeConfig& config) {
    config.protocol = protocol::epaxos();
    config.protocol->name = "another";
    config.protocol->can_be_thrifty = false;
  }));
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, AllOf(HasSubstr("thrifty = true"), HasSubstr("not another"),
                                   HasSubstr("write thrifty = false")));

  EXPECT_TRUE(cluster.try_open(0));
}

TEST(NodeOpen, ADirectoryInUseNamesWhoHasIt) {
  LocalCluster cluster(1, Durability::kSync);
  cluster.open_all();
  const Error error = error_of(cluster.try_open(0, [](NodeConfig& config) {
    config.peer_bind_address = config.client_bind_address = "tcp://127.0.0.1:*";
  }));
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.message, AllOf(HasSubstr(cluster.directory(0)),
                                   HasSubstr("process " + std::to_string(::getpid()))));
}

TEST(NodeOpen, TheDirectoryOfAnotherReplicaOrClusterIsRefused) {
  LocalCluster cluster(3, Durability::kSync);
  cluster.open_all();
  cluster.close(0);
  cluster.close(1);
  const Error replica = error_of(cluster.try_open(
      1, [&](NodeConfig& config) { config.data_directory = cluster.directory(0); }));
  EXPECT_EQ(replica.code, ErrorCode::kWrongIdentity);
  EXPECT_THAT(replica.message, AllOf(HasSubstr("replica 0"), HasSubstr("replica 1")));

  const Error other = error_of(cluster.try_open(0, [](NodeConfig& config) {
    config.cluster.name = "another";
    config.cluster.id = {};
  }));
  EXPECT_EQ(other.code, ErrorCode::kWrongIdentity);
  EXPECT_TRUE(cluster.try_open(0)) << "nothing has changed in it";
}

TEST(NodeOpen, AConfigurationThatCannotServeIsRefused) {
  LocalCluster cluster(3);
  const auto message = [&](const LocalCluster::Change& change) {
    const Error error = error_of(cluster.try_open(0, change));
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
    return error.message;
  };
  EXPECT_EQ(message([](NodeConfig& c) { c.self = ReplicaId(3); }),
            "There is no replica 3 in cluster \"test\", whose replicas are 0 to 2.");
  EXPECT_EQ(message([](NodeConfig& c) { c.cluster.durability = Durability::kSync; }),
            "Durability \"sync\" needs a data directory. Give one, or choose durability "
            "\"none\".");
  EXPECT_THAT(message([](NodeConfig& c) { c.cluster.replicas.clear(); }),
              HasSubstr("lists 0 replicas"));
  EXPECT_THAT(message([](NodeConfig& c) { c.cluster.pending_max = 0; }),
              HasSubstr("limits.pending_max: 0 is out of range"));
  EXPECT_THAT(message([](NodeConfig& c) { c.peer_bind_address = "here"; }),
              HasSubstr("\"here\" is no usable address"));
}

TEST(NodeOpen, AStartThatFailsForItsPortLeavesTheDirectoryToNobody) {
  LocalCluster cluster(3, Durability::kSync);
  cluster.open(0);
  const std::string taken = cluster[0].client_address();
  const Error busy = error_of(
      cluster.try_open(1, [&](NodeConfig& config) { config.client_bind_address = taken; }));
  EXPECT_EQ(busy.code, ErrorCode::kBusy);

  EXPECT_TRUE(cluster.try_open(2, [&](NodeConfig& config) {
    config.data_directory = cluster.directory(1);
  })) << "another replica may have it";
}

// Below "sync", a run that ends without its mark costs the replica its vote. One that never began
// has forgotten nothing.
TEST(NodeOpen, ARunThatDidNotBeginCostsNoVote) {
  LocalCluster cluster(1, Durability::kAsync);
  const LocalCluster::Change taken = [](NodeConfig& c) { c.client_bind_address = "tcp://h:1"; };
  ASSERT_FALSE(cluster.try_open(0, taken)) << "at the first start";
  EXPECT_TRUE(cluster.open(0).status().voting);
  cluster.close(0);
  ASSERT_FALSE(cluster.try_open(0, taken)) << "after a clean stop";
  EXPECT_TRUE(cluster.open(0).status().voting);
}

TEST(NodeOpen, ItMayListenElsewhereThanTheListSays) {
  LocalCluster cluster(1, Durability::kNone,
                       [](NodeConfig& c) { c.client_bind_address = "tcp://127.0.0.1:*"; });
  Node& node = cluster.open_all()[0];
  EXPECT_NE(node.client_address(), cluster.config().replicas[0].client);
  EXPECT_EQ(node.client_address(), node.status().client_address);
  EXPECT_EQ(node.peer_address(), cluster.config().replicas[0].peer);
}

TEST(NodeOpen, AnEmbedderNeedsNoClientPlane) {
  LocalCluster cluster(1);
  cluster.config().replicas[0].client.clear();
  Node& node = cluster.open(0);
  EXPECT_EQ(node.client_address(), "");
  EXPECT_EQ(node.propose(kv::put("k", "v")).get().kind, OutcomeKind::kExecuted);
}

// ---- Status ----

TEST(NodeStatusReport, TellsWhoTheNodeIsHowFarItIsAndEveryCounter) {
  LocalCluster cluster(3, Durability::kSync);
  cluster.config().replicas[1].site = "Oslo";
  cluster.open_all();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(cluster[1].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  }
  ASSERT_TRUE(cluster.converges("n", "10"));
  ASSERT_TRUE(eventually([&] {
    const auto peers = cluster[1].status().peers;
    return peers.size() == 2 && peers[0].connected && peers[1].connected;
  }));

  const NodeStatus status = cluster[1].status();

  EXPECT_EQ(status.self, ReplicaId(1));
  EXPECT_EQ(status.replica_count, 3);
  EXPECT_EQ(status.cluster, "test");
  EXPECT_EQ(status.protocol, "epaxos");
  EXPECT_EQ(status.state, NodeState::kRunning);
  EXPECT_EQ(status.role, "voting");
  EXPECT_TRUE(status.voting);
  EXPECT_EQ(status.non_voting_reason, "");
  EXPECT_EQ(status.durability, Durability::kSync);
  EXPECT_GE(status.incarnation, 1u);
  EXPECT_EQ(status.peer_address, cluster[1].peer_address());
  ASSERT_EQ(status.rows.size(), 3u);
  EXPECT_EQ(status.rows[1].executed_up_to, status.rows[1].committed_up_to);
  EXPECT_GE(status.rows[1].executed_up_to.value(), 10u);
  EXPECT_EQ(status.store.state, "ready");
  EXPECT_EQ(status.store.error, "");
  EXPECT_GT(status.store.transactions, 0u);
  EXPECT_EQ(status.queues.pending, 0u);
  EXPECT_EQ(status.peers[0].replica, ReplicaId(0));
  EXPECT_EQ(status.peers[1].replica, ReplicaId(2));
  EXPECT_EQ(status.counter("host", "commands_completed"), 10u);
  EXPECT_GT(status.counter("peer_plane", "messages_in"), 0u);
  EXPECT_EQ(status.counter("host", "no such counter"), 0u);
}

TEST(NodeStatusReport, EveryNodeHasTheSameCountersUnderNamesOfTheirOwn) {
  LocalCluster cluster(1);
  const NodeStatus status = cluster.open_all()[0].status();
  std::vector<std::string_view> groups;
  for (const CounterGroup& group : status.counters) {
    groups.push_back(group.name);
    std::set<std::string_view> names;
    for (const Counter& counter : group.counters) {
      EXPECT_TRUE(names.insert(counter.name).second) << group.name << " has two " << counter.name;
    }
  }
  EXPECT_THAT(groups, ::testing::ElementsAre("core", "host", "images", "node", "client_plane",
                                             "peer_plane"));
  EXPECT_EQ(status.store.state, "memory");
}

// ---- A disk that fails ----

/// From now on everything that this process writes to `file` fails: its descriptors are replaced by
/// ones that only read. Returns how many there were.
int make_unwritable(const std::string& file) {
  const int read_only = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  int replaced = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const int fd = std::stoi(entry.path().filename());
    if (fd == read_only || std::filesystem::read_symlink(entry.path(), gone) != file) continue;
    EXPECT_EQ(::dup2(read_only, fd), fd);
    ++replaced;
  }
  ::close(read_only);
  return replaced;
}

struct Failure {
  std::atomic<int> times{0};
  std::atomic<bool> on_own_thread{false};
  std::promise<std::string> reason;
};

TEST(NodeFailure, ANodeThatCannotPersistStopsAndSaysWhy) {
  Failure failure;
  Node* node = nullptr;
  LocalCluster cluster(1, Durability::kSync, [&](NodeConfig& config) {
    config.on_failure = [&](std::string_view reason) {
      ++failure.times;
      // All of this is allowed here.
      EXPECT_EQ(node->status().state, NodeState::kStopped);
      node->query([&](const StateMachine&) { failure.on_own_thread = true; });
      EXPECT_EQ(node->propose(kv::get("k"), kNever, [](const Outcome&) {}).error().code,
                ErrorCode::kStopped);
      EXPECT_TRUE(node->stop());
      failure.reason.set_value(std::string(reason));
    };
  });
  node = &cluster.open_all()[0];
  ASSERT_EQ(node->propose(kv::put("k", "1")).get().kind, OutcomeKind::kExecuted);
  ASSERT_GT(make_unwritable(cluster.directory(0) + "/data.mdb"), 0);

  const OwnedOutcome outcome = node->propose(kv::put("k", "2")).get();
  EXPECT_EQ(outcome.kind, OutcomeKind::kUnknown) << "the core had it";
  EXPECT_EQ(outcome.code, ErrorCode::kStopped);
  EXPECT_THAT(outcome.reason, HasSubstr("the disk of this replica failed"));
  EXPECT_EQ(failure.reason.get_future().get(), outcome.reason);
  EXPECT_TRUE(failure.on_own_thread);

  const auto later = node->propose(kv::get("k"), kNever, [](const Outcome&) {});
  EXPECT_EQ(later.error().code, ErrorCode::kStopped);
  EXPECT_EQ(later.error().message, outcome.reason);
  const NodeStatus status = node->status();
  EXPECT_EQ(status.state, NodeState::kStopped);
  EXPECT_EQ(status.stop_reason, outcome.reason);
  EXPECT_EQ(status.store.state, "failed");
  EXPECT_EQ(status.queues.pending, 0u);

  const auto stopped = node->stop();
  ASSERT_FALSE(stopped) << "something was not written";
  EXPECT_EQ(stopped.error().code, ErrorCode::kIo);
  EXPECT_EQ(failure.times, 1);
}

// The others go on; the one that failed keeps nobody waiting and is itself again after a restart.
TEST(NodeFailure, TheOthersGoOnAndItComesBackWithWhatWasWritten) {
  std::promise<void> failed;
  LocalCluster cluster(3, Durability::kSync, [&](NodeConfig& config) {
    config.on_failure = [&](std::string_view) { failed.set_value(); };
  });
  cluster.open_all();
  ASSERT_EQ(cluster[2].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  ASSERT_GT(make_unwritable(cluster.directory(2) + "/data.mdb"), 0);
  ASSERT_EQ(cluster[0].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);
  failed.get_future().wait();
  ASSERT_EQ(cluster[1].propose(kv::increment("n", 1)).get().kind, OutcomeKind::kExecuted);

  cluster.close(2);
  EXPECT_TRUE(cluster.open(2).status().voting);
  EXPECT_TRUE(cluster.converges("n", "3"));
}

// A proposer that tries again inside of its callback, while the node fails, is told no later than
// at the end.
TEST(NodeFailure, ProposersThatInsistAreToldExactlyOnceEach) {
  Tally tally;
  std::atomic<int> accepted{0};
  std::atomic<int> gave_up{0};
  LocalCluster cluster(1, Durability::kSync);
  Node& node = cluster.open_all()[0];
  OutcomeCallback again = [&](const Outcome& outcome) {
    tally.count(outcome);
    const auto taken = node.propose(kv::increment("n", 1), kNever, again);
    ++(taken ? accepted : gave_up);
  };
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(node.propose(kv::increment("n", 1), kNever, again));
    ++accepted;
  }
  ASSERT_TRUE(eventually([&] { return tally.executed() > 50; }));
  ASSERT_GT(make_unwritable(cluster.directory(0) + "/data.mdb"), 0);
  EXPECT_TRUE(eventually([&] { return gave_up == 10; }));
  EXPECT_FALSE(node.stop());
  EXPECT_EQ(tally.all(), accepted);
  EXPECT_EQ(tally.unknown() + tally.rejected(), tally.of(ErrorCode::kStopped));
}

}  // namespace
}  // namespace epaxos
