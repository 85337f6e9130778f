#include "bench/client/site_result.h"

#include <algorithm>

#include "bench/report/site_name.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

constexpr const char* kSiteBenchmark = "site";

Json json_of_replica(const std::optional<ReplicaId>& replica) {
  return replica ? Json(replica->value()) : Json();
}

ReplicaId replica_from(const Json& json) {
  const auto number = json.get<std::uint64_t>();
  return ReplicaId(static_cast<std::uint16_t>(number < kReplicasMax ? number : kReplicasMax - 1));
}

Json json_of_seconds(const std::vector<SiteSecond>& seconds) {
  Json json = Json::array();
  for (const SiteSecond& second : seconds) {
    json.push_back({{"execution_us", to_json(second.execution_us)}, {"failed", second.failed}});
  }
  return json;
}

Json json_of_round_trips(const SiteResult& result) {
  Json json = Json::array();
  for (const auto& us : result.round_trip_us) json.push_back(us ? Json(*us) : Json());
  return json;
}

SiteConditions conditions_from(const Json& json) {
  SiteConditions c;
  json.at("version").get_to(c.version);
  json.at("cluster").get_to(c.cluster);
  json.at("cluster_id").get_to(c.cluster_id);
  json.at("replica_sites").get_to(c.replica_sites);
  json.at("protocol").get_to(c.protocol);
  json.at("durability").get_to(c.durability);
  json.at("batch").get_to(c.batch);
  json.at("thrifty").get_to(c.thrifty);
  json.at("clients").get_to(c.clients);
  json.at("conflicts_percent").get_to(c.conflict_percent);
  json.at("increments").get_to(c.increments);
  json.at("sessions").get_to(c.sessions);
  json.at("value_bytes").get_to(c.value_bytes);
  json.at("own_keys").get_to(c.own_keys);
  json.at("hot_key").get_to(c.hot_key);
  json.at("timeout_us").get_to(c.timeout_us);
  json.at("warm_up_us").get_to(c.warm_up_us);
  json.at("measured_us").get_to(c.measured_us);
  json.at("ramp_down_us").get_to(c.ramp_down_us);
  json.at("emulated_one_way_us").get_to(c.emulated_one_way_us);
  json.at("emulated_jitter_us").get_to(c.emulated_jitter_us);
  json.at("emulated_loss").get_to(c.emulated_loss);
  json.at("emulated_bytes_per_second").get_to(c.emulated_bytes_per_second);
  return c;
}

/// Throws what nlohmann::json throws. False: a histogram is none.
bool read(const Json& json, SiteResult& out) {
  out.conditions = conditions_from(json.at("conditions"));
  json.at("site").get_to(out.site);
  out.replica = replica_from(json.at("replica"));
  if (!json.at("leader").is_null()) out.leader = replica_from(json.at("leader"));
  json.at("leader_changed").get_to(out.leader_changed);
  for (const Json& us : json.at("round_trip_us")) {
    out.round_trip_us.push_back(us.is_null() ? std::nullopt : std::optional(us.get<Tick>()));
  }
  json.at("measured_from_unix_us").get_to(out.measured_from_unix_us);
  json.at("measured_for_us").get_to(out.measured_for_us);
  json.at("sent").get_to(out.sent);
  json.at("rejected").get_to(out.rejected);
  json.at("unknown").get_to(out.unknown);
  json.at("unfinished").get_to(out.unfinished);
  if (!json.at("paths").is_null()) {
    out.paths = {json.at("paths").at("fast").get<std::uint64_t>(),
                 json.at("paths").at("slow").get<std::uint64_t>()};
  }
  json.at("last_failure").get_to(out.last_failure);
  json.at("cpu_s").get_to(out.cpu_s);
  json.at("interrupted").get_to(out.interrupted);
  bool histograms = add_json(json.at("commit_us"), out.commit_us) &&
                    add_json(json.at("execution_us"), out.execution_us);
  for (const Json& second : json.at("seconds")) {
    SiteSecond& one = out.seconds.emplace_back();
    second.at("failed").get_to(one.failed);
    histograms = histograms && add_json(second.at("execution_us"), one.execution_us);
  }
  return histograms;
}

/// Whether it can be, whoever wrote it.
bool is_sound(const SiteResult& result) {
  const std::size_t replicas = result.conditions.replica_sites.size();
  const auto& emulated = result.conditions.emulated_one_way_us;
  const bool square =
      std::ranges::all_of(emulated, [replicas](const auto& row) { return row.size() == replicas; });
  if (!square || (!emulated.empty() && emulated.size() != replicas)) return false;
  return is_site_name(result.site) && replicas > 0 &&
         replicas <= static_cast<std::size_t>(kReplicasMax) &&
         result.round_trip_us.size() == replicas && result.replica.value() < replicas &&
         (!result.leader || result.leader->value() < replicas) &&
         result.commit_us.count() == result.executed() &&
         result.sent == result.executed() + result.failed();
}

}  // namespace

