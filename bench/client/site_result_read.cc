// Reading what a client of an experiment wrote, or a replica said. Anybody may have cut or edited a
// file since.

#include <algorithm>

#include "bench/client/site_result.h"
#include "bench/report/json_place.h"
#include "bench/report/site_name.h"
#include "epaxos/node/config.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
namespace {

/// More of anything than a load has, and so little that sums of it do not run over.
constexpr std::uint64_t kCountMax = std::uint64_t{1} << 50;
constexpr Tick kRoundTripUsMax = 3600 * kSecond;
constexpr Tick kUnixUsMax = Tick{253'402'300'799} * kSecond;  // The end of the year 9999.

ReplicaId replica_at(const JsonPlace& place, std::size_t replicas) {
  const std::uint64_t last = std::clamp<std::size_t>(replicas, 1, kReplicasMax) - 1;
  return ReplicaId(static_cast<std::uint16_t>(place.number(0, last)));
}

std::string site_name_at(const JsonPlace& place) {
  std::string name = place.text();
  if (!is_site_name(name)) place.refuse("is no name of 1 to 64 letters, digits, '-', '_' and '.'");
  return name;
}

/// One of the words that `from` knows.
template <class Value>
Value word_at(const JsonPlace& place, Result<Value> (*from)(std::string_view)) {
  const Result<Value> value = from(place.text());
  if (value) return *value;
  place.refuse("is none that it can be");
  return {};
}

CommandMix mix_at(const JsonPlace& place) {
  CommandMix mix;
  if (const JsonPlace ycsb = place.at("ycsb"); !ycsb.is_null()) {
    mix.ycsb = ycsb.text();
    if (!ycsb_mix(mix.ycsb)) ycsb.refuse("is no workload of YCSB");
  }
  mix.read_percent = static_cast<unsigned>(place.at("reads_percent").number(0, 100));
  mix.modifies = place.at("read_modify_write").flag();
  mix.inserts = place.at("inserts").flag();
  mix.latest = place.at("latest").flag();
  mix.scan_max = place.at("scan_max").number(0, kv::kKeysMax);
  const JsonPlace theta = place.at("zipf_theta");
  if (theta.is_null()) return mix;
  mix.zipf_theta = theta.fraction(0, 1);
  mix.keys = place.at("keys").number(1, kCountMax);
  return mix;
}

OfferedLoad load_at(const JsonPlace& place) {
  OfferedLoad load;
  load.open.rate = place.at("rate").fraction(0, 1e6);
  load.clients = place.at("clients").number(load.open.is_on() ? 0 : 1, 65536);
  load.think_us = place.at("think_us").number(0, 3600 * kSecond);
  const JsonPlace arrival = place.at("arrival");
  load.open.poisson = arrival.text() == "poisson";
  if (!load.open.poisson && arrival.text() != "fixed") arrival.refuse("is not poisson or fixed");
  load.open.in_flight_max = place.at("in_flight_max").number(1, 65536);
  load.conflict_percent = static_cast<unsigned>(place.at("conflicts_percent").number(0, 100));
  load.mix = mix_at(place);
  load.value_bytes = place.at("value_bytes").number(0, kv::kValueBytesMax);
  return load;
}

/// One row a replica, or none at all.
std::vector<std::vector<Tick>> emulated_at(const JsonPlace& place, std::size_t replicas) {
  std::vector<std::vector<Tick>> rows;
  const auto wrong_size = [replicas](const JsonPlace& of, std::size_t size) {
    of.refuse("has " + std::to_string(size) + " items for " + std::to_string(replicas) +
              " replicas");
  };
  for (const JsonPlace& row : place.items()) {
    std::vector<Tick>& delays = rows.emplace_back();
    for (const JsonPlace& us : row.items()) delays.push_back(us.number(0, kRoundTripUsMax));
    if (delays.size() != replicas) wrong_size(row, delays.size());
  }
  if (!rows.empty() && rows.size() != replicas) wrong_size(place, rows.size());
  return rows;
}

SiteConditions conditions_at(const JsonPlace& place) {
  SiteConditions c;
  c.version = place.at("version").text();
  c.cluster = site_name_at(place.at("cluster"));
  c.cluster_id = place.at("cluster_id").text();
  const JsonPlace sites = place.at("replica_sites");
  for (const JsonPlace& site : sites.items()) c.replica_sites.push_back(site.printable());
  const std::size_t replicas = c.replica_sites.size();
  if (replicas == 0 || replicas > std::size_t{kReplicasMax}) {
    sites.refuse("has " + std::to_string(replicas) + " replicas; a cluster has 1 to " +
                 std::to_string(kReplicasMax));
  }
  c.protocol = place.at("protocol").printable();
  c.durability = to_string(word_at(place.at("durability"), durability_from));
  c.batch = place.at("batch").number(1, kCountMax);
  c.thrifty = place.at("thrifty").flag();
  c.reads = word_at(place.at("reads_by"), reads_from);
  c.load = load_at(place);
  c.increments = place.at("increments").flag();
  c.sessions = place.at("sessions").flag();
  c.own_keys = place.at("own_keys").number(1, kCountMax);
  c.hot_key = place.at("hot_key").text();
  c.timeout_us = place.at("timeout_us").number(0, kCountMax);
  c.warm_up_us = place.at("warm_up_us").number(0, kCountMax);
  c.measured_us = place.at("measured_us").number(1, kCountMax);
  c.ramp_down_us = place.at("ramp_down_us").number(0, kCountMax);
  c.emulated_one_way_us = emulated_at(place.at("emulated_one_way_us"), replicas);
  c.emulated_jitter_us = place.at("emulated_jitter_us").number(0, kCountMax);
  c.emulated_loss = place.at("emulated_loss").fraction(0, 1);
  c.emulated_bytes_per_second = place.at("emulated_bytes_per_second").number(0, kCountMax);
  return c;
}

void read_round_trips(const JsonPlace& place, std::size_t replicas, SiteResult& out) {
  for (const JsonPlace& us : place.items()) {
    const bool known = !us.is_null();
    out.round_trip_us.push_back(known ? std::optional(us.number(0, kRoundTripUsMax))
                                      : std::nullopt);
  }
  if (out.round_trip_us.size() == replicas) return;
  place.refuse("has " + std::to_string(out.round_trip_us.size()) + " items for " +
               std::to_string(replicas) + " replicas");
}

/// `asked_for`: whether the load has such commands.
Latency latency_at(const JsonPlace& place, bool asked_for) {
  const Latency seen{place.at("commit_us").histogram(), place.at("execution_us").histogram()};
  const std::uint64_t commits = seen.commit_us.count();
  const std::uint64_t executions = seen.execution_us.count();
  if (commits != executions) {
    place.refuse("has " + std::to_string(commits) + " commits and " + std::to_string(executions) +
                 " executions");
  }
  if (!asked_for && executions > 0) place.refuse("has commands, and its load has none of them");
  return seen;
}

void read_seconds(const JsonPlace& place, SiteResult& out) {
  for (const JsonPlace& second : place.items()) {
    out.seconds.push_back(
        {second.at("execution_us").histogram(), second.at("failed").number(0, kCountMax)});
  }
  const std::uint64_t passed = (out.measured_for_us + kSecond - 1) / kSecond;
  if (out.seconds.size() == passed) return;
  place.refuse("has " + std::to_string(out.seconds.size()) + " items for " +
               std::to_string(passed) + " seconds");
}

void read_counts(const JsonPlace& root, SiteResult& out) {
  const CommandMix& mix = out.conditions.load.mix;
  out.reads = latency_at(root.at("reads"), mix.has_reads());
  out.writes = latency_at(root.at("writes"), mix.has_writes());
  out.late_us = root.at("late_us").histogram();
  out.sent = root.at("sent").number(0, kCountMax);
  out.rejected = root.at("rejected").number(0, kCountMax);
  out.unknown = root.at("unknown").number(0, kCountMax);
  out.unfinished = root.at("unfinished").number(0, kCountMax);
  const JsonPlace unsent = root.at("unsent");
  out.unsent = unsent.number(0, kCountMax);
  if (out.unsent > 0 && !out.conditions.load.open.is_on()) unsent.refuse("is of no open loop");
  const auto differs = [&root](const char* name, std::uint64_t is, const char* of) {
    root.at(name).refuse("does not fit: it has " + std::to_string(is) + " commands " + of);
  };
  const std::uint64_t executed = root.at("executed").number(0, kCountMax);
  if (executed != out.executed()) differs("executed", out.executed(), "in reads and writes");
  const std::uint64_t ended = out.executed() + out.failed();
  if (out.sent != ended) differs("sent", ended, "that were executed, failed or did not end");
  if (out.late_us.count() != out.sent) differs("late_us", out.sent, "that were sent");
}

SiteResult result_at(const JsonPlace& root) {
  SiteResult out;
  out.site = site_name_at(root.at("site"));
  out.run = static_cast<unsigned>(root.at("run").number(1, kSiteRunsMax));
  out.conditions = conditions_at(root.at("conditions"));
  const std::size_t replicas = out.conditions.replica_sites.size();
  out.replica = replica_at(root.at("replica"), replicas);
  if (const JsonPlace leader = root.at("leader"); !leader.is_null()) {
    out.leader = replica_at(leader, replicas);
  }
  out.leader_changed = root.at("leader_changed").flag();
  read_round_trips(root.at("round_trip_us"), replicas, out);
  out.measured_from_unix_us = root.at("measured_from_unix_us").number(0, kUnixUsMax);
  out.measured_for_us =
      root.at("measured_for_us").number(0, std::max<Tick>(out.conditions.measured_us, 1));
  out.interrupted = root.at("interrupted").flag();
  read_counts(root, out);
  out.last_failure = root.at("last_failure").text();
  if (const JsonPlace paths = root.at("paths"); !paths.is_null()) {
    out.paths = {paths.at("fast").number(0, kCountMax), paths.at("slow").number(0, kCountMax)};
  }
  out.cpu_s = root.at("cpu_s").fraction(0, 1e9);
  read_seconds(root.at("seconds"), out);
  return out;
}

}  // namespace

Result<SiteResult> read_site_result(std::string_view text) {
  const auto malformed = [](const std::string& what) { return fail(ErrorCode::kMalformed, what); };
  if (text.empty())
    return malformed("is empty: its client has not finished yet, or ended before the load began");
  const Result<Json> json = parse_json(text);
  if (!json) return malformed(json.error().message);
  if (!json->is_object() || !json->contains("benchmark") || json->at("benchmark") != "site") {
    return malformed("is no result of a site");
  }
  std::string wrong;
  SiteResult result = result_at({*json, wrong});
  if (!wrong.empty()) return malformed("is no result of a site that can be merged: " + wrong);
  return result;
}

std::optional<SiteStatus> read_site_status(std::string_view text) {
  const Result<Json> json = parse_json(text);
  if (!json) return std::nullopt;
  std::string wrong;
  const JsonPlace root(*json, wrong);
  SiteStatus status;
  status.protocol = root.at("protocol").printable();
  status.durability = root.at("durability").text();
  status.has_leader = root.at("has_leader").flag();
  if (const JsonPlace leader = root.at("leader"); !leader.is_null()) {
    status.leader = replica_at(leader, kReplicasMax);
  }
  status.incarnation = root.at("incarnation").number(0, ~std::uint64_t{0});
  const JsonPlace core = root.at("counters").at("core");
  if (core.has("fast_path")) {
    status.paths = {core.at("fast_path").number(0, kCountMax),
                    core.at("slow_path_mismatch").number(0, kCountMax) +
                        core.at("slow_path_timer").number(0, kCountMax)};
  }
  if (!wrong.empty()) return std::nullopt;
  return status;
}

}  // namespace epaxos::bench
