// Reading cluster files: what is good gives exactly what it says, and everything else a sentence
// that names the file, the line, the key and what to do.

#include "epaxos/node/config.h"

#include <fstream>
#include <gmock/gmock.h>

#include "epaxos/node/config_keys.h"
#include "tests/epaxos/node/node_support.h"

namespace epaxos {
namespace {

using ::testing::HasSubstr;
using testing::must;

const std::string kReplica0 = R"(
[[replicas]]
peer = "tcp://127.0.0.1:7000"
client = "tcp://127.0.0.1:7100"
)";
const std::string kReplica1 = R"(
[[replicas]]
peer = "tcp://127.0.0.1:7001"
client = "tcp://127.0.0.1:7101"
site = "Oslo"
)";
const std::string kReplica2 = R"(
[[replicas]]
peer = "tcp://127.0.0.1:7002"
client = "tcp://127.0.0.1:7102"
)";
const std::string kReplicas = kReplica0 + kReplica1 + kReplica2;

/// The error of this text as file "c.toml"; fails the test when there is none.
std::string error_of(const std::string& text) {
  const auto config = ClusterConfig::parse(text, "c.toml");
  if (config) {
    ADD_FAILURE() << "accepted:\n" << text;
    return "";
  }
  EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
  return config.error().message;
}

// ---- What is good ----

TEST(ClusterConfig, ReadsEverythingThatAFileSays) {
  const auto config = must(ClusterConfig::parse(R"(
name = "shop"
id = "000102030405060708090a0b0c0d0e0f"
durability = "async"
reads = "lease"
thrifty = true
[limits]
batch_commands_max = 16
pending_max = 99
[timers]
gossip_us = 12345
wait_for_fast_path = true
)" + kReplicas,
                                                "c.toml"));
  EXPECT_EQ(config.name, "shop");
  EXPECT_EQ(to_string(config.id), "000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(config.durability, Durability::kAsync);
  EXPECT_EQ(config.reads, Reads::kLease);
  EXPECT_EQ(config.core.batch_commands_max, 16u);
  EXPECT_EQ(config.pending_max, 99u);
  EXPECT_EQ(config.core.gossip_us, 12345u);
  EXPECT_TRUE(config.core.wait_for_fast_path);
  EXPECT_TRUE(config.core.thrifty);
  ASSERT_EQ(config.replica_count(), 3);
  EXPECT_EQ(config.replicas[1].peer, "tcp://127.0.0.1:7001");
  EXPECT_EQ(config.replicas[1].client, "tcp://127.0.0.1:7101");
  EXPECT_EQ(config.replicas[1].site, "Oslo");
  EXPECT_TRUE(config.notes.empty());
}

TEST(ClusterConfig, WhatAFileDoesNotSayIsTheDefault) {
  const auto config = must(ClusterConfig::parse("name = \"shop\"\n" + kReplicas, "c.toml"));
  EXPECT_EQ(config.durability, Durability::kSync);
  EXPECT_EQ(config.reads, std::nullopt);
  EXPECT_EQ(config.id, cluster_id_of("shop"));
  EXPECT_EQ(config.core.batch_commands_max, CoreConfig().batch_commands_max);
  EXPECT_FALSE(config.core.wait_for_fast_path);
  EXPECT_FALSE(config.core.thrifty);
}

TEST(ClusterConfig, AnEvenNumberOfReplicasIsFineAndNoted) {
  const auto two = must(ClusterConfig::parse("name = \"x\"\n" + kReplica0 + kReplica1, "c.toml"));
  ASSERT_EQ(two.notes.size(), 1u);
  EXPECT_EQ(two.notes[0],
            "A cluster of 2 tolerates no failure: with one replica down nothing is decided. "
            "Three tolerate one.");
  const auto four = must(ClusterConfig::loopback("x", 4));
  ASSERT_EQ(four.notes.size(), 1u);
  EXPECT_EQ(four.notes[0],
            "4 replicas tolerate 1 failure, as many as 3 do: an even number is fine, but costs "
            "without gaining.");
  EXPECT_THAT(must(ClusterConfig::loopback("x", 6)).notes.at(0), HasSubstr("2 failures"));
  for (const int odd : {3, 5, 7, 9})
    EXPECT_TRUE(must(ClusterConfig::loopback("x", odd)).notes.empty());
}

