// epaxosd and epaxosctl as people use them: what they print, how they end, and what they refuse.

#include <filesystem>
#include <gmock/gmock.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/process/cluster_processes.h"

namespace epaxos::testing {
namespace {

using ::testing::HasSubstr;

TEST(Control, EveryOperationOfTheStore) {
  ClusterProcesses cluster(3);
  cluster.start_all();

  EXPECT_EQ(cluster.control({"get", "a"}).status, 4);
  EXPECT_EQ(cluster.control({"put", "a", "1"}).out, "ok\n");
  EXPECT_EQ(cluster.control({"get", "a"}).out, "1\n");
  EXPECT_EQ(cluster.control({"append", "a", "2"}).status, 0);
  EXPECT_EQ(cluster.control({"incr", "a", "--", "-5"}).out, "7\n");
  EXPECT_EQ(cluster.control({"cas", "a", "x", "--expected", "8"}).status, 5);
  EXPECT_EQ(cluster.control({"cas", "a", "x", "--expected", "7"}).status, 0);
  EXPECT_EQ(cluster.control({"cas", "fresh", "1", "--absent"}).status, 0);
  EXPECT_EQ(cluster.control({"incr", "a"}).status, 5);
  EXPECT_EQ(cluster.control({"mput", "b=1", "c=x=y"}).out, "ok\n");
  EXPECT_EQ(cluster.control({"mget", "b", "c", "d"}).out, "b\t1\nc\tx=y\nd\t(not found)\n");
  EXPECT_EQ(cluster.control({"delete", "b"}).out, "ok\n");
  EXPECT_EQ(cluster.control({"delete", "b"}).status, 4);
  EXPECT_EQ(cluster.control({"put", "long", "-"}, "from the input").status, 0);
  EXPECT_THAT(cluster.control({"get", "long"}).out, HasSubstr("from the input"));

  const auto json = nlohmann::json::parse(cluster.control({"--output", "json", "get", "a"}).out);
  EXPECT_EQ(json.at("outcome"), "executed");
  EXPECT_EQ(json.at("value"), "x");
}

TEST(Control, StatusShowsEveryReplicaAndThoseThatDoNotAnswer) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  EXPECT_EQ(cluster.control({"put", "a", "1"}).status, 0);
  cluster.kill(2);

  const Ran table = cluster.control({"--timeout", "2", "status"});
  EXPECT_EQ(table.status, 6);
  EXPECT_THAT(table.out, HasSubstr("R0"));
  EXPECT_THAT(table.out, HasSubstr("voting"));
  EXPECT_THAT(table.out, HasSubstr("no answer"));

  const Ran json = cluster.control({"--timeout", "2", "--output", "json", "status"});
  const auto list = nlohmann::json::parse(json.out);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].at("role"), "voting");
  EXPECT_TRUE(list[0].at("counters").at("core").contains("refused_malformed_frame"));
  EXPECT_TRUE(list[2].contains("error"));
}

TEST(Control, OfALeaderlessProtocolItSaysSoAndNothingChangesHands) {
  ClusterProcesses cluster(3);
  cluster.start_all();

  const Ran shown = cluster.control({"leader", "show"});
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.out, HasSubstr("There is no leader in epaxos"));
  const Ran transferred = cluster.control({"leader", "transfer"});
  EXPECT_EQ(transferred.status, 2);
  EXPECT_THAT(transferred.err, HasSubstr("There is no leader in epaxos"));
  const Ran members = cluster.control({"member", "list"});
  EXPECT_EQ(members.status, 0);
  EXPECT_THAT(members.out, HasSubstr("voting"));
  for (const char* change : {"add", "remove"}) {
    const Ran refused = cluster.control({"member", change, "--id", "2"});
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.err, HasSubstr("the members cannot change in epaxos"));
    EXPECT_THAT(refused.err, HasSubstr("it only learns and never votes again"));
  }
}