Json to_json(const SiteConditions& c) {
  return {{"version", c.version},
          {"cluster", c.cluster},
          {"cluster_id", c.cluster_id},
          {"replica_sites", c.replica_sites},
          {"protocol", c.protocol},
          {"durability", c.durability},
          {"batch", c.batch},
          {"thrifty", c.thrifty},
          {"clients", c.clients},
          {"conflicts_percent", c.conflict_percent},
          {"increments", c.increments},
          {"sessions", c.sessions},
          {"value_bytes", c.value_bytes},
          {"own_keys", c.own_keys},
          {"hot_key", c.hot_key},
          {"timeout_us", c.timeout_us},
          {"warm_up_us", c.warm_up_us},
          {"measured_us", c.measured_us},
          {"ramp_down_us", c.ramp_down_us},
          {"emulated_one_way_us", c.emulated_one_way_us},
          {"emulated_jitter_us", c.emulated_jitter_us},
          {"emulated_loss", c.emulated_loss},
          {"emulated_bytes_per_second", c.emulated_bytes_per_second}};
}

std::string to_json_text(const SiteResult& result) {
  const Json json{
      {"benchmark", kSiteBenchmark},
      {"site", result.site},
      {"conditions", to_json(result.conditions)},
      {"replica", result.replica.value()},
      {"leader", json_of_replica(result.leader)},
      {"leader_changed", result.leader_changed},
      {"round_trip_us", json_of_round_trips(result)},
      {"measured_from_unix_us", result.measured_from_unix_us},
      {"measured_for_us", result.measured_for_us},
      {"interrupted", result.interrupted},
      {"sent", result.sent},
      {"executed", result.executed()},
      {"rejected", result.rejected},
      {"unknown", result.unknown},
      {"unfinished", result.unfinished},
      {"last_failure", result.last_failure},
      {"paths",
       result.paths ? Json{{"fast", result.paths->fast}, {"slow", result.paths->slow}} : Json()},
      {"cpu_s", result.cpu_s},
      {"commit_us", to_json(result.commit_us)},
      {"execution_us", to_json(result.execution_us)},
      {"seconds", json_of_seconds(result.seconds)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<SiteResult> read_site_result(std::string_view text) {
  const Failure wrong = fail(ErrorCode::kMalformed, "is no result of a site");
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("benchmark") || json.at("benchmark") != kSiteBenchmark) {
    return wrong;
  }
  SiteResult result;
  try {
    if (!read(json, result) || !is_sound(result)) return wrong;
  } catch (const Json::exception&) {
    return wrong;
  }
  return result;
}

std::string site_text(const SiteResult& result) {
  const double seconds = static_cast<double>(result.measured_for_us) / 1e6;
  const double rate = seconds > 0 ? static_cast<double>(result.executed()) / seconds : 0;
  const std::string replica = "R" + std::to_string(result.replica.value());
  std::string out = result.conditions.protocol + " at " + result.site + ", which asked " + replica +
                    ": " + fixed(rate, 1) + " commands/s over " + fixed(seconds, 1) + " s, " +
                    grouped(result.executed()) + " executed, " + grouped(result.rejected) +
                    " rejected, " + grouped(result.unknown) + " unknown, " +
                    grouped(result.unfinished) + " unfinished\n\n";
  TextTable table({"latency, ms", ">p50", ">p99", ">p99.9", ">max", ">commands"});
  for (const auto& [name, seen] :
       {std::pair("commit", &result.commit_us), {"execution", &result.execution_us}}) {
    std::vector<std::string> cells{name};
    for (const double share : {0.5, 0.99, 0.999, 1.0}) {
      const auto us = static_cast<double>(seen->percentile(share));
      cells.push_back(seen->count() == 0 ? "-" : milliseconds(us));
    }
    cells.push_back(grouped(seen->count()));
    table.add(std::move(cells));
  }
  out += table.text();
  if (result.paths && result.paths->fast + result.paths->slow > 0) {
    const auto slow = static_cast<double>(result.paths->slow);
    const auto all = static_cast<double>(result.paths->fast + result.paths->slow);
    out += "\nslow path     " + fixed(100 * slow / all, 1) + " % of what " + replica +
           " decided meanwhile";
  }
  out += "\nround trips  ";
  for (std::size_t r = 0; r < result.round_trip_us.size(); ++r) {
    const auto& us = result.round_trip_us[r];
    out += (r == 0 ? " R" : ", R") + std::to_string(r) + " " +
           (us ? milliseconds(static_cast<double>(*us)) + " ms" : "no answer");
  }
  if (!result.last_failure.empty()) out += "\nlast failure  " + result.last_failure;
  return out + "\n";
}

std::optional<SiteStatus> read_site_status(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    SiteStatus status;
    json.at("protocol").get_to(status.protocol);
    json.at("durability").get_to(status.durability);
    json.at("has_leader").get_to(status.has_leader);
    if (!json.at("leader").is_null()) status.leader = replica_from(json.at("leader"));
    json.at("incarnation").get_to(status.incarnation);
    const Json& core = json.at("counters").at("core");
    if (core.contains("fast_path")) {
      status.paths = {core.at("fast_path").get<std::uint64_t>(),
                      core.at("slow_path_mismatch").get<std::uint64_t>() +
                          core.at("slow_path_timer").get<std::uint64_t>()};
    }
    return status;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace epaxos::bench
