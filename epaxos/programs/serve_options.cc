#include "epaxos/programs/serve_options.h"

#include <algorithm>
#include <vector>

#include <CLI/CLI.hpp>

#include "epaxos/programs/command_line.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/log.h"
#include "epaxos/programs/programs.h"
#include "net/address.h"

namespace epaxos {
namespace {

constexpr const char* kFooter = R"(
One cluster file serves all replicas; --print-config shows every key of it with its meaning, and
"epaxosd --print-config >cluster.toml" writes one for three replicas on this machine.
SIGTERM and SIGINT stop the replica cleanly; a second one ends it at once. The log goes to the
standard error.

Exit status:
  0  stopped as it was told
  1  the command line or the cluster file is wrong
  2  the data directory or an address cannot be used
  3  the disk failed while it ran, or what it promised could not be written at its end
  4  what was asked for could not be written to the standard output)";

/// What is wrong with an address to listen at.
std::string about_bind_address(const std::string& address) {
  const Result<void> checked = net::check_bind_address(address);
  return checked ? std::string() : checked.error().message;
}

void describe(CLI::App& app, ServeOptions& options, std::span<const Protocol> protocols) {
  explain_mistakes(app);
  app.set_version_flag("--version", version_line("epaxosd"), "Print the version");
  std::vector<std::string> names;
  for (const Protocol& protocol : protocols) names.push_back(protocol.name);
  options.protocol = names.front();
  const auto levels = severity_names();
  app.add_option("--config", options.config_path,
                 "The cluster file, in TOML; needed for all but --print-config");
  app.add_option("--replica", options.replica, "Which replica this is: its place in the file")
      ->check(refuse_empty);
  app.add_option("--data", options.data,
                 "Directory in which it keeps what it promised; needed unless durability is none")
      ->check(refuse_empty);
  app.add_option("--durability", options.durability, "sync, async or none; else as in the file")
      ->check(CLI::IsMember({"sync", "async", "none"}));
  app.add_option("--protocol", options.protocol, "Who decides")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  app.add_option("--bind-peer", options.bind_peer,
                 "Listen here for replicas, when that is not the address in the file")
      ->check(about_bind_address);
  app.add_option("--bind-client", options.bind_client, "The same for clients")
      ->check(about_bind_address);
  app.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember(std::vector<std::string>(levels.begin(), levels.end())))
      ->capture_default_str();
  app.add_flag("--unsafe-rejoin", options.unsafe_rejoin,
               "Vote although memory was lost; agreement may break");
  app.add_flag("--check-config", options.check_config, "Only read the file, and say what is wrong");
  app.add_flag("--print-config", options.print_config,
               "Only print the file with all its defaults; without --config, one to begin with");
  app.footer(kFooter);
}

Result<void> check_replica(const ServeOptions& options, int replicas) {
  const bool serves = !options.check_config && !options.print_config;
  if (options.replica ? *options.replica >= 0 && *options.replica < replicas : !serves) return {};
  return fail(ErrorCode::kInvalidArgument,
              (options.replica
                   ? "There is no replica " + std::to_string(*options.replica) + ": say which it is"
                   : std::string("Say which replica this is")) +
                  " with --replica 0 to --replica " + std::to_string(replicas - 1) +
                  ", as the file lists them.");
}

Result<void> check_data(const ServeOptions& options, Durability durability) {
  const bool serves = !options.check_config && !options.print_config;
  if (!serves || !options.data.empty() || durability == Durability::kNone) return {};
  return fail(ErrorCode::kInvalidArgument,
              "At durability \"" + std::string(to_string(durability)) +
                  "\" it needs a directory for what it promised: name one of its own with --data "
                  "DIRECTORY.");
}

/// What --print-config shows without a file: three replicas on one machine, as in the README.
Result<ClusterConfig> example_cluster() {
  ClusterConfig cluster;
  cluster.name = "example";
  for (const char* const last : {"1", "2", "3"}) {
    cluster.replicas.push_back(
        {std::string("tcp://127.0.0.1:700") + last, std::string("tcp://127.0.0.1:800") + last, ""});
  }
  if (const Result<void> completed = cluster.complete(); !completed) {
    return fail(completed.error());
  }
  return cluster;
}

}  // namespace

std::optional<ServeOptions> read_serve_options(std::span<const Protocol> protocols, int argc,
                                               const char* const* argv, int& exit_status) {
  CLI::App app("epaxosd: one replica of a cluster that serves a key-value store.", "epaxosd");
  ServeOptions options;
  describe(app, options, protocols);
  try {
    app.parse(argc, argv);
    if (options.config_path.empty() && !options.print_config) throw CLI::RequiredError("--config");
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? kServeStopped : kServeBadUsage;
    return std::nullopt;
  }
  return options;
}

Result<NodeConfig> node_config(std::span<const Protocol> protocols, const ServeOptions& options) {
  auto cluster =
      options.config_path.empty() ? example_cluster() : ClusterConfig::load(options.config_path);
  if (!cluster) return fail(cluster.error());
  NodeConfig config;
  config.cluster = *std::move(cluster);
  if (const auto checked = check_replica(options, config.cluster.replica_count()); !checked) {
    return fail(checked.error());
  }
  config.self = ReplicaId(static_cast<std::uint16_t>(options.replica.value_or(0)));
  if (!options.durability.empty()) {
    config.cluster.durability = *durability_from(options.durability);
  }
  if (const auto checked = check_data(options, config.cluster.durability); !checked) {
    return fail(checked.error());
  }
  config.data_directory = options.data;
  config.unsafe_rejoin = options.unsafe_rejoin;
  config.peer_bind_address = options.bind_peer;
  config.client_bind_address = options.bind_client;
  config.protocol = *std::ranges::find(protocols, options.protocol, &Protocol::name);
  if (options.print_config) return config;
  if (const auto suits = config.cluster.check_for(*config.protocol); !suits) {
    return fail(suits.error().code, options.config_path + ": " + suits.error().message);
  }
  return config;
}

}  // namespace epaxos
