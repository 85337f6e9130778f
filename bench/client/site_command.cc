#include "bench/client/site_command.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>

#include <CLI/CLI.hpp>

#include "bench/client/site_load.h"
#include "bench/client/site_result.h"
#include "bench/client/start_time.h"
#include "bench/report/arguments.h"
#include "bench/report/clock.h"
#include "bench/report/progress.h"
#include "bench/report/result_file.h"
#include "bench/report/site_name.h"
#include "bench/throughput/protocols.h"
#include "epaxos/programs/child_process.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

constexpr Tick kProbePingsUs = 20'000;  // Between two pings while round trips are measured.
constexpr Tick kProbeUs = kSecond;      // So long they are measured, ...
constexpr Tick kProbePatienceUs =
    5 * kSecond;  // ... and so long for a replica that does not answer.
constexpr Tick kProbePollUs = 5'000;

std::string title_of(std::size_t replica, const ClusterConfig& cluster) {
  return "R" + std::to_string(replica) + " at " + cluster.replicas[replica].client;
}

/// The command line, its cluster, and what they lead to.
class SiteRun {
 public:
  SiteRun(const ClientCommand& command, const ClusterConfig& cluster, Tick start_unix_us)
      : command_(command),
        cluster_(cluster),
        start_unix_us_(start_unix_us),
        progress_(0, Progress::Elsewhere::kStages) {}

  /// False in `*begun`: it was interrupted before the load.
  Result<SiteResult> run(bool& begun) {
    result_.site = command_.site.site;
    result_.run = command_.site.run;
    const auto probed = probe();
    if (!probed) return fail(probed.error());
    const auto replica = replica_for(command_, cluster_, result_.round_trip_us);
    if (interrupted()) return std::move(result_);
    if (!replica) return fail(replica.error());
    result_.replica = *replica;
    net::ClientOptions options = client_options(command_, cluster_);
    options.preferred = *replica;
    options.in_flight_max += 2;  // For the questions about the replica's counters.
    auto client = net::Client::open(options);
    if (!client) return fail(client.error());
    if (const auto known = ask_for_conditions(**client); !known) return fail(known.error());
    wait_for_start(**client);
    if (interrupted()) return std::move(result_);
    begun = true;
    run_load(**client);
    progress_.clear();
    return std::move(result_);
  }

 private:
  void tell(std::string_view phase, double left_s) {
    if (phase != phase_) progress_.stage(phase_ = phase);
    progress_.expect(left_s);
    progress_.tick();
  }

  /// The shortest smoothed round trip to every replica: what is left above it is noise.
  Result<void> probe() {
    ClientCommand plain = command_;
    plain.sessions = false;
    net::ClientOptions options = client_options(plain, cluster_);
    options.preferred.reset();
    options.ping_interval_us = kProbePingsUs;
    auto client = net::Client::open(options);
    if (!client) return fail(client.error());
    RoundTrips& round_trips = result_.round_trip_us;
    round_trips.resize(cluster_.replicas.size());
    const Tick begin = now_us();
    for (Tick spent = 0; spent < kProbePatienceUs && !interrupted(); spent = now_us() - begin) {
      const bool all =
          std::ranges::all_of(round_trips, [](const auto& us) { return us.has_value(); });
      if (all && spent >= kProbeUs) break;
      tell("measuring round trips",
           static_cast<double>(all ? kProbeUs - spent : kProbePatienceUs) / 1e6);
      (*client)->poll(kProbePollUs);
      for (std::size_t r = 0; r < round_trips.size(); ++r) {
        const Tick us = (*client)->round_trip_us(replica_at(static_cast<int>(r)));
        if (us != kNever) round_trips[r] = std::min(us, round_trips[r].value_or(us));
      }
    }
    return {};
  }