TEST(ClusterConfig, WrittenAsAFileAndReadAgainItIsTheSame) {
  ClusterConfig config = must(ClusterConfig::loopback("a-b_c.9", 5, Durability::kAsync));
  config.id.fill(std::byte{0xab});
  config.core.batch_commands_max = 7;
  config.core.batch_bytes_max = 8;
  config.core.in_flight_max = 9;
  config.core.held_undecided_max = 5000;
  config.pending_max = 10;
  config.image_log_bytes = 5001;
  config.core.image_lag_instances = 5002;
  config.core.held_executed_max = 5003;
  config.core.held_bytes_max = std::uint64_t{1} << 21;
  config.core.history_instances = 5004;
  config.core.retransmit_us = 1001;
  config.core.retransmit_max_us = 1002;
  config.core.fast_wait_us = 0;
  config.core.gossip_us = 1004;
  config.core.question_us = 1005;
  config.core.wait_for_fast_path = true;
  config.core.thrifty = true;
  config.reads = Reads::kLog;
  config.replicas[3].site = "a \"quoted\" \\ site";
  const std::string file = config.to_toml();

  const ClusterConfig again = must(ClusterConfig::parse(file, "c.toml"));

  EXPECT_EQ(again.to_toml(), file);
  EXPECT_EQ(again.id, config.id);
  EXPECT_EQ(again.durability, Durability::kAsync);
  EXPECT_EQ(again.reads, Reads::kLog);
  EXPECT_EQ(again.replicas[3].site, config.replicas[3].site);
  EXPECT_EQ(again.replicas[4].client, config.replicas[4].client);
  EXPECT_EQ(again.core.batch_commands_max, 7u);
  EXPECT_EQ(again.core.fast_wait_us, 0u);
  EXPECT_EQ(again.core.question_us, 1005u);
  EXPECT_EQ(again.pending_max, 10u);
  EXPECT_EQ(again.image_log_bytes, 5001u);
  EXPECT_EQ(again.core.image_lag_instances, 5002u);
  EXPECT_EQ(again.core.held_executed_max, 5003u);
  EXPECT_EQ(again.core.held_bytes_max, std::uint64_t{1} << 21);
  EXPECT_EQ(again.core.history_instances, 5004u);
  EXPECT_TRUE(again.core.wait_for_fast_path);
  EXPECT_TRUE(again.core.thrifty);
}

TEST(ClusterConfig, ThePrintedFileShowsEveryKey) {
  ClusterConfig config = must(ClusterConfig::loopback("x", 3));
  const auto shows = [&](const std::string& before) {
    const std::string file = config.to_toml();
    for (const std::string_view table : {"", "replicas", "limits", "timers", "emulation"}) {
      for (const std::string_view key : config::known_keys(table)) {
        const bool is_table = table.empty() && (key == "replicas" || key == "limits" ||
                                                key == "timers" || key == "emulation");
        const std::string wanted =
            is_table ? "[" + std::string(key) + "]" : std::string(key) + " = ";
        EXPECT_NE(file.find(wanted), std::string::npos) << wanted << before;
      }
    }
  };
  shows(" without an emulated network");
  config.emulation.emplace().one_way_us = {{0, 1, 2}, {3, 0, 4}, {5, 6, 0}};
  shows(" with one");
  const std::string file = config.to_toml();
  EXPECT_EQ(must(ClusterConfig::parse(file, "c.toml")).to_toml(), file);
}

TEST(ClusterConfig, TheHashTellsApartWhatReplicasMustAgreeOnAndNothingElse) {
  const ClusterConfig config = must(ClusterConfig::loopback("x", 3));
  const std::uint64_t hash = config.configuration_hash("epaxos");
  EXPECT_EQ(must(ClusterConfig::loopback("x", 3)).configuration_hash("epaxos"), hash)
      << "machines may know each other under different addresses";
  EXPECT_NE(must(ClusterConfig::loopback("x", 5)).configuration_hash("epaxos"), hash);
  EXPECT_NE(config.configuration_hash("raft"), hash);
  ClusterConfig with_spare = config;
  with_spare.replicas[2].member = false;
  EXPECT_NE(with_spare.configuration_hash("epaxos"), hash);
}

