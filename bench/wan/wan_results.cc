// What was measured, as CSV and as JSON.

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "bench/report/latency.h"
#include "bench/throughput/protocols.h"
#include "bench/wan/repeats.h"
#include "bench/wan/timeline_report.h"
#include "bench/wan/wan_report.h"
#include "epaxos/node/config.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// None in an open loop.
std::size_t clients_of(const RunOptions& s) {
  return s.open.is_on() ? 0 : s.clients;
}

std::string ms(Tick us) {
  return fixed(static_cast<double>(us) / 1000, 3);
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

std::string csv_of(const WanRun& run, std::size_t site, Histograms histograms, Kind kind) {
  std::string out;
  for (const double share : {0.5, 0.99}) {
    const Spread spread = spread_of(run.repeats, site, histograms, share, kind);
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
void add_repeats(Json& json, const WanRun& run, std::size_t site, Histograms histograms,
                 Kind kind) {
  for (const auto& [name, share] : kPercentiles) {
    Json& values = json["of_each_run"][std::string(name) + "_ms"] = Json::array();
    for (const double us : spread_of(run.repeats, site, histograms, share, kind).values_us) {
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

/// Adds both phases of the commands of this kind.
void add_latency(Json& json, const WanRun& run, std::size_t site, Kind kind) {
  const Latency& seen = latency_of(run.measured.sites[site], kind);
  json["commit"] = json_of(seen.commit_us);
  json["execution"] = json_of(seen.execution_us);
  add_repeats(json["commit"], run, site, &Latency::commit_us, kind);
  add_repeats(json["execution"], run, site, &Latency::execution_us, kind);
}

Json json_of(const WanRun& run, const Placement& placement, const WanOptions& options,
             const std::vector<Fault>& faults) {
  Json json{{"protocol", run.measured.protocol}};
  json["leader"] = run.measured.leader ? Json(placement.name_of(*run.measured.leader)) : Json();
  if (options.run.mix.has_reads()) json["reads_by"] = to_string(run.reads_by);
  if (run.measured.interrupted) json["interrupted"] = true;
  if (run.measured.events > 0) {
    json["events"] = run.measured.events;
    json["trace_hash"] = Json::array();
    for (const MeasuredRun& one : run.repeats) {
      json["trace_hash"].push_back(hash_text(one.trace_hash));
    }
  }
  if (run.measured.linearizable) json["linearizable_commands"] = *run.measured.linearizable;
  if (std::ranges::any_of(run.repeats, [](const MeasuredRun& one) { return !!one.digest; })) {
    json["digest"] = Json::array();
    for (const MeasuredRun& one : run.repeats) {
      json["digest"].push_back(one.digest ? Json(hash_text(*one.digest)) : Json());
    }
  }
  for (const Gaps& gaps : gaps_of(faults, run)) {
    Json sites = Json::array();
    for (std::size_t site = 0; site < gaps.by_site.size(); ++site) {
      Json one{{"site", placement.topology().site(site)}};
      for (const Timeline::Gap& gap : gaps.by_site[site]) {
        one["of_each_run_ms"].push_back(static_cast<double>(gap.us) / 1000);
        one["goes_on"].push_back(gap.goes_on);
      }
      sites.push_back(std::move(one));
    }
    json["longest_without_commit"].push_back({{"faults", gaps.faults}, {"sites", sites}});
  }
  json["sites"] = Json::array();
  for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
    const SiteLatency& seen = run.measured.sites[site];
    Json one{{"site", placement.topology().site(site)},
             {"replica", placement.name_of(placement.nearest(site))},
             {"bound_ms", static_cast<double>(run.bound.by_site_us[site]) / 1000},
             {"failed", seen.failed},
             {"unsent", seen.unsent}};
    one["slow_share"] = seen.slow_share ? Json(*seen.slow_share) : Json();
    add_latency(one, run, site, Kind::kAll);
    for (const Kind kind : kinds_of(options.run.mix)) {
      if (kind == Kind::kAll) continue;
      Json& apart = one[to_string(kind)];
      apart["bound_ms"] = static_cast<double>(run.bound_of(kind).by_site_us[site]) / 1000;
      add_latency(apart, run, site, kind);
    }
    if (options.mode != WanMode::kSimulated) one["late"] = json_of(seen.late_us);
    json["sites"].push_back(std::move(one));
  }
  return json;
}

/// "at 10s kill OR; at 20s heal": in quotes, as sites of a part are separated by commas.
std::string faults_cell(const WanOptions& options) {
  std::string all;
  for (const std::string& fault : options.faults) all += (all.empty() ? "" : "; ") + fault;
  return "\"" + all + "\"";
}

/// A line of the CSV.
std::string line_of(const WanOptions& options, const WanResult& result, const WanRun& run,
                    std::size_t site, Kind kind) {
  const RunOptions& s = options.run;
  const Topology& topology = result.placement.topology();
  const SiteLatency& all = run.measured.sites[site];
  const Latency& seen = latency_of(all, kind);
  const bool real_time = options.mode != WanMode::kSimulated;
  const auto late = [&](double share) {
    return real_time ? ms(all.late_us.percentile(share)) : "";
  };
  const std::vector<std::string> cells{
      topology.name(),
      to_string(options.mode),
      run.measured.protocol,
      run.measured.leader ? result.placement.name_of(*run.measured.leader) : "",
      topology.site(site),
      result.placement.name_of(result.placement.nearest(site)),
      std::to_string(clients_of(s)),
      ms(s.think_us),
      fixed(s.open.rate, 3),
      std::to_string(s.conflict_percent),
      std::to_string(s.value_bytes),
      fixed(static_cast<double>(s.warm_up_us) / 1e6, 3),
      fixed(static_cast<double>(s.measured_us) / 1e6, 3),
      std::to_string(s.seed),
      ms(s.links.jitter_us),
      fixed(s.links.loss * 100, 3),
      fixed(static_cast<double>(s.links.bytes_per_second) * 8 / 1e6, 3),
      ms(run.bound_of(kind).by_site_us[site]),
      std::to_string(seen.execution_us.count()),
      std::to_string(all.failed),
      std::to_string(all.unsent),
      (all.slow_share ? fixed(*all.slow_share, 6) : "") + csv_of(seen.commit_us) +
          csv_of(seen.execution_us),
      std::to_string(run.repeats.size()) + csv_of(run, site, &Latency::commit_us, kind) +
          csv_of(run, site, &Latency::execution_us, kind),
      kind == Kind::kAll ? "all" : to_string(kind),
      s.mix.ycsb,
      std::to_string(s.mix.read_percent),
      s.mix.has_reads() ? std::string(to_string(run.reads_by)) : "",
      s.mix.zipf_theta ? fixed(*s.mix.zipf_theta, 4) : "",
      s.mix.zipf_theta ? std::to_string(s.mix.keys) : "",
      late(0.5),
      late(0.99),
      protocol_named(run.measured.protocol).can_be_thrifty && s.thrifty ? "1" : "0",
      s.limit_hot_keys ? "1" : "0",
      faults_cell(options),
      std::string(to_string(s.durability)),
      run.measured.interrupted ? "1" : "0"};
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() ? "" : ",") + cell;
  return line + "\n";
}

}  // namespace

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
  out +=
      ",kind,ycsb,reads_percent,reads_by,zipf_theta,keys,late_p50_ms,late_p99_ms,thrifty,"
      "hot_key_limit,faults,durability,interrupted\n";
  for (const WanRun& run : result.runs) {
    for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
      out += line_of(options, result, run, site, Kind::kAll);
      for (const Kind kind : kinds_of(options.run.mix)) {
        if (kind != Kind::kAll) out += line_of(options, result, run, site, kind);
      }
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
            {"increments", s.check_linearizability},
            {"reads_by", s.reads_by ? Json(to_string(*s.reads_by)) : Json()},
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
            {"latency_before_faults", s.latency_before_faults},
            {"durability", to_string(s.durability)},
            {"batch", options.batch},
            {"interrupted", result.interrupted}};
  json.update(to_json(static_cast<const OfferedLoad&>(s)));
  json["runs"] = Json::array();
  for (const WanRun& run : result.runs) {
    json["runs"].push_back(json_of(run, result.placement, options, result.faults));
  }
  return json.dump(1) + "\n";
}

}  // namespace epaxos::bench
