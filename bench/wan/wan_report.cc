#include "bench/wan/wan_report.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "bench/wan/client_keys.h"
#include "bench/wan/repeats.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// Beyond these the generator hides what it measures.
constexpr Tick kLateP50Us = 50;
constexpr Tick kLateP99Us = 1000;

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
  for (const SiteLatency& site : run.sites) all.merge(site);
  return all;
}

std::string late_ms(const FineHistogram& late, double share) {
  return fixed(static_cast<double>(late.percentile(share)) / 1000, 3);
}

/// "0.99": without zeros behind.
std::string theta_text(double theta) {
  std::string text = fixed(theta, 4);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
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
  return out + ".\n";
}

/// What the protocols do beyond their papers, as far as they were measured: a line each.
std::string optimisations_text(const WanOptions& options, const WanResult& result) {
  const auto measured = [&](std::initializer_list<std::string_view> protocols) {
    return std::ranges::any_of(result.runs, [&](const WanRun& run) {
      return std::ranges::find(protocols, run.measured.protocol) != protocols.end();
    });
  };
  std::string out;
  // On real machines the replicas' own files say it.
  if (measured({"epaxos"}) && options.mode != WanMode::kMachines) {
    out += "EPaxos: ";
    out += options.run.thrifty ? "thrifty, proposals go to the nearest that can decide"
                               : "proposals go to everybody";
    out += options.run.limit_hot_keys
               ? "; a replica has one undecided instance at a time on a contended key.\n"
               : "; as many undecided instances on a contended key as come.\n";
  }
  if (measured({"raft", "raft-all", "multipaxos", "multipaxos-all"})) {
    out +=
        "With a leader: commands are forwarded to it, it does not wait for one to send the next, "
        "and who forwarded\none is told of its commit at once";
    if (measured({"raft-all", "multipaxos-all"})) {
      out += "; in those with -all everybody learns from all who accept";
    }
    out += ".\n";
  }
  return out;
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

std::string load_text(const RunOptions& s) {
  if (s.open.is_on()) {
    return fixed(s.open.rate, 1) + " commands/s a site, open loop, " +
           (s.open.poisson ? "Poisson" : "evenly");
  }
  return std::to_string(s.clients) + " clients a site, closed loop, " +
         (s.think_us == 0 ? "no think time" : "think time " + seconds(s.think_us));
}

/// What the clients ask for: "50 % reads and 50 % writes of 16 bytes".
std::string commands_text(const RunOptions& s) {
  const CommandMix& mix = s.mix;
  const std::string of = " of " + std::to_string(s.value_bytes) + " bytes";
  std::string writes = s.check_linearizability ? "increments of counters" : "writes" + of;
  if (mix.inserts) writes = "inserts" + (s.check_linearizability ? " of counters" : of);
  if (mix.modifies) {
    writes = "read-modify-writes: a read and then, in a command of its own, " +
             (s.check_linearizability ? "an increment" : "a write" + of) + " of the same key";
  }
  std::string out = mix.ycsb.empty() ? "" : "workload " + mix.ycsb + " of YCSB, ";
  if (mix.read_percent == 0) return out + writes;
  if (mix.read_percent == 100) return out + "reads";
  const std::string reads =
      mix.scan_max == 0
          ? " % reads"
          : " % scans (multi-gets of 1 to " + std::to_string(mix.scan_max) + " records in a row)";
  return out + std::to_string(mix.read_percent) + reads + " and " +
         std::to_string(100 - mix.read_percent) + " % " + writes;
}

/// Of which keys.
std::string keys_text(const RunOptions& s) {
  if (!s.mix.zipf_theta) {
    return std::to_string(s.conflict_percent) + " % of them on one key that all share";
  }
  return std::string(s.mix.latest ? "the newest of " : "of ") + grouped(s.mix.keys) +
         " keys that all share, by Zipf's law with theta " + theta_text(*s.mix.zipf_theta) +
         "\n(generator of Gray et al., SIGMOD 1994, not scrambled)";
}

/// "raft, multipaxos": those that serve reads like this, without naming one twice.
std::string protocols_by(const WanResult& result, Reads reads_by) {
  std::vector<std::string> names;
  for (const WanRun& run : result.runs) {
    if (run.reads_by != reads_by || std::ranges::count(names, run.measured.protocol) > 0) continue;
    names.push_back(run.measured.protocol);
  }
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

/// How reads are served, a line a way; empty when there are none.
std::string reads_text(const WanOptions& options, const WanResult& result) {
  if (!options.run.mix.has_reads()) return {};
  constexpr struct {
    Reads way;
    const char* text;
  } kWays[] = {
      {Reads::kLog, "go through the log, and conflict with writes only."},
      {Reads::kIndex,
       "go to any replica and not through the log, after a round of the leader (index); they have "
       "no commit,\nand their answer stands in its place."},
      {Reads::kLease,
       "go to any replica and not through the log, after a word of the leader (lease); they have "
       "no commit,\nand their answer stands in its place."}};
  std::string out;
  for (const auto& [way, text] : kWays) {
    const std::string names = protocols_by(result, way);
    if (!names.empty()) out += "Reads of " + names + " " + text + "\n";
  }
  return out;
}

/// Where commands left late; empty when it does not matter.
std::string late_text(const WanOptions& options, const WanResult& result) {
  std::string out;
  for (const WanRun& run : result.runs) {
    std::string sites;
    for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
      const FineHistogram& late = run.measured.sites[site].late_us;
      if (late.percentile(0.5) <= kLateP50Us && late.percentile(0.99) <= kLateP99Us) continue;
      sites += (sites.empty() ? "" : ", ") + result.placement.topology().site(site) + " " +
               late_ms(late, 0.5) + " and " + late_ms(late, 0.99);
    }
    if (sites.empty()) continue;
    out += "The generator was the bottleneck of " +
           name_of(result.placement, run.measured.protocol, run.measured.leader) +
           ": commands left late, by ms in the median and the 99th percentile: " + sites + ".\n";
  }
  if (out.empty()) return {};
  return out + "Latencies hold that lateness. " + ask_for_less(options.run) +
         " An idle machine, or one with more cores, helps too.\n";
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

/// " 20 of epaxos at OR, 15 of raft led from OR at OR"
std::string where_failed(const WanResult& result) {
  std::string out;
  for (const WanRun& run : result.runs) {
    for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
      const std::uint64_t failed = run.measured.sites[site].failed;
      if (failed == 0) continue;
      out += (out.empty() ? " " : ", ") + grouped(failed) + " of " +
             name_of(result.placement, run.measured.protocol, run.measured.leader) + " at " +
             result.placement.topology().site(site);
    }
  }
  return out;
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
         load_text(s) + (s.mix.has_reads() ? ",\n" : ", ") + commands_text(s) + ",\n" +
         keys_text(s) + "; " + seconds(s.measured_us) + " after " + seconds(s.warm_up_us) +
         " of warm-up" + (machines ? "" : ", seed " + std::to_string(s.seed));
  if (options.repeat > 1) {
    out += (machines ? ", " : " and the next, ") + std::to_string(options.repeat) + " runs";
  }
  out += ". Durability " + std::string(to_string(s.durability)) + ", " +
         (options.batch == 1 ? "one command" : "up to " + grouped(options.batch) + " commands") +
         " an instance,\nreplies after execution";
  const std::size_t faults = options.faults.size();
  if (!machines) {
    out += (faults == 0 ? ", no" : ", " + std::to_string(faults)) +
           (faults == 1 ? " fault" : " faults");
    if (s.latency_before_faults) out += " (latencies are those before the first)";
  }
  if (!machines || s.links.is_on()) out += ", " + text_of(s.links);
  out += ". Bound: when only messages take time, and for EPaxos on the fast path.\n";
  if (options.repeat > 1) {
    out +=
        "Percentiles are those of all runs as one; the last columns have the median of each run's "
        "own and, in brackets, their range.\n";
  }
  if (s.conflict_percent > 0 || s.mix.zipf_theta) out += slow_path_text(options, result);
  if (result.interrupted) {
    out +=
        "Interrupted: the last run holds what was measured until then, and no later one is here.\n";
  }
  return out + optimisations_text(options, result) + reads_text(options, result) +
         judged_text(result);
}

SiteTable table_of(const WanOptions& options, const WanResult& result) {
  const std::vector<Kind> kinds = kinds_of(options.run.mix);
  const bool apart = kinds.size() > 1;
  SiteTable table{{"ms", "site"}, {}};
  if (apart) table.names.emplace_back("of");
  table.names.insert(table.names.end(),
                     {">bound", ">commit p50", ">of bound", ">exec p50", ">of bound", ">exec p99",
                      ">p99.9", ">slow path", ">commands"});
  const bool repeated =
      std::ranges::any_of(result.runs, [](const WanRun& run) { return run.repeats.size() > 1; });
  if (repeated) table.names.insert(table.names.end(), {">exec p50 a run", ">exec p99 a run"});
  const Topology& topology = result.placement.topology();
  for (const WanRun& run : result.runs) {
    const std::string name = name_of(result.placement, run.measured.protocol, run.measured.leader);
    const auto add = [&](const std::string& site, Kind kind, const Latency& seen,
                         std::optional<Tick> bound, const std::string& slow) {
      SiteTable::Row& row = table.rows.emplace_back();
      row.cells = {name, site};
      if (apart) row.cells.push_back(to_string(kind));
      const auto of_bound = [&](const FineHistogram& phase) {
        return bound ? ratio(phase, *bound) : "";
      };
      row.cells.insert(
          row.cells.end(),
          {bound ? ms_text(static_cast<double>(*bound)) : "", percentile(seen.commit_us, 0.5),
           of_bound(seen.commit_us), percentile(seen.execution_us, 0.5),
           of_bound(seen.execution_us), percentile(seen.execution_us, 0.99),
           percentile(seen.execution_us, 0.999), slow, grouped(seen.execution_us.count())});
    };
    for (std::size_t site = 0; site < topology.site_count(); ++site) {
      const SiteLatency& seen = run.measured.sites[site];
      for (const Kind kind : kinds) {
        add(topology.site(site), kind, latency_of(seen, kind), run.bound_of(kind).by_site_us[site],
            percent(seen.slow_share));
        table.rows.back().first_of_run = site == 0 && kind == kinds.front();
        if (!repeated) continue;
        for (const double share : {0.5, 0.99}) {
          table.rows.back().cells.push_back(
              range_text(spread_of(run.repeats, site, &Latency::execution_us, share, kind)));
        }
      }
    }
    const SiteLatency all = together(run.measured);
    for (const Kind kind : kinds) {
      add("all", kind, latency_of(all, kind), {}, "");
      table.rows.back().all_sites = true;
      table.rows.back().cells.resize(table.names.size());
    }
  }
  return table;
}

std::string left_out_text(const WanOptions& options, const WanResult& result) {
  std::string out;
  if (const std::uint64_t failed = count_of(result, &SiteLatency::failed); failed > 0) {
    out += grouped(failed) +
           " commands were refused or have no known outcome:" + where_failed(result) + ".\n";
  }
  if (const std::uint64_t unsent = count_of(result, &SiteLatency::unsent); unsent > 0) {
    out +=
        grouped(unsent) + " commands were not sent: " + grouped(options.run.open.in_flight_max) +
        " of their site were without an answer (--in-flight-max). The latencies leave them out.\n";
  }
  return out + late_text(options, result);
}

std::string to_text(const WanOptions& options, const WanResult& result) {
  const SiteTable sites = table_of(options, result);
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

}  // namespace epaxos::bench
