#include "bench/wan/wan_report.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "bench/report/latency.h"
#include "bench/wan/repeats.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

std::string ms_text(double us) {
  return fixed(us / 1000, 1);
}

std::string percentile(const FineHistogram& seen, double share) {
  return seen.count() == 0 ? "-" : ms_text(static_cast<double>(seen.percentile(share)));
}

/// "85.1 (85.0..85.2)": the median and the range, or one number where they do not differ.
std::string range_text(const Spread& spread) {
  if (spread.values_us.empty()) return "-";
  const std::string least = ms_text(spread.least_us());
  const std::string most = ms_text(spread.most_us());
  if (least == most) return least;
  return ms_text(spread.median_us()) + " (" + least + ".." + most + ")";
}

std::string ratio(const FineHistogram& seen, Tick bound_us) {
  if (seen.count() == 0 || bound_us == 0) return "-";
  return fixed(static_cast<double>(seen.percentile(0.5)) / static_cast<double>(bound_us), 3);
}

std::string percent(const std::optional<double>& share) {
  return share ? fixed(*share * 100, 1) + " %" : "-";
}

/// All sites as one.
SiteLatency together(const MeasuredRun& run) {
  SiteLatency all;
  for (const SiteLatency& site : run.sites) {
    all.commit_us.merge(site.commit_us);
    all.execution_us.merge(site.execution_us);
    all.failed += site.failed;
    all.unsent += site.unsent;
  }
  return all;
}

std::string seconds(Tick us) {
  std::string text = fixed(static_cast<double>(us) / 1e6, 3);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

/// What a command that meets a conflict takes at least, if EPaxos is among them.
std::string slow_path_text(const WanOptions& options, const WanResult& result) {
  if (std::ranges::find(options.protocols, "epaxos") == options.protocols.end()) return {};
  const Bounds slow = epaxos_slow_path(result.placement);
  std::string out = "EPaxos on the slow path, ms:";
  for (std::size_t site = 0; site < slow.by_site_us.size(); ++site) {
    out += (site == 0 ? " " : ", ") + result.placement.topology().site(site) + " " +
           ms_text(static_cast<double>(slow.by_site_us[site]));
  }
  if (options.run.limit_hot_keys) {
    out += "; a replica has one undecided instance at a time on a contended key";
  }
  if (options.run.thrifty) out += ". Thrifty: proposals go to the nearest that can decide";
  return out + ".\n";
}

/// What the links do beside taking their delays.
std::string text_of(const LinkTrouble& links) {
  std::string out = links.jitter_us == 0 ? "no jitter" : "jitter up to " + seconds(links.jitter_us);
  if (links.loss > 0) {
    out += ", " + fixed(links.loss * 100, 2) + " % of messages late by " +
           seconds(LinkTrouble::kResentUs);
  }
  if (links.bytes_per_second > 0) {
    out += ", " + fixed(static_cast<double>(links.bytes_per_second) * 8 / 1e6, 1) + " Mbit/s";
  }
  return out;
}

/// None in an open loop.
std::size_t clients_of(const RunOptions& s) {
  return s.open.is_on() ? 0 : s.clients;
}

std::string load_text(const RunOptions& s) {
  if (s.open.is_on()) {
    return fixed(s.open.rate, 1) + " commands/s a site, open loop, " +
           (s.open.poisson ? "Poisson" : "evenly");
  }
  return std::to_string(s.clients) + " clients a site, closed loop, " +
         (s.think_us == 0 ? "no think time" : "think time " + seconds(s.think_us));
}

/// Over all runs and sites.
std::uint64_t count_of(const WanResult& result, std::uint64_t SiteLatency::*counter) {
  std::uint64_t sum = 0;
  for (const WanRun& run : result.runs) sum += together(run.measured).*counter;
  return sum;
}

/// Empty unless histories were judged.
std::string judged_text(const WanResult& result) {
  std::uint64_t commands = 0;
  for (const WanRun& run : result.runs) commands += run.measured.linearizable.value_or(0);
  if (commands == 0) return {};
  return "Linearizable: the history of every run that ended, " + grouped(commands) +
         " commands with those of the warm-up.\n";
}

std::string hash_text(std::uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, hash);
  return text;
}

constexpr struct {
  const char* name;
  double share;
} kPercentiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