  /// Also what the replica says of itself.
  Result<void> ask_for_conditions(net::Client& client) {
    net::SubmitOptions how;
    how.replica = result_.replica;
    how.reads_only = true;
    const net::CallOutcome said = client.call(net::RequestKind::kStatus, {}, how);
    std::optional<SiteStatus> status;
    if (said.kind == OutcomeKind::kExecuted) {
      status =
          read_site_status({reinterpret_cast<const char*>(said.reply.data()), said.reply.size()});
    }
    const std::string name = title_of(result_.replica.value(), cluster_);
    if (!status) {
      return fail(ErrorCode::kUnavailable,
                  name + " does not tell its status. Is it of the same version?");
    }
    if (status->has_leader && !status->leader) {
      return fail(ErrorCode::kUnavailable,
                  name +
                      " knows no leader. Start more than half of the replicas, and wait until "
                      "epaxosctl leader show names one.");
    }
    const auto reads = reads_served(command_, cluster_, status->protocol);
    if (!reads) return fail(reads.error());
    SiteConditions& c = result_.conditions;
    c.reads = *reads;
    c.version = version_line("epaxos-bench");
    c.cluster = cluster_.name;
    c.cluster_id = to_string(cluster_.id);
    for (const ReplicaSettings& one : cluster_.replicas) c.replica_sites.push_back(one.site);
    c.protocol = status->protocol;
    c.durability = status->durability;
    c.batch = cluster_.core.batch_commands_max;
    c.thrifty = cluster_.core.thrifty;
    const LoadOptions& load = command_.load;
    c.load = command_.offered;
    c.load.reads_by.reset();
    c.increments = load.keys.increments;
    c.sessions = command_.sessions;
    c.own_keys = load.keys.own_keys;
    c.hot_key = load.keys.hot_key;
    c.timeout_us = static_cast<Tick>(command_.timeout_s * 1e6);
    c.warm_up_us = static_cast<Tick>(load.warm_up_s * 1e6);
    c.measured_us = static_cast<Tick>(load.seconds * 1e6);
    c.ramp_down_us = static_cast<Tick>(command_.site.ramp_down_s * 1e6);
    if (cluster_.emulation) {
      c.emulated_one_way_us = cluster_.emulation->one_way_us;
      c.emulated_jitter_us = cluster_.emulation->all.jitter_us;
      c.emulated_loss = cluster_.emulation->all.loss;
      c.emulated_bytes_per_second = cluster_.emulation->all.bytes_per_second;
    }
    return {};
  }

  void wait_for_start(net::Client& client) {
    for (Tick now = unix_now_us(); now < start_unix_us_ && !interrupted(); now = unix_now_us()) {
      tell("waiting for " + utc_text(start_unix_us_),
           static_cast<double>(start_unix_us_ - now) / 1e6);
      client.poll(std::min(kProbePollUs, start_unix_us_ - now));
    }
  }

  void run_load(net::Client& client) {
    SiteLoadOptions load;
    load.keys = command_.load.keys;
    load.keys.seed = std::random_device()();  // Sites that agree would meet on the hot key.
    load.load = command_.offered;
    load.replica = result_.replica;
    load.replica_count = cluster_.replicas.size();
    load.warm_up_us = result_.conditions.warm_up_us;
    load.measured_us = result_.conditions.measured_us;
    load.ramp_down_us = result_.conditions.ramp_down_us;
    const std::clock_t cpu = std::clock();
    run_site_load(
        client, load,
        [this](std::string_view phase, Tick left_us) {
          tell(phase, static_cast<double>(left_us) / 1e6);
          return !interrupted();
        },
        result_);
    result_.cpu_s = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  }

  const ClientCommand& command_;
  const ClusterConfig& cluster_;
  const Tick start_unix_us_;
  Progress progress_;
  std::string phase_;
  SiteResult result_;
};

}  // namespace

Result<ReplicaId> replica_for(const ClientCommand& command, const ClusterConfig& cluster,
                              const RoundTrips& round_trips) {
  const bool at_site = std::ranges::any_of(cluster.replicas, [&](const ReplicaSettings& replica) {
    return replica.site == command.site.site;
  });
  std::optional<std::size_t> best;
  std::string asked;
  for (std::size_t r = 0; r < cluster.replicas.size(); ++r) {
    const bool fits = command.replica >= 0
                          ? r == static_cast<std::size_t>(command.replica)
                          : !at_site || cluster.replicas[r].site == command.site.site;
    if (!fits) continue;
    asked += (asked.empty() ? "" : ", ") + title_of(r, cluster);
    if (!round_trips[r]) continue;
    if (!best || *round_trips[r] < *round_trips[*best]) best = r;
  }
  if (best) return replica_at(static_cast<int>(*best));
  return fail(ErrorCode::kUnavailable,
              asked + " did not answer within " + std::to_string(kProbePatienceUs / kSecond) +
                  " seconds. Check that it runs, and that this machine reaches the address.");
}