TEST(Control, TheLeadOfRaftGoesToTheReplicaThatIsWishedFor) {
  ClusterProcesses cluster(3);
  for (int replica = 0; replica < 3; ++replica) cluster.start(replica, {"--protocol", "raft"});
  ASSERT_EQ(cluster.control({"put", "a", "1"}).status, 0);
  const auto leader_now = [&] {
    const Ran shown = cluster.control({"--output", "json", "leader", "show"});
    EXPECT_EQ(shown.status, 0) << shown.err;
    return nlohmann::json::parse(shown.out).at("leader").get<int>();
  };
  const int before = leader_now();
  const int wished = (before + 1) % 3;

  const Ran transferred = cluster.control({"leader", "transfer", "--to", std::to_string(wished)});

  EXPECT_EQ(transferred.status, 0) << transferred.err;
  EXPECT_THAT(transferred.out, HasSubstr("R" + std::to_string(wished) + " leads."));
  EXPECT_EQ(leader_now(), wished);
  EXPECT_EQ(cluster.control({"put", "a", "2"}).status, 0);
  const Ran again = cluster.control({"leader", "transfer", "--to", std::to_string(wished)});
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("leads already"));
  const Ran nobody = cluster.control({"leader", "transfer", "--to", "7"});
  EXPECT_EQ(nobody.status, 2);
  EXPECT_THAT(nobody.err, HasSubstr("R7 is none"));
}

TEST(Control, MultiPaxosTellsWhoLeadsAndKeepsTheLead) {
  ClusterProcesses cluster(3);
  for (int replica = 0; replica < 3; ++replica) {
    cluster.start(replica, {"--protocol", "multipaxos"});
  }
  ASSERT_EQ(cluster.control({"put", "a", "1"}).status, 0);

  EXPECT_THAT(cluster.control({"leader", "show"}).out, HasSubstr(" leads."));
  const Ran kept = cluster.control({"leader", "transfer"});
  EXPECT_EQ(kept.status, 2);
  EXPECT_THAT(kept.err, HasSubstr("does not give the lead away"));
}

TEST(Control, AnotherReplicaIsAskedWhenTheNearestIsGoneAndOneAloneIsRejected) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  cluster.kill(0);

  EXPECT_EQ(cluster.control({"put", "a", "1"}).status, 0);
  const Ran alone = cluster.control({"--replica", "0", "--timeout", "1", "put", "a", "2"});
  EXPECT_EQ(alone.status, 2);
  EXPECT_THAT(alone.err, HasSubstr("rejected"));
  EXPECT_EQ(cluster.control({"get", "a"}).out, "1\n");
}

TEST(Control, WithoutAQuorumTheOutcomeIsUnknown) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  cluster.kill(1);
  cluster.kill(2);

  const Ran once = cluster.control({"--timeout", "1", "--no-session", "put", "a", "1"});
  const Ran put = cluster.control({"--timeout", "1", "put", "a", "1"});

  const Ran get = cluster.control({"--timeout", "1", "get", "a"});

  EXPECT_EQ(once.status, 3) << once.out << once.err;
  EXPECT_THAT(once.err, HasSubstr("unknown"));
  EXPECT_EQ(get.status, 3) << get.out << get.err;
  for (const Ran* each : {&once, &put, &get}) {
    EXPECT_THAT(each->err, HasSubstr("more than half of the members"));
  }
  EXPECT_EQ(put.status, 2) << put.out << put.err;
  EXPECT_THAT(put.err, HasSubstr("No session could be opened")) << "so it was never sent";
}

TEST(Control, StatusTellsAboutSessions) {
  ClusterProcesses cluster(1);
  cluster.start_all();
  EXPECT_EQ(cluster.control({"--no-session", "put", "a", "1"}).status, 0);
  EXPECT_EQ(cluster.control({"status"}).out.find("sessions open"), std::string::npos);
  net::ClientOptions options;
  options.addresses = {cluster.config().replicas[0].client};
  options.cluster = cluster.config().id;
  options.exactly_once = true;
  const auto client = std::move(*net::Client::open(options));
  ASSERT_EQ(client->call(net::RequestKind::kPropose, kv::put("a", "2")).kind,
            OutcomeKind::kExecuted);

  EXPECT_THAT(
      cluster.control({"status"}).out,
      HasSubstr("R0: sessions open: 1, replies held: 1, retries answered from the table: 0"));
  EXPECT_THAT(cluster.control({"--output", "json", "status"}).out, HasSubstr("\"session_open\":1"));
}