TEST(ClusterConfig, SparesAreReadAndWrittenAndDoNotCount) {
  ClusterConfig config = must(ClusterConfig::loopback("x", 4));
  EXPECT_FALSE(config.notes.empty()) << "four members";
  config.replicas[3].member = false;

  const ClusterConfig again = must(ClusterConfig::parse(config.to_toml(), "c.toml"));

  EXPECT_EQ(again.spares(), ReplicaSet::only(ReplicaId(3)));
  EXPECT_EQ(again.to_toml(), config.to_toml());
  EXPECT_TRUE(again.notes.empty()) << "three members";
}

TEST(ClusterConfig, AnIdFollowsFromTheNameUnlessItIsGiven) {
  EXPECT_NE(cluster_id_of("shop"), cluster_id_of("shoq"));
  EXPECT_EQ(must(cluster_id_from(to_string(cluster_id_of("shop")))), cluster_id_of("shop"));
  for (const char* const wrong :
       {"", "12", "000102030405060708090a0b0c0d0e0G", "000102030405060708090A0B0C0D0E0F",
        "000102030405060708090a0b0c0d0e0f0"}) {
    EXPECT_FALSE(cluster_id_from(wrong)) << wrong;
  }
}

// ---- Mistakes in a file ----

struct Mistake {
  std::string name;
  std::string text;
  std::string error;
};
void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.name;
}

class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreNamedWithFileLineKeyAndWhatToDo) {
  EXPECT_EQ(error_of(GetParam().text), GetParam().error);
}

const std::string kName = "name = \"x\"\n";

