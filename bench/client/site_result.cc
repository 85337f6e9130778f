#include "bench/client/site_result.h"

#include <utility>

#include "epaxos/node/config.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

Json json_of_replica(const std::optional<ReplicaId>& replica) {
  return replica ? Json(replica->value()) : Json();
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

Json json_of(const Latency& seen) {
  return {{"commit_us", to_json(seen.commit_us)}, {"execution_us", to_json(seen.execution_us)}};
}

std::string name_of_replica(const SiteResult& result) {
  return "R" + std::to_string(result.replica.value());
}

/// A line a kind and phase.
std::string latency_text(const SiteResult& result) {
  const CommandMix& mix = result.conditions.load.mix;
  const bool apart = mix.has_reads() && mix.has_writes();
  TextTable table({"latency, ms", ">p50", ">p99", ">p99.9", ">max", ">commands"});
  for (const auto& [kind, seen] : {std::pair("reads", &result.reads), {"writes", &result.writes}}) {
    if (!(seen == &result.reads ? mix.has_reads() : mix.has_writes())) continue;
    for (const auto& [phase, us] :
         {std::pair("commit", &seen->commit_us), {"execution", &seen->execution_us}}) {
      std::vector<std::string> cells{(apart ? std::string(kind) + ", " : "") + phase};
      for (const double share : {0.5, 0.99, 0.999, 1.0}) {
        cells.push_back(
            us->count() == 0 ? "-" : milliseconds(static_cast<double>(us->percentile(share))));
      }
      cells.push_back(grouped(us->count()));
      table.add(std::move(cells));
    }
  }
  return table.text();
}

/// Of an open loop: whether it was what was asked for.
std::string open_loop_text(const SiteResult& result) {
  const FineHistogram& late = result.late_us;
  const auto ms = [&](double share) {
    return fixed(static_cast<double>(late.percentile(share)) / 1000, 3);
  };
  std::string out = "\nleft late     by " + ms(0.5) + " ms in the median, " + ms(0.99) +
                    " ms in the 99th percentile; latencies hold that";
  if (result.unsent > 0) {
    out += "\nunsent        " + grouped(result.unsent) + ", as " +
           grouped(result.conditions.load.open.in_flight_max) + " had no answer";
  }
  return out;
}

}  // namespace

Json to_json(const SiteConditions& c) {
  Json json{{"version", c.version},
            {"cluster", c.cluster},
            {"cluster_id", c.cluster_id},
            {"replica_sites", c.replica_sites},
            {"protocol", c.protocol},
            {"durability", c.durability},
            {"batch", c.batch},
            {"thrifty", c.thrifty},
            {"reads_by", to_string(c.reads)},
            {"increments", c.increments},
            {"sessions", c.sessions},
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
  json.update(to_json(c.load));
  return json;
}

std::string to_json_text(const SiteResult& result) {
  const Json json{
      {"benchmark", "site"},
      {"site", result.site},
      {"run", result.run},
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
      {"unsent", result.unsent},
      {"last_failure", result.last_failure},
      {"paths",
       result.paths ? Json{{"fast", result.paths->fast}, {"slow", result.paths->slow}} : Json()},
      {"cpu_s", result.cpu_s},
      {"reads", json_of(result.reads)},
      {"writes", json_of(result.writes)},
      {"late_us", to_json(result.late_us)},
      {"seconds", json_of_seconds(result.seconds)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string site_text(const SiteResult& result) {
  const double seconds = static_cast<double>(result.measured_for_us) / 1e6;
  const double rate = seconds > 0 ? static_cast<double>(result.executed()) / seconds : 0;
  const std::string replica = name_of_replica(result);
  std::string out = result.conditions.protocol + " at " + result.site + ", which asked " + replica +
                    ": " + fixed(rate, 1) + " commands/s over " + fixed(seconds, 1) + " s, " +
                    grouped(result.executed()) + " executed, " + grouped(result.rejected) +
                    " rejected, " + grouped(result.unknown) + " unknown, " +
                    grouped(result.unfinished) + " unfinished\n\n";
  out += latency_text(result);
  if (result.paths && result.paths->fast + result.paths->slow > 0) {
    const auto slow = static_cast<double>(result.paths->slow);
    const auto all = static_cast<double>(result.paths->fast + result.paths->slow);
    out += "\nslow path     " + fixed(100 * slow / all, 1) + " % of what " + replica +
           " decided meanwhile";
  }
  if (result.conditions.load.open.is_on()) out += open_loop_text(result);
  out += "\nround trips  ";
  for (std::size_t r = 0; r < result.round_trip_us.size(); ++r) {
    const auto& us = result.round_trip_us[r];
    out += (r == 0 ? " R" : ", R") + std::to_string(r) + " " +
           (us ? milliseconds(static_cast<double>(*us)) + " ms" : "no answer");
  }
  if (!result.last_failure.empty()) out += "\nlast failure  " + result.last_failure;
  return out + "\n";
}

}  // namespace epaxos::bench
