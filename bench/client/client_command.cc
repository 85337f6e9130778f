// epaxos-bench client: a load on replicas that run already.

#include <cstdio>
#include <memory>
#include <random>

#include <CLI/CLI.hpp>

#include "bench/client/load_report.h"
#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "epaxos/node/config.h"
#include "epaxos/programs/child_process.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {
namespace {

struct ClientCommand {
  std::string config_path;
  int replica = -1;
  LoadOptions load;
  double timeout_s = 5;
  bool sessions = false;
  bool json = false;
};

/// Keys that no other client has, whether it runs now or ran before.
std::string own_prefix() {
  char prefix[16];
  std::snprintf(prefix, sizeof(prefix), "%08x-", std::random_device()());
  return prefix;
}

Result<std::unique_ptr<net::Client>> connect(const ClientCommand& command) {
  auto cluster = ClusterConfig::load(command.config_path);
  if (!cluster) return fail(cluster.error());
  net::ClientOptions options;
  options.cluster = cluster->id;
  options.request_timeout_us = static_cast<Tick>(command.timeout_s * 1e6);
  options.in_flight_max = command.load.in_flight;
  options.preferred = command.load.replica;
  options.exactly_once = command.sessions;
  if (command.replica >= cluster->replica_count()) {
    return fail(ErrorCode::kInvalidArgument,
                "--replica " + std::to_string(command.replica) + ", but " + command.config_path +
                    " lists replicas 0 to " + std::to_string(cluster->replica_count() - 1) + ".");
  }
  for (const ReplicaSettings& replica : cluster->replicas) {
    if (replica.client.empty()) {
      return fail(ErrorCode::kInvalidArgument, command.config_path +
                                                   " has a replica without a client address. Give "
                                                   "every replica one.");
    }
    options.addresses.push_back(replica.client);
  }
  return net::Client::open(options);
}

/// Whether the machine takes all the keys: without that every command is rejected.
Result<void> check_keys(const KeyChoice& keys) {
  const std::string longest = keys.prefix + std::to_string(keys.own_keys - 1);
  if (const auto checked = kv::check_key(longest); !checked) {
    return fail(ErrorCode::kInvalidArgument,
                "--prefix is too long, as with a number after it " + checked.error().message + ".");
  }
  if (const auto checked = kv::check_key(keys.hot_key); !checked) {
    return fail(ErrorCode::kInvalidArgument, "--hot-key: " + checked.error().message + ".");
  }
  return {};
}

int run(ClientCommand& command) {
  if (command.replica >= 0) {
    command.load.replica = ReplicaId(static_cast<std::uint16_t>(command.replica));
  }
  if (command.load.keys.prefix.empty()) command.load.keys.prefix = own_prefix();
  command.load.keys.seed = static_cast<std::uint64_t>(command.replica + 2);
  if (const auto checked = check_keys(command.load.keys); !checked) {
    return complain("client", checked.error().message);
  }
  const auto client = connect(command);
  if (!client) return complain("client", client.error().message);
  catch_interrupts();
  const LoadResult result = run_load(**client, command.load, interrupted);
  if (command.json) {
    std::printf("%s\n",
                load_json(result).dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    std::fputs(load_text(result).c_str(), stdout);
  }
  return result.executed > 0 ? 0 : 2;
}

constexpr const char* kClientFooter = R"(
Commit latency is what the client sees less the time that the command waited at its replica for
its execution. The longest gap is the longest time without an executed answer.

Exit status: 0 commands were executed, 2 none was, 1 the command line or the cluster
file is wrong.)";

}  // namespace

void add_client(CLI::App& app, int& status) {
  auto command = std::make_shared<ClientCommand>();
  auto* const sub = app.add_subcommand("client", "A closed loop of writes on replicas that run");
  sub->add_option("--config", command->config_path, "The cluster file")->required();
  sub->add_option("--replica", command->replica, "Only this one; else the nearest")
      ->check(number(0, kReplicasMax - 1, "replicas have numbers from 0 to 8."));
  sub->add_option("--seconds", command->load.seconds, "How long it measures")
      ->check(number(0.1, 1e6, "a load takes 0.1 to 1000000 seconds."))
      ->capture_default_str();
  sub->add_option("--warm-up", command->load.warm_up_s, "Seconds before, left out of the result")
      ->check(number(0.0, 1e6, "it takes 0 to 1000000 seconds."))
      ->capture_default_str();
  sub->add_option("--commands", command->load.commands_max, "End after so many; 0: no limit")
      ->check(number(std::uint64_t{0}, ~std::uint64_t{0}, "it is a number of commands."))
      ->capture_default_str();
  sub->add_option("--in-flight", command->load.in_flight, "Requests under way")
      ->check(number(1, 65536, "1 to 65536 requests can be under way."))
      ->capture_default_str();
  sub->add_option("--conflicts", command->load.keys.hot_percent, "Percent of writes on one hot key")
      ->check(number(0, 100, "it is a share in percent, from 0 to 100."))
      ->capture_default_str();
  sub->add_flag("--increments", command->load.keys.increments,
                "Add one to counters instead of putting values");
  sub->add_option("--prefix", command->load.keys.prefix,
                  "Of the keys that no other client has; else one by chance")
      ->check(refuse_empty);
  sub->add_option("--own-keys", command->load.keys.own_keys, "How many of these")
      ->check(number(std::size_t{1}, std::size_t{10'000'000}, "it has 1 to 10000000 of its own."))
      ->capture_default_str();
  sub->add_option("--hot-key", command->load.keys.hot_key, "The one that all clients share")
      ->capture_default_str();
  sub->add_option("--value-bytes", command->load.keys.value_bytes, "Size of a value")
      ->check(number(std::size_t{0}, kv::kValueBytesMax, "a value has 0 to 65536 bytes."))
      ->capture_default_str();
  sub->add_option("--timeout", command->timeout_s, "Seconds until a request is given up")
      ->check(number(0.1, 3600.0, "it is 0.1 to 3600 seconds."))
      ->capture_default_str();
  sub->add_flag("--sessions", command->sessions,
                "Every put takes effect once; of those under way at a replica at most 1024 count");
  sub->add_flag("--json", command->json, "One JSON object, with the histograms");
  sub->footer(kClientFooter);
  sub->callback([command, &status] { status = run(*command); });
}

}  // namespace epaxos::bench