INSTANTIATE_TEST_SUITE_P(
    Keys, Mistakes,
    ::testing::Values(
        Mistake{"misspelt", "nam = \"x\"\n" + kReplicas,
                "c.toml:1: nam: This key is not known. Did you mean \"name\"?"},
        Mistake{"far", "name = \"x\"\nzzzzzzzzzz = 1\n" + kReplicas,
                "c.toml:2: zzzzzzzzzz: This key is not known. Known here: name, id, durability, "
                "reads, thrifty, replicas, limits, timers, emulation."},
        Mistake{"limit", kName + "[limits]\npending_may = 7\n" + kReplicas,
                "c.toml:3: limits.pending_may: This key is not known. Did you mean "
                "\"pending_max\"?"},
        Mistake{"timer", kName + "[timers]\nwait_for_fast = true\n" + kReplicas,
                "c.toml:3: timers.wait_for_fast: This key is not known. Did you mean "
                "\"wait_for_fast_path\"?"},
        Mistake{"replica", kName + kReplica0 + "adress = \"a\"\n",
                "c.toml:6: replicas[0].adress: This key is not known. Known here: peer, client, "
                "site, member."},
        Mistake{"twice", kName + kName + kReplicas,
                "c.toml:2: This is not TOML: Error while parsing key-value pair: cannot redefine "
                "existing string 'name'."}),
    [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Types, Mistakes,
    ::testing::Values(
        Mistake{"name", "name = 7\n" + kReplicas,
                "c.toml:1: name: is a whole number, but must be a string in quotes."},
        Mistake{"durability", kName + "durability = true\n" + kReplicas,
                "c.toml:2: durability: is true or false, but must be a string in quotes."},
        Mistake{"limits", kName + "limits = 3\n" + kReplicas,
                "c.toml:2: limits: is a whole number, but must be a table."},
        Mistake{"number", kName + "[limits]\npending_max = \"many\"\n" + kReplicas,
                "c.toml:3: limits.pending_max: is a string, but must be a whole number."},
        Mistake{"fraction", kName + "[timers]\ngossip_us = 1.5\n" + kReplicas,
                "c.toml:3: timers.gossip_us: is a number with a point, but must be a whole "
                "number."},
        Mistake{"date", kName + "[timers]\ngossip_us = 2024-01-01\n" + kReplicas,
                "c.toml:3: timers.gossip_us: is a date or a time, but must be a whole number."},
        Mistake{"bool", kName + "[timers]\nwait_for_fast_path = 1\n" + kReplicas,
                "c.toml:3: timers.wait_for_fast_path: is a whole number, but must be true or "
                "false."},
        Mistake{"replicas", kName + "replicas = [1, 2]\n",
                "c.toml:2: replicas: is a list, but must be a list of tables: [[replicas]], once "
                "for each replica."},
        Mistake{"peer", kName + "[[replicas]]\npeer = 7000\nclient = \"tcp://a:1\"\n",
                "c.toml:3: replicas[0].peer: is a whole number, but must be a string in quotes."},
        Mistake{"member", kName + kReplica0 + "member = \"no\"\n",
                "c.toml:6: replicas[0].member: is a string, but must be true or false."}),
    [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, Mistakes,
    ::testing::Values(
        Mistake{"noName", kReplicas, "c.toml:1: name: is missing. Add it."},
        Mistake{"emptyName", "name = \"\"\n" + kReplicas,
                "c.toml:1: name: is missing. Give the cluster a name."},
        Mistake{"oddName", "name = \"a b\"\n" + kReplicas,
                "c.toml:1: name: must be 1 to 64 letters, digits, \"-\", \"_\" or \".\"."},
        Mistake{"longName", "name = \"" + std::string(65, 'x') + "\"\n" + kReplicas,
                "c.toml:1: name: must be 1 to 64 letters, digits, \"-\", \"_\" or \".\"."},
        Mistake{"id", kName + "id = \"12\"\n" + kReplicas,
                "c.toml:2: id: A cluster id is 32 hexadecimal digits (0-9, a-f)."},
        Mistake{"low", kName + "[limits]\nbatch_commands_max = 0\n" + kReplicas,
                "c.toml:3: limits.batch_commands_max: 0 is out of range: 1 to 1024."},
        Mistake{"high", kName + "[timers]\ngossip_us = 60000001\n" + kReplicas,
                "c.toml:3: timers.gossip_us: 60000001 is out of range: 1000 to 60000000."},
        Mistake{"negative", kName + "[timers]\ngossip_us = -1\n" + kReplicas,
                "c.toml:3: timers.gossip_us: -1 must not be negative."},
        Mistake{"order",
                kName + "[timers]\nretransmit_us = 5000\nretransmit_max_us = 4000\n" + kReplicas,
                "c.toml:4: timers.retransmit_max_us: must not be below retransmit_us."},
        Mistake{"heartbeatsTooRare",
                kName + "[timers]\nelection_us = 100000\nheartbeat_us = 60000\n" + kReplicas,
                "c.toml:4: timers.heartbeat_us: must not be above half of election_us, or replicas "
                "stand for election although the leader is there."},
        Mistake{"site", kName + kReplica0 + "site = \"" + std::string(65, 's') + "\"\n",
                "c.toml:6: replicas[0].site: must be at most 64 printable characters."}),
    [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Replicas, Mistakes,
    ::testing::Values(
        Mistake{"none", kName,
                "c.toml:1: replicas: lists 0 replicas. A cluster has 1 to 9: write one "
                "[[replicas]] table for each."},
        Mistake{"emptyList", kName + "replicas = []\n",
                "c.toml:2: replicas: lists 0 replicas. A cluster has 1 to 9: write one "
                "[[replicas]] table for each."},
        Mistake{"onlySpares", kName + kReplica0 + "member = false\n",
                "c.toml:3: replicas: has no member: each one says member = false. Leave that out "
                "for those that are to begin."},
        Mistake{"noPeer", kName + "[[replicas]]\nclient = \"tcp://a:1\"\n",
                "c.toml:2: replicas[0].peer: is missing. Add it."},
        Mistake{"noClient", kName + "[[replicas]]\npeer = \"tcp://a:1\"\n",
                "c.toml:2: replicas[0].client: is missing. Add it."},
        Mistake{"emptyClient", kName + "[[replicas]]\npeer = \"tcp://a:1\"\nclient = \"\"\n",
                "c.toml:4: replicas[0].client: is empty. Give an address."},
        Mistake{"address", kName + "[[replicas]]\npeer = \"a:1\"\nclient = \"tcp://a:1\"\n",
                "c.toml:3: replicas[0].peer: \"a:1\" is no usable address: it begins with neither "
                "tcp:// nor ipc://. Write tcp://HOST:PORT, for example tcp://127.0.0.1:7000, or "
                "ipc://PATH."},
        Mistake{"samePeer", kName + kReplica0 + kReplica0,
                "c.toml:8: replicas[1].peer: \"tcp://127.0.0.1:7000\" is the address of "
                "replicas[0].peer too. Give each its own port."},
        Mistake{"clientIsPeer",
                kName + "[[replicas]]\npeer = \"tcp://a:1\"\nclient = \"tcp://a:1\"\n",
                "c.toml:4: replicas[0].client: \"tcp://a:1\" is the address of replicas[0].peer "
                "too. Give each its own port."}),
    [](const auto& instance) { return instance.param.name; });

TEST(ClusterConfig, AnUnknownDurabilityIsAnErrorThatNamesTheKnownOnes) {
  const std::string error = error_of(kName + "durability = \"fast\"\n" + kReplicas);
  EXPECT_THAT(error, HasSubstr("c.toml:2: durability: "));
  for (const char* const known : {"sync", "async", "none"}) EXPECT_THAT(error, HasSubstr(known));
}

TEST(ClusterConfig, AnUnknownWayToReadIsAnErrorThatNamesTheKnownOnes) {
  const std::string error = error_of(kName + "reads = \"local\"\n" + kReplicas);
  EXPECT_THAT(error, HasSubstr("c.toml:2: reads: "));
  for (const char* const known : {"log", "index", "lease"}) EXPECT_THAT(error, HasSubstr(known));
}

TEST(ClusterConfig, TenReplicasAreTooMany) {
  std::string text = kName;
  for (int i = 0; i < 10; ++i) {
    text += "[[replicas]]\npeer = \"tcp://a:" + std::to_string(100 + i) +
            "\"\nclient = \"tcp://b:" + std::to_string(100 + i) + "\"\n";
  }
  EXPECT_EQ(error_of(text),
            "c.toml:2: replicas: lists 10 replicas. A cluster has 1 to 9: write one [[replicas]] "
            "table for each.");
}

// Whatever the bytes are, there is a sentence and no crash.
TEST(ClusterConfig, EveryTruncationAndEveryBrokenByteEndsInASentence) {
  const std::string file = must(ClusterConfig::loopback("x", 3)).to_toml();
  for (std::size_t size = 0; size < file.size(); size += 3) {
    const auto config = ClusterConfig::parse(std::string_view(file).substr(0, size), "c.toml");
    EXPECT_TRUE(config || config.error().message.starts_with("c.toml:"));
  }
  for (std::size_t at = 0; at < file.size(); at += 3) {
    for (const char broken : {'\0', '"', '[', '\xff'}) {
      std::string text = file;
      text[at] = broken;
      const auto config = ClusterConfig::parse(text, "c.toml");
      EXPECT_TRUE(config || config.error().message.starts_with("c.toml:"));
    }
  }
}

// ---- Files, and configurations made by hand ----

TEST(ClusterConfig, AFileThatCannotServeIsExplained) {
  const testing::TemporaryDirectory directory;
  const auto error = [](const std::string& path) {
    const auto config = ClusterConfig::load(path);
    return config ? std::string("accepted") : config.error().message;
  };
  EXPECT_EQ(error(directory / "missing.toml"),
            "The cluster file " + (directory / "missing.toml") +
                " cannot be read: No such file or directory. Check the path.");
  EXPECT_EQ(error(directory / ""),
            "The cluster file " + (directory / "") + " is not a file. Check the path.");
  std::ofstream(directory / "empty.toml").flush();
  EXPECT_EQ(error(directory / "empty.toml"),
            "The cluster file " + (directory / "empty.toml") +
                " is empty. Give the cluster a name and one [[replicas]] table for each replica.");
  std::ofstream(directory / "huge.toml") << std::string((1 << 20) + 1, '#');
  EXPECT_EQ(error(directory / "huge.toml"), "The cluster file " + (directory / "huge.toml") +
                                                " is larger than 1 MiB. Check the path.");
}

TEST(ClusterConfig, AFileIsReadAndItsPathIsInItsErrors) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "cluster.toml";
  std::ofstream(path) << kName << kReplicas;
  EXPECT_EQ(must(ClusterConfig::load(path)).replica_count(), 3);
  std::ofstream(path) << "name = 1\n";
  EXPECT_THAT(ClusterConfig::load(path).error().message, HasSubstr(path + ":1: name: "));
}

TEST(ClusterConfig, OneMadeByHandIsCheckedLikeAFile) {
  ClusterConfig config;
  config.name = "x";
  EXPECT_EQ(config.complete().error().message,
            "The configuration's replicas: lists 0 replicas. A cluster has 1 to 9: write one "
            "[[replicas]] table for each.");
  config.replicas = {{"tcp://a:1", "", ""}};
  ASSERT_TRUE(config.complete()) << "a replica of an embedder may serve no clients";
  EXPECT_EQ(config.id, cluster_id_of("x"));
  config.core.batch_bytes_max = 0;
  EXPECT_THAT(config.complete().error().message, HasSubstr("limits.batch_bytes_max: 0"));
}

TEST(ClusterConfig, LoopbackHasOneToNineReplicasWithAddressesOfTheirOwn) {
  EXPECT_FALSE(ClusterConfig::loopback("x", 0));
  EXPECT_FALSE(ClusterConfig::loopback("x", 10));
  EXPECT_FALSE(ClusterConfig::loopback("x", -1));
  const auto config = must(ClusterConfig::loopback("x", 9));
  EXPECT_EQ(config.replica_count(), 9);
  EXPECT_EQ(config.durability, Durability::kNone);
}

// ---- An emulated network ----

const std::string kEmulation = "name = \"e\"\n[emulation]\n";
const std::string kDelays = "one_way_ms = [[0, 40.5, 80], [41, 0, 7], [80, 7, 0]]\n";

TEST(EmulatedCluster, ReadsDelaysAndTheRest) {
  const auto config = must(ClusterConfig::parse(
      kEmulation + kDelays +
          "jitter_ms = 1.5\nloss_percent = 0.1\nloss_delay_ms = 250\nmbit_per_s = 100\n" +
          kReplicas,
      "c.toml"));
  ASSERT_TRUE(config.emulation);
  EXPECT_EQ(config.emulation->one_way_us[0], (std::vector<Tick>{0, 40'500, 80'000}));
  EXPECT_EQ(config.emulation->one_way_us[1], (std::vector<Tick>{41'000, 0, 7'000}));
  EXPECT_EQ(config.emulation->all, (net::LinkSettings{.jitter_us = 1'500,
                                                      .loss = 0.001,
                                                      .loss_delay_us = 250'000,
                                                      .bytes_per_second = 12'500'000}));
  EXPECT_THAT(config.notes, ::testing::Contains(HasSubstr("The network is emulated")));

  const auto again = must(ClusterConfig::parse(config.to_toml(), "again.toml"));
  EXPECT_EQ(again.emulation, config.emulation);
}

TEST(EmulatedCluster, EveryMistakeIsNamed) {
  const auto error = [](const std::string& table) {
    return error_of(kEmulation + table + kReplicas);
  };
  EXPECT_THAT(error("jitter_ms = 1\n"), HasSubstr("emulation.one_way_ms: is missing. Add it."));
  EXPECT_THAT(error("one_way_ms = [[0, 1], [1, 0]]\n"),
              HasSubstr("must have 3 rows of 3 delays, as there are 3 replicas."));
  EXPECT_THAT(error("one_way_ms = [[0, 1, 2], [1, 0], [2, 1, 0]]\n"), HasSubstr("3 rows of 3"));
  EXPECT_THAT(error("one_way_ms = 40\n"), HasSubstr("but must be a list of lists"));
  EXPECT_THAT(error("one_way_ms = [0, 1, 2]\n"), HasSubstr("but must be a list of lists"));
  EXPECT_THAT(error("one_way_ms = [[0, \"a\", 2], [1, 0, 2], [2, 1, 0]]\n"),
              HasSubstr("is a string, but must be a number"));
  EXPECT_THAT(error("one_way_ms = [[0, -1, 2], [1, 0, 2], [2, 1, 0]]\n"),
              HasSubstr("-1 is out of range: 0 to 60000."));
  EXPECT_THAT(error("one_way_ms = [[0, nan, 2], [1, 0, 2], [2, 1, 0]]\n"),
              HasSubstr("out of range: 0 to 60000."));
  EXPECT_THAT(error(kDelays + "loss_percent = 101\n"), HasSubstr("101 is out of range: 0 to 100."));
  EXPECT_THAT(error(kDelays + "jiter_ms = 1\n"), HasSubstr("Did you mean \"jitter_ms\"?"));
  EXPECT_THAT(error_of("name = \"e\"\nemulation = 1\n" + kReplicas),
              HasSubstr("emulation: is a whole number, but must be a table."));
}

}  // namespace
}  // namespace epaxos