TEST(Control, SnapshotMakesAnImageOfEveryReplicaThatAnswers) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  EXPECT_EQ(cluster.control({"put", "a", "1"}).status, 0);

  const Ran asked = cluster.control({"snapshot"});
  EXPECT_EQ(asked.status, 0) << asked.out << asked.err;
  EXPECT_THAT(asked.out, HasSubstr("requested"));
  const Ran waited =
      cluster.control({"--output", "json", "--timeout", "30s", "snapshot", "--wait"});
  EXPECT_EQ(waited.status, 0) << waited.out << waited.err;
  const auto list = nlohmann::json::parse(waited.out);
  ASSERT_EQ(list.size(), 3u);
  for (const auto& replica : list) {
    EXPECT_EQ(replica.at("snapshot"), "made");
    EXPECT_GE(replica.at("image"), 1);
    EXPECT_GT(replica.at("bytes"), 0);
  }
  EXPECT_THAT(cluster.control({"status"}).out, HasSubstr("R0: image "));

  cluster.kill(2);
  const Ran two = cluster.control({"--timeout", "3s", "snapshot", "--wait"});
  EXPECT_EQ(two.status, 6);
  EXPECT_THAT(two.out, HasSubstr("made"));
  EXPECT_THAT(two.out, HasSubstr("no answer"));
  const Ran digests = cluster.control({"--timeout", "3s", "digest"});
  EXPECT_EQ(digests.status, 6);
  EXPECT_THAT(digests.out, HasSubstr("executed")) << "the two that answer say how far they are";
  EXPECT_THAT(digests.out, HasSubstr("no answer"));
  EXPECT_EQ(cluster.control({"--replica", "0", "--timeout", "30s", "snapshot", "--wait"}).status,
            0);
}

TEST(Control, WrongCommandLinesAreExplained) {
  const Scratch scratch;
  EXPECT_EQ(run_program("epaxosctl", {"status"}).status, 1);
  EXPECT_EQ(run_program("epaxosctl", {"--config", scratch / "none.toml", "status"}).status, 1);
  EXPECT_EQ(run_program("epaxosctl", {"--help"}).status, 0);
  const std::string file = scratch.file("c.toml", "name = \"x\"\nreplcias = 3\n");
  const Ran typo = run_program("epaxosctl", {"--config", file, "status"});
  EXPECT_EQ(typo.status, 1);
  EXPECT_THAT(typo.err, HasSubstr("replicas"));
}

TEST(Server, TheConfigurationIsCheckedAndPrinted) {
  const ClusterProcesses cluster(4);
  const Ran checked = run_program("epaxosd", {"--config", cluster.config_path(), "--check-config"});
  EXPECT_EQ(checked.status, 0);
  EXPECT_THAT(checked.out, HasSubstr("4 replicas"));
  EXPECT_THAT(checked.out, HasSubstr("note:")) << "an even number is fine but noted";

  const Ran printed = run_program("epaxosd", {"--config", cluster.config_path(), "--print-config"});
  EXPECT_EQ(printed.status, 0);
  const std::string again = cluster.scratch().file("again.toml", printed.out);
  EXPECT_EQ(run_program("epaxosd", {"--config", again, "--check-config"}).status, 0);
}

TEST(Server, WrongCommandLinesAreExplained) {
  const ClusterProcesses cluster(3);
  const std::string& config = cluster.config_path();
  EXPECT_EQ(run_program("epaxosd", {}).status, 1);
  const Ran nobody = run_program("epaxosd", {"--config", config});
  EXPECT_EQ(nobody.status, 1);
  EXPECT_THAT(nobody.err, HasSubstr("--replica 0 to --replica 2"));
  const Ran seventh = run_program("epaxosd", {"--config", config, "--replica", "7"});
  EXPECT_EQ(seventh.status, 1);
  const Ran nowhere = run_program("epaxosd", {"--config", config, "--replica", "0"});
  EXPECT_EQ(nowhere.status, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("--data DIRECTORY"));
  EXPECT_EQ(run_program("epaxosd", {"--config", config, "--durability", "maybe"}).status, 1);
}