std::string csv_of(const FineHistogram& seen) {
  std::string out;
  for (const auto& [name, share] : kPercentiles) {
    out += "," + (seen.count() == 0 ? std::string()
                                    : fixed(static_cast<double>(seen.percentile(share)) / 1000, 3));
  }
  return out;
}

std::string csv_of(const WanRun& run, std::size_t site, Histograms histograms) {
  std::string out;
  for (const double share : {0.5, 0.99}) {
    const Spread spread = spread_of(run.repeats, site, histograms, share);
    if (spread.values_us.empty()) {
      out += ",,,";
      continue;
    }
    for (const double us : {spread.median_us(), spread.least_us(), spread.most_us()}) {
      out += "," + fixed(us / 1000, 3);
    }
  }
  return out;
}

Json json_of(const FineHistogram& seen) {
  Json json{{"count", seen.count()}, {"mean_ms", seen.mean() / 1000}};
  for (const auto& [name, share] : kPercentiles) {
    json[std::string(name) + "_ms"] = static_cast<double>(seen.percentile(share)) / 1000;
  }
  json["max_ms"] = static_cast<double>(seen.max()) / 1000;
  json["histogram_us"] = to_json(seen);
  return json;
}

/// The percentiles of each run alone, for whoever wants to know how they vary.
void add_repeats(Json& json, const WanRun& run, std::size_t site, Histograms histograms) {
  for (const auto& [name, share] : kPercentiles) {
    Json& values = json["of_each_run"][std::string(name) + "_ms"] = Json::array();
    for (const double us : spread_of(run.repeats, site, histograms, share).values_us) {
      values.push_back(us / 1000);
    }
  }
}

