// The key-value machine that comes with the library, on three replicas that keep what they promised
// on disk: run it again with the same directory, and it goes on where it stopped.
//
//   key_value DIRECTORY
//
// Shows proposals with a future and with a callback, the three outcomes, reads that are up to date
// and reads that are at hand, the status, and a clean stop.

#include <cstdio>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "epaxos/node/node.h"
#include "executor/key_value_machine.h"

using epaxos::KeyValueMachine, epaxos::Node, epaxos::OutcomeKind, epaxos::ReplicaId, epaxos::Result;
using Replicas = std::vector<std::unique_ptr<Node>>;
namespace kv = epaxos::kv;

constexpr epaxos::Tick kFiveSeconds = 5'000'000;

Result<Replicas> open_replicas(const std::filesystem::path& directory) {
  auto cluster = epaxos::ClusterConfig::loopback("key-value-example", 3, epaxos::Durability::kSync);
  if (!cluster) return epaxos::fail(cluster.error());
  std::error_code ignored;  // Opening the nodes says what is wrong.
  std::filesystem::create_directories(directory, ignored);
  Replicas replicas;
  for (ReplicaId id; id.value() < 3; id = id.next()) {
    epaxos::NodeConfig config{.cluster = *cluster, .self = id};
    config.data_directory = directory / to_string(id);
    auto node = Node::open(std::move(config), std::make_unique<KeyValueMachine>());
    if (!node) return epaxos::fail(node.error());
    replicas.push_back(std::move(*node));
  }
  return replicas;
}

// What became of a command. Whoever retries must know which of the three it is.
std::string describe(OutcomeKind kind, epaxos::Bytes reply, std::string_view reason) {
  switch (kind) {
    case OutcomeKind::kExecuted: {
      const auto answer = kv::decode_reply(reply);
      if (!answer) return answer.error().message;
      return std::string(to_string(answer->status)) + (answer->value ? ' ' + *answer->value : "");
    }
    case OutcomeKind::kRejected:
      return "certainly not executed, " + std::string(reason);
    case OutcomeKind::kUnknown:
      return "perhaps executed, " + std::string(reason);
  }
  return {};
}

// With a future: proposes, and waits.
void run(Node& node, const char* what, const kv::Payload& command) {
  const epaxos::OwnedOutcome outcome = node.propose(command, kFiveSeconds).get();
  std::printf("%s: %s\n", what, describe(outcome.kind, outcome.reply, outcome.reason).c_str());
}

// With a callback. It runs on the node's thread and must not block; this one hands the outcome on.
void run_with_callback(Node& node, const char* what, const kv::Payload& command) {
  std::promise<std::string> told;
  const Result<void> taken =
      node.propose(command, kFiveSeconds, [&](const epaxos::Outcome& outcome) {
        told.set_value(describe(outcome.kind, outcome.reply, outcome.reason));
      });
  // Refused at once: then the callback never runs.
  if (!taken) told.set_value("not taken, " + taken.error().message);
  std::printf("%s: %s\n", what, told.get_future().get().c_str());
}

int main(int count, char** arguments) {
  if (count != 2) return std::puts("usage: key_value DIRECTORY"), 2;
  Result<Replicas> replicas = open_replicas(arguments[1]);
  if (!replicas) return std::puts(replicas.error().message.c_str()), 1;
  Node& first = *replicas->at(0);
  Node& second = *replicas->at(1);
  Node& third = *replicas->at(2);

  run(first, "the first replica sets the city", kv::put("city", "Basel"));
  run(second, "the second changes it if it is Basel", kv::compare_and_set("city", "Basel", "Bern"));
  run(third, "the third reads it", kv::get("city"));
  run(third, "no command of this machine", {});
  run_with_callback(third, "runs so far", kv::increment("runs", 1));

  // What this replica has applied by now: no message is sent, and others may be ahead.
  const auto keys =
      third.query<KeyValueMachine>([](const auto& machine) { return machine.size(); });
  std::printf("keys at the third replica: %zu\n", keys);

  const epaxos::NodeStatus status = third.status();
  std::printf("%s of %d replicas, %s, %s, durability %s\n", to_string(status.self).c_str(),
              status.replica_count, status.protocol.c_str(), status.role.c_str(),
              std::string(to_string(status.durability)).c_str());

  for (auto& replica : *replicas) {
    if (const Result<void> stopped = replica->stop(); !stopped) {
      return std::puts(stopped.error().message.c_str()), 1;
    }
  }
}
