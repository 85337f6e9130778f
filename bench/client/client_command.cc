// epaxos-bench client: a load on replicas that run already.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>

#include <CLI/CLI.hpp>

#include "bench/client/client_options.h"
#include "bench/client/load_report.h"
#include "bench/client/site_command.h"
#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "epaxos/programs/child_process.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {
namespace {

/// Keys that no other client has, whether it runs now or ran before.
std::string own_prefix() {
  char prefix[16];
  std::snprintf(prefix, sizeof(prefix), "%08x-", std::random_device()());
  return prefix;
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
  if (const auto taken = take_mix(command.mix, command.offered); !taken) {
    return complain("client", taken.error().message);
  }
  command.offered.clients = command.load.in_flight;
  command.load.keys.hot_percent = command.offered.conflict_percent;
  command.load.keys.value_bytes = command.offered.value_bytes;
  if (const auto checked = check_keys(command.load.keys); !checked) {
    return complain("client", checked.error().message);
  }
  if (command.site.is_on()) return run_site(command);
  const auto cluster = cluster_of(command);
  if (!cluster) return complain("client", cluster.error().message);
  const auto client = net::Client::open(client_options(command, *cluster));
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

With --site, this machine is one of several that measure at the same time. Its commands go to one
replica: --replica, else the one that the cluster file has at the site, else the nearest. Those that
are due in the measured time are counted, whenever they end; the load goes on for --ramp-down, for
the other sites. What is asked for, and when, is said as for epaxos-bench wan, and reads are
measured apart from writes; --reads-by says what is expected of "reads" in the cluster file.
Without --site it is a closed loop of writes. Repeats of an experiment have numbers, --run. Ctrl-C
writes what was measured until then. Merge the files of all sites with epaxos-bench wan-merge.

Exit status: 0 commands were executed, 2 none was, 1 the command line or the cluster
file is wrong or a replica is not there, 130 interrupted with --site.)";

/// What --seconds and --warm-up are with --site, unless they are given.
constexpr double kSiteSeconds = 60;
constexpr double kSiteWarmUpS = 5;

}  // namespace

void add_client(CLI::App& app, int& status) {
  auto command = std::make_shared<ClientCommand>();
  auto* const sub = app.add_subcommand("client", "A load on replicas that run");
  sub->add_option("--config", command->config_path, "The cluster file")->required();
  sub->add_option("--replica", command->replica, "Only this one; else the nearest")
      ->check(number(0, kReplicasMax - 1, "replicas have numbers from 0 to 8."));
  sub->add_option("--seconds", command->load.seconds, "How long it measures; with --site, 60")
      ->check(number(0.1, 1e6, "a load takes 0.1 to 1000000 seconds."))
      ->capture_default_str();
  sub->add_option("--warm-up", command->load.warm_up_s,
                  "Seconds before, left out of the result; with --site, 5")
      ->check(number(0.0, 1e6, "it takes 0 to 1000000 seconds."))
      ->capture_default_str();
  auto* const commands =
      sub->add_option("--commands", command->load.commands_max, "End after so many; 0: no limit")
          ->check(number(std::uint64_t{0}, ~std::uint64_t{0}, "it is a number of commands."))
          ->capture_default_str();
  auto* const clients = sub->add_option("--in-flight,--clients", command->load.in_flight,
                                        "Requests under way: so many clients with one each")
                            ->check(number(1, 65536, "1 to 65536 requests can be under way."))
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
  sub->add_option("--timeout", command->timeout_s, "Seconds until a request is given up")
      ->check(number(0.1, 3600.0, "it is 0.1 to 3600 seconds."))
      ->capture_default_str();
  sub->add_flag("--sessions", command->sessions,
                "Every put takes effect once; of those under way at a replica at most 1024 count");
  auto* const json = sub->add_flag("--json", command->json, "One JSON object, with the histograms");
  add_site_options(*sub, command->site);
  add_arrival_options(*sub, clients, command->offered);
  add_mix_options(*sub, command->offered, command->mix);
  for (const char* name : {"--think", "--rate", "--arrival", "--in-flight-max", "--zipf", "--keys",
                           "--reads", "--ycsb", "--reads-by"}) {
    sub->get_option(name)->needs("--site");
  }
  for (auto* const option : {commands, json}) option->excludes("--site");
  sub->footer(kClientFooter);
  sub->callback([command, sub, &status] {
    if (command->site.is_on()) {
      if (sub->count("--seconds") == 0) command->load.seconds = kSiteSeconds;
      if (sub->count("--warm-up") == 0) command->load.warm_up_s = kSiteWarmUpS;
      // No own key is written twice at the same time.
      std::size_t& own_keys = command->load.keys.own_keys;
      if (sub->count("--own-keys") == 0 && command->offered.open.is_on()) {
        own_keys = std::max(own_keys, command->offered.open.in_flight_max);
      }
    }
    status = run(*command);
  });
}

}  // namespace epaxos::bench