/// A row a site it comes from.
Json delays_of(const Topology& topology) {
  Json rows = Json::array();
  for (std::size_t from = 0; from < topology.site_count(); ++from) {
    Json row = Json::array();
    for (std::size_t to = 0; to < topology.site_count(); ++to) {
      row.push_back(topology.one_way_us(from, to));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Json json_of(const WanRun& run, const Placement& placement) {
  Json json{{"protocol", run.measured.protocol}};
  json["leader"] = run.measured.leader ? Json(placement.name_of(*run.measured.leader)) : Json();
  if (run.measured.interrupted) json["interrupted"] = true;
  if (run.measured.events > 0) {
    json["events"] = run.measured.events;
    json["trace_hash"] = Json::array();
    for (const MeasuredRun& one : run.repeats) {
      json["trace_hash"].push_back(hash_text(one.trace_hash));
    }
  }
  if (run.measured.linearizable) json["linearizable_commands"] = *run.measured.linearizable;
  if (run.measured.digest) json["digest"] = hash_text(*run.measured.digest);
  json["sites"] = Json::array();
  for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
    const SiteLatency& seen = run.measured.sites[site];
    Json one{{"site", placement.topology().site(site)},
             {"replica", placement.name_of(placement.nearest(site))},
             {"bound_ms", static_cast<double>(run.bound.by_site_us[site]) / 1000},
             {"failed", seen.failed},
             {"unsent", seen.unsent}};
    one["slow_share"] = seen.slow_share ? Json(*seen.slow_share) : Json();
    one["commit"] = json_of(seen.commit_us);
    one["execution"] = json_of(seen.execution_us);
    add_repeats(one["commit"], run, site, &SiteLatency::commit_us);
    add_repeats(one["execution"], run, site, &SiteLatency::execution_us);
    json["sites"].push_back(std::move(one));
  }
  return json;
}

}  // namespace

std::string conditions_text(const WanOptions& options, const WanResult& result) {
  const RunOptions& s = options.run;
  const Topology& topology = result.placement.topology();
  std::string out = topology.name();
  if (!topology.source().empty()) out += ": " + topology.source();
  const bool machines = options.mode == WanMode::kMachines;
  out += machines                             ? "\n\nOn machines"
         : options.mode == WanMode::kEmulated ? "\n\nEmulated"
                                              : "\n\nSimulated";
  out += ": replicas at " + names_of(result.placement, result.placement.all()) + "; " +
         load_text(s) + ", ";
  out += s.check_linearizability ? "increments of counters"
                                 : "writes of " + std::to_string(s.value_bytes) + " bytes";
  out += ",\n" + std::to_string(s.conflict_percent) + " % of them on one key that all share; " +
         seconds(s.measured_us) + " after " + seconds(s.warm_up_us) + " of warm-up" +
         (machines ? "" : ", seed " + std::to_string(s.seed));
  if (options.repeat > 1) out += " and the next, " + std::to_string(options.repeat) + " runs";
  out += ". Durability " + options.durability + ", " +
         (options.batch == 1 ? "one command" : "up to " + grouped(options.batch) + " commands") +
         " an instance,\nreplies after execution";
  const std::size_t faults = options.faults.size();
  if (!machines) {
    out += (faults == 0 ? ", no" : ", " + std::to_string(faults)) +
           (faults == 1 ? " fault" : " faults");
  }
  if (!machines || s.links.is_on()) out += ", " + text_of(s.links);
  out += ". Bound: when only messages take time, and for EPaxos on the fast path.\n";
  if (options.repeat > 1) {
    out +=
        "Percentiles are those of all runs as one; the last columns have the median of each run's "
        "own and, in brackets, their range.\n";
  }
  if (s.conflict_percent > 0) out += slow_path_text(options, result);
  return out + judged_text(result);
}

SiteTable table_of(const WanResult& result) {
  SiteTable table{{"ms", "site", ">bound", ">commit p50", ">of bound", ">exec p50", ">of bound",
                   ">exec p99", ">p99.9", ">slow path", ">commands"},
                  {}};
  const bool repeated =
      std::ranges::any_of(result.runs, [](const WanRun& run) { return run.repeats.size() > 1; });
  if (repeated) table.names.insert(table.names.end(), {">exec p50 a run", ">exec p99 a run"});
  const Topology& topology = result.placement.topology();
  for (const WanRun& run : result.runs) {
    const std::string name = name_of(result.placement, run.measured.protocol, run.measured.leader);
    for (std::size_t site = 0; site < topology.site_count(); ++site) {
      const SiteLatency& seen = run.measured.sites[site];
      const Tick bound = run.bound.by_site_us[site];
      table.rows.push_back(
          {{name, topology.site(site), ms_text(static_cast<double>(bound)),
            percentile(seen.commit_us, 0.5), ratio(seen.commit_us, bound),
            percentile(seen.execution_us, 0.5), ratio(seen.execution_us, bound),
            percentile(seen.execution_us, 0.99), percentile(seen.execution_us, 0.999),
            percent(seen.slow_share), grouped(seen.execution_us.count())},
           site == 0});
      if (!repeated) continue;
      for (const double share : {0.5, 0.99}) {
        table.rows.back().cells.push_back(
            range_text(spread_of(run.repeats, site, &SiteLatency::execution_us, share)));
      }
    }
    const SiteLatency all = together(run.measured);
    table.rows.push_back(
        {{name, "all", "", percentile(all.commit_us, 0.5), "", percentile(all.execution_us, 0.5),
          "", percentile(all.execution_us, 0.99), percentile(all.execution_us, 0.999), "",
          grouped(all.execution_us.count())},
         false});
    if (repeated) table.rows.back().cells.resize(table.names.size());
  }
  return table;
}

std::string left_out_text(const WanOptions& options, const WanResult& result) {
  std::string out;
  if (const std::uint64_t failed = count_of(result, &SiteLatency::failed); failed > 0) {
    out += grouped(failed) + " commands were refused or have no known outcome.\n";
  }
  if (const std::uint64_t unsent = count_of(result, &SiteLatency::unsent); unsent > 0) {
    out += grouped(unsent) + " commands were not sent: more than " +
           grouped(options.run.open.in_flight_max) +
           " of their site had no answer. The latencies leave them out.\n";
  }
  return out;
}

std::string to_text(const WanOptions& options, const WanResult& result) {
  const SiteTable sites = table_of(result);
  TextTable table(sites.names);
  for (const SiteTable::Row& row : sites.rows) {
    if (row.first_of_run && table.rows() > 0) table.add_gap();
    table.add(row.cells);
  }
  std::string out = conditions_text(options, result) + "\n" + table.text();
  if (const std::string left_out = left_out_text(options, result); !left_out.empty()) {
    out += "\n" + left_out;
  }
  return out + "\nThis took " + fixed(result.cpu_s, 1) + " s of CPU.\n";
}

std::string to_csv(const WanOptions& options, const WanResult& result) {
  std::string out =
      "topology,mode,protocol,leader,site,replica,clients,think_ms,rate,conflicts_percent,"
      "value_bytes,warm_up_s,measured_s,seed,jitter_ms,loss_percent,mbit_per_s,bound_ms,commands,"
      "failed,"
      "unsent,slow_share";
  for (const char* phase : {"commit", "execution"}) {
    for (const auto& [name, share] : kPercentiles) {
      out += "," + std::string(phase) + "_" + name + "_ms";
    }
  }
  out += ",repeats";
  for (const char* phase : {"commit", "execution"}) {
    for (const char* name : {"p50", "p99"}) {
      for (const char* of : {"median", "least", "most"}) {
        out += "," + std::string(phase) + "_" + name + "_" + of + "_ms";
      }
    }
  }
  out += "\n";
  const RunOptions& s = options.run;
  const Topology& topology = result.placement.topology();
  for (const WanRun& run : result.runs) {
    for (std::size_t site = 0; site < topology.site_count(); ++site) {
      const SiteLatency& seen = run.measured.sites[site];
      out += topology.name() + "," + to_string(options.mode) + "," + run.measured.protocol + "," +
             (run.measured.leader ? result.placement.name_of(*run.measured.leader) : "") + "," +
             topology.site(site) + "," + result.placement.name_of(result.placement.nearest(site)) +
             "," + std::to_string(clients_of(s)) + "," +
             fixed(static_cast<double>(s.think_us) / 1000, 3) + "," + fixed(s.open.rate, 3) + "," +
             std::to_string(s.conflict_percent) + "," + std::to_string(s.value_bytes) + "," +
             fixed(static_cast<double>(s.warm_up_us) / 1e6, 3) + "," +
             fixed(static_cast<double>(s.measured_us) / 1e6, 3) + "," + std::to_string(s.seed) +
             "," + fixed(static_cast<double>(s.links.jitter_us) / 1000, 3) + "," +
             fixed(s.links.loss * 100, 3) + "," +
             fixed(static_cast<double>(s.links.bytes_per_second) * 8 / 1e6, 3) + "," +
             fixed(static_cast<double>(run.bound.by_site_us[site]) / 1000, 3) + "," +
             std::to_string(seen.execution_us.count()) + "," + std::to_string(seen.failed) + "," +
             std::to_string(seen.unsent) + "," +
             (seen.slow_share ? fixed(*seen.slow_share, 6) : "") + csv_of(seen.commit_us) +
             csv_of(seen.execution_us) + "," + std::to_string(run.repeats.size()) +
             csv_of(run, site, &SiteLatency::commit_us) +
             csv_of(run, site, &SiteLatency::execution_us) + "\n";
    }
  }
  return out;
}

std::string to_json(const WanOptions& options, const WanResult& result) {
  const RunOptions& s = options.run;
  const Topology& topology = result.placement.topology();
  Json replicas = Json::array();
  for (const ReplicaId replica : members_of(result.placement.all())) {
    replicas.push_back(result.placement.name_of(replica));
  }
  Json json{{"benchmark", "wan"},
            {"version", version_line("epaxos-bench")},
            {"mode", to_string(options.mode)},
            {"topology", topology.name()},
            {"source", topology.source()},
            {"sites", topology.sites()},
            {"replicas", std::move(replicas)},
            {"one_way_us", delays_of(topology)},
            {"protocols", options.protocols},
            {"leaders", options.leaders},
            {"clients", clients_of(s)},
            {"think_us", s.think_us},
            {"rate", s.open.rate},
            {"arrival", s.open.poisson ? "poisson" : "fixed"},
            {"in_flight_max", s.open.in_flight_max},
            {"increments", s.check_linearizability},
            {"conflicts_percent", s.conflict_percent},
            {"value_bytes", s.value_bytes},
            {"warm_up_us", s.warm_up_us},
            {"measured_us", s.measured_us},
            {"seed", s.seed},
            {"repeat", options.repeat},
            {"hot_key_limit", s.limit_hot_keys},
            {"thrifty", s.thrifty},
            {"jitter_us", s.links.jitter_us},
            {"loss", s.links.loss},
            {"bytes_per_second", s.links.bytes_per_second},
            {"faults", options.faults},
            {"durability", options.durability},
            {"batch", options.batch},
            {"interrupted", result.interrupted}};
  json["runs"] = Json::array();
  for (const WanRun& run : result.runs) json["runs"].push_back(json_of(run, result.placement));
  return json.dump(1) + "\n";
}

}  // namespace epaxos::bench