Result<Reads> reads_served(const ClientCommand& command, const ClusterConfig& cluster,
                           const std::string& protocol) {
  const bool known = no_measured_protocol(protocol).empty();
  const Reads served = known ? reads_of(protocol_named(protocol), cluster.reads) : Reads::kLog;
  const std::optional<Reads> wished = command.offered.reads_by;
  if (!wished || *wished == served) return served;
  const bool possible = known && reads_of(protocol_named(protocol), wished) == *wished;
  return fail(
      ErrorCode::kUnavailable,
      "--reads-by " + std::string(to_string(*wished)) + ", but by " + command.config_path +
          " reads of " + protocol + " are served by " + std::string(to_string(served)) +
          (possible
               ? ". Start all replicas again with a cluster file that says so, or leave it out."
               : ", and there is no other way. Leave it out."));
}

Result<void> check_site(const ClientCommand& command, const ClusterConfig& cluster) {
  if (!is_site_name(command.site.site)) {
    return fail(ErrorCode::kInvalidArgument,
                "--site " + command.site.site +
                    " is no name of a site: it has 1 to 64 letters, digits, '-', '_' and '.'.");
  }
  if (cluster.spares().size() > 0) {
    return fail(ErrorCode::kInvalidArgument,
                command.config_path +
                    " has a replica that is no member at the beginning, and bounds are those of a "
                    "group without spares. Use a cluster file in which all replicas are members.");
  }
  return {};
}

int run_site(const ClientCommand& command) {
  const auto cluster = cluster_of(command);
  if (!cluster) return complain("client", cluster.error().message);
  if (const auto checked = check_site(command, *cluster); !checked) {
    return complain("client", checked.error().message);
  }
  if (std::ranges::find(cluster->replicas, command.site.site, &ReplicaSettings::site) ==
      cluster->replicas.end()) {
    complain("client", "no replica of " + command.config_path + " has the site " +
                           command.site.site +
                           ", so the nearest one is asked. If the name is misspelt, stop here.");
  }
  Tick start_unix_us = 0;
  if (!command.site.start_at.empty()) {
    const auto start = start_time_from(command.site.start_at, unix_now_us());
    if (!start) return complain("client", "--start-at: " + start.error().message);
    start_unix_us = *start;
  }
  ResultFile file("--out");
  if (const auto opened = file.open(command.site.out); !opened) {
    return complain("client", opened.error().message);
  }
  catch_interrupts();
  bool begun = false;
  const auto result = SiteRun(command, *cluster, start_unix_us).run(begun);
  if (!result) return complain("client", result.error().message);
  if (!begun) {
    complain("client", "interrupted before the load began: nothing was measured, and " +
                           command.site.out + " is empty.");
    return kInterrupted;
  }
  std::fputs(site_text(*result).c_str(), stdout);
  std::fflush(stdout);
  if (const auto written = file.write(to_json_text(*result)); !written) {
    return complain("client", written.error().message);
  }
  if (result->leader_changed) {
    complain("client",
             "the leader changed while it was measured, so that this is no result of one "
             "leader: measure all sites again.");
  }
  if (result->interrupted) {
    complain("client", "interrupted: " + command.site.out + " has what was measured until then, " +
                           fixed(static_cast<double>(result->measured_for_us) / 1e6, 1) + " of " +
                           fixed(command.load.seconds, 1) + " seconds.");
    return kInterrupted;
  }
  return result->executed() > 0 ? 0 : 2;
}

void add_site_options(CLI::App& command, SiteOptions& options) {
  auto* const site =
      command
          .add_option("--site", options.site,
                      "This is the part of one site in an experiment of several (docs/wan.md 9)")
          ->check(refuse_empty);
  auto* const out = command.add_option("--out", options.out, "The file for it, for wan-merge")
                        ->check(refuse_empty)
                        ->needs(site);
  site->needs(out);
  command
      .add_option("--start-at", options.start_at,
                  "Begin the load then, as 12:30 or 2026-05-03T12:30:15Z, of UTC; else at once")
      ->check(refuse_empty)
      ->needs(site);
  command
      .add_option("--run", options.run,
                  "Which repeat of the experiment this is, the same number at all sites")
      ->check(number(1u, kSiteRunsMax, "runs have numbers from 1 to 100."))
      ->needs(site)
      ->capture_default_str();
  command
      .add_option("--ramp-down", options.ramp_down_s,
                  "Seconds for which the load goes on after what is measured")
      ->check(number(0.0, 3600.0, "it takes 0 to 3600 seconds."))
      ->needs(site)
      ->capture_default_str();
}

}  // namespace epaxos::bench