TEST(Server, ALimitOfOpenFilesThatIsTooLowIsNamed) {
  const ClusterProcesses cluster(1);
  const std::string command = "exec 2>'" + cluster.scratch() / "err" +
                              "'; ulimit -n 5; exec '" EPAXOS_PROGRAMS_DIR "/epaxosd' --config '" +
                              cluster.config_path() + "' --replica 0 --data '" + cluster.data(0) +
                              "'";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
  EXPECT_THAT(file_text(cluster.scratch() / "err"), HasSubstr("Raise the limit of open files"));
}

TEST(Server, ADirectoryOfSomebodyElseIsRefused) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  const std::string& config = cluster.config_path();

  const Ran second =
      run_program("epaxosd", {"--config", config, "--replica", "0", "--data", cluster.data(0)});
  EXPECT_EQ(second.status, 2);
  EXPECT_THAT(second.err, HasSubstr(cluster.data(0)));

  EXPECT_EQ(cluster.stop(0), 0);
  const Ran other =
      run_program("epaxosd", {"--config", config, "--replica", "1", "--data", cluster.data(0)});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("replica"));

  const ClusterProcesses stranger(3, Durability::kSync, "strangers");
  const Ran foreign = run_program(
      "epaxosd", {"--config", stranger.config_path(), "--replica", "0", "--data", cluster.data(0)});
  EXPECT_EQ(foreign.status, 2);
  EXPECT_THAT(foreign.err, HasSubstr("cluster"));
}

TEST(Server, APortThatIsTakenIsNamed) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  const Ran second = run_program("epaxosd", {"--config", cluster.config_path(), "--replica", "0",
                                             "--data", cluster.scratch() / "elsewhere"});
  EXPECT_EQ(second.status, 2);
  EXPECT_THAT(second.err, HasSubstr(cluster.config().replicas[0].peer.substr(6)));
}

TEST(Server, RubbishOnBothPortsDoesNoHarm) {
  ClusterProcesses cluster(3);
  cluster.start_all();
  for (const std::string& address :
       {cluster.config().replicas[0].peer, cluster.config().replicas[0].client}) {
    const std::string port = address.substr(address.rfind(':') + 1);
    // A stream that is no ZMTP at all, from many connections.
    const std::string command =
        "for i in 1 2 3 4 5 6 7 8; do head -c 20000 /dev/urandom > /dev/tcp/127.0.0.1/" + port +
        "; done";
    EXPECT_GE(std::system(("bash -c '" + command + "' 2>/dev/null").c_str()), 0);
  }

  EXPECT_EQ(cluster.control({"--replica", "0", "put", "a", "1"}).status, 0);
  EXPECT_TRUE(cluster.agree({0, 1, 2}));
}

TEST(Server, CommandsThatAreTooLargeOrNoneAreRefusedByName) {
  ClusterProcesses cluster(1);
  cluster.start_all();

  const net::CallOutcome key =
      cluster.client().call(net::RequestKind::kPropose, kv::put(std::string(2000, 'k'), "v"), {});
  EXPECT_EQ(key.kind, OutcomeKind::kRejected);
  EXPECT_THAT(key.reason, HasSubstr("the key has 2000 bytes; the limit is 1024"));

  const Ran value = cluster.control({"put", "k", std::string(70'000, 'v')});
  EXPECT_EQ(value.status, 2);
  EXPECT_THAT(value.err, HasSubstr("the value has 70000 bytes; the limit is 65536"));

  std::vector<std::string> many(2001, "k");
  many[0] = "mget";
  const Ran keys = cluster.control(many);
  EXPECT_EQ(keys.status, 2);
  EXPECT_THAT(keys.err, HasSubstr("it names 2000 keys; the limit is 1024"));

  const std::string nonsense = "no command of this machine";
  const net::CallOutcome outcome =
      cluster.client().call(net::RequestKind::kPropose, std::as_bytes(std::span(nonsense)), {});
  EXPECT_EQ(outcome.kind, OutcomeKind::kRejected);
  EXPECT_EQ(outcome.code, ErrorCode::kMalformed) << outcome.reason;
}

}  // namespace
}  // namespace epaxos::testing
