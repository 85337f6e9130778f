#include "bench/wan/site_merge.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "bench/throughput/protocols.h"
#include "bench/wan/paths.h"
#include "bench/wan/repeats.h"
#include "bench/wan/simulation.h"
#include "epaxos/node/config.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// Less of the measured time in common is worth a remark.
constexpr double kTogetherShare = 0.9;

Failure refused(const std::string& sentence) {
  return fail(ErrorCode::kInvalidArgument, sentence);
}

std::string seconds_text(Tick us) {
  return fixed(static_cast<double>(us) / 1e6, 1) + " s";
}

/// What a protocol may have of its own.
bool is_of_protocol(const std::string& condition) {
  return condition == "protocol" || condition == "thrifty" || condition == "reads_by";
}

/// The first condition that differs, as a sentence.
Result<void> belong_together(const SiteFile& one, const SiteFile& other, bool by_protocol) {
  const Json conditions = to_json(one.result.conditions);
  const Json others = to_json(other.result.conditions);
  const bool apart = by_protocol && conditions.at("protocol") != others.at("protocol");
  for (const auto& [name, value] : conditions.items()) {
    if (others.at(name) == value || (apart && is_of_protocol(name))) continue;
    const std::string more =
        name == "protocol" ? " With --by-protocol each protocol becomes a part of the table." : "";
    return refused(one.path + " and " + other.path + " do not belong together: " + name + " is " +
                   value.dump() + " in the first and " + others.at(name).dump() +
                   " in the second. Measure all sites and all runs alike." + more);
  }
  return {};
}

/// Whether the protocol is known, and led and read as it can be.
Result<void> check_protocol(const SiteFile& file) {
  const SiteConditions& c = file.result.conditions;
  if (const std::string wrong = no_measured_protocol(c.protocol); !wrong.empty()) {
    return refused(file.path + " cannot be merged: " + wrong);
  }
  const Protocol protocol = protocol_named(c.protocol);
  if (reads_of(protocol, c.reads) != c.reads) {
    return refused(file.path + " cannot be merged: " + c.protocol + " does not serve reads by " +
                   std::string(to_string(c.reads)) + ".");
  }
  if (has_leader(protocol) == file.result.leader.has_value()) return {};
  return refused(file.path + " cannot be merged: it " +
                 (has_leader(protocol) ? "does not tell the leader of " : "has a leader of ") +
                 c.protocol + (has_leader(protocol) ? "." : ", which has none."));
}

Result<void> check_conditions(const std::vector<SiteFile>& files, bool by_protocol) {
  std::map<std::string, const SiteFile*> first_of;
  for (const SiteFile& file : files) {
    const std::string& protocol = file.result.conditions.protocol;
    const SiteFile* const first = first_of.emplace(protocol, &file).first->second;
    for (const SiteFile* const other : {&files.front(), first}) {
      if (const auto same = belong_together(*other, file, by_protocol); !same) return same;
    }
    if (const auto checked = check_protocol(file); !checked) return checked;
  }
  return {};
}

/// The files of one run of one protocol, by site.
struct Part {
  std::string protocol;
  unsigned run = 1;
  std::map<std::string, std::vector<const SiteFile*>> by_site = {};
};

/// By protocols as they come, and by runs in their order.
std::vector<Part> parts_of(const std::vector<SiteFile>& files) {
  std::vector<std::string> protocols;
  std::vector<Part> parts;
  for (const SiteFile& file : files) {
    const std::string& protocol = file.result.conditions.protocol;
    if (std::ranges::find(protocols, protocol) == protocols.end()) protocols.push_back(protocol);
    auto part = std::ranges::find_if(parts, [&](const Part& each) {
      return each.protocol == protocol && each.run == file.result.run;
    });
    if (part == parts.end()) part = parts.insert(part, Part{protocol, file.result.run});
    part->by_site[file.result.site].push_back(&file);
  }
  std::ranges::sort(parts, {}, [&](const Part& part) {
    return std::pair(std::ranges::find(protocols, part.protocol) - protocols.begin(), part.run);
  });
  return parts;
}

/// "epaxos", or "epaxos in run 2" where there are several runs.
std::string name_of(const Part& part, const std::vector<Part>& all) {
  const auto other_run = [&](const Part& other) { return other.run != part.run; };
  const bool several = std::ranges::any_of(all, other_run);
  return part.protocol + (several ? " in run " + std::to_string(part.run) : "");
}

/// One leader all the time and in all runs, as far as the files tell.
Result<void> check_leader(const std::vector<SiteFile>& files, const std::string& protocol) {
  const SiteFile* first = nullptr;
  for (const SiteFile& file : files) {
    if (file.result.conditions.protocol != protocol) continue;
    if (file.result.leader_changed) {
      return refused("The leader changed while " + file.path +
                     " was measured. Measure all sites again while one replica leads.");
    }
    if (first == nullptr) first = &file;
    if (file.result.leader == first->result.leader) continue;
    const auto text = [](const SiteFile& of) {
      return "R" + std::to_string(of.result.leader->value());
    };
    return refused(first->path + " and " + file.path + " do not belong together: " + text(*first) +
                   " led when the first was measured and " + text(file) +
                   " when the second was. Measure all sites again while one replica leads.");
  }
  return {};
}

/// Nothing counts twice, under another number neither.
Result<void> check_distinct(const std::vector<SiteFile>& files) {
  std::map<std::string, const SiteFile*> seen;
  for (const SiteFile& file : files) {
    SiteResult result = file.result;
    result.run = 1;
    const auto [first, is_new] = seen.emplace(to_json_text(result), &file);
    if (is_new) continue;
    return refused(first->second->path + " and " + file.path +
                   " are the same result. Name each file once.");
  }
  return {};
}

Result<void> check_sites(const Part& part, const MergeOptions& options) {
  const auto& [least_site, least_files] =
      *std::ranges::min_element(part.by_site, {}, [](const auto& s) { return s.second.size(); });
  for (const auto& [site, files] : part.by_site) {
    if (files.size() > 1 && !options.add_clients) {
      return refused(files[0]->path + " and " + files[1]->path + " are both of " + site +
                     " in run " + std::to_string(part.run) +
                     ". Name one of them, or let the clients of a site add up with --add-clients. "
                     "Repeats of an experiment have numbers of their own: client --run.");
    }
    for (const SiteFile* file : files) {
      if (file->result.replica == files.front()->result.replica) continue;
      return refused(files.front()->path + " and " + file->path + " are both of " + site +
                     ", but asked different replicas. Give such clients "
                     "sites of their own.");
    }
    if (files.size() == least_files.size()) continue;
    return refused("There are " + std::to_string(files.size()) + " files of " + site + " and " +
                   std::to_string(least_files.size()) + " of " + least_site + " in run " +
                   std::to_string(part.run) +
                   ". The table has the same load at every site: run as many clients at each.");
  }
  return {};
}

/// As many runs of every protocol.
Result<void> check_runs(const std::vector<Part>& parts) {
  const auto runs_of = [&parts](const std::string& protocol) {
    return std::ranges::count(parts, protocol, &Part::protocol);
  };
  const std::string& first = parts.front().protocol;
  for (const Part& part : parts) {
    if (runs_of(part.protocol) == runs_of(first)) continue;
    return refused("There are files of " + std::to_string(runs_of(first)) + " runs of " + first +
                   " and of " + std::to_string(runs_of(part.protocol)) + " of " + part.protocol +
                   ". The table has the same number of each.");
  }
  return {};
}

/// Every run of every protocol at the same sites, by as many files.
Result<void> check_parts(const std::vector<Part>& parts) {
  const Part& first = parts.front();
  for (const Part& part : parts) {
    for (const auto& [one, other] : {std::pair(&first, &part), {&part, &first}}) {
      for (const auto& [site, files] : one->by_site) {
        const auto found = other->by_site.find(site);
        if (found != other->by_site.end() && found->second.size() == files.size()) continue;
        return refused(files.front()->path + " is of " + name_of(*one, parts) + " at " + site +
                       ", and " +
                       (found == other->by_site.end() ? "no file" : "another number of files") +
                       " of " + name_of(*other, parts) +
                       " is. Give a file of every run of every protocol for every site.");
      }
    }
  }
  return {};
}

/// The sites that matter: those of the replicas, then those that have clients alone.
Result<Topology> topology_for(const std::vector<SiteFile>& files, const std::string& name,
                              const std::vector<std::string>& replica_sites) {
  if (name.empty()) return measured_topology(files, replica_sites);
  const Result<Topology> whole = Topology::load(name);
  if (!whole) return fail(whole.error());
  std::vector<std::string> sites = replica_sites;
  for (std::size_t replica = 0; replica < replica_sites.size(); ++replica) {
    const Result<std::size_t> found = whole->find(replica_sites[replica]);
    if (found) continue;
    return refused(found.error().message + " R" + std::to_string(replica) +
                   " is there: name its site in the cluster file as the topology does.");
  }
  for (const SiteFile& file : files) {
    const std::string& site = file.result.site;
    if (const auto found = whole->find(site); !found) {
      return refused(file.path + " does not fit the topology. " + found.error().message);
    }
    if (std::ranges::find(sites, site) == sites.end()) sites.push_back(site);
  }
  return only(*whole, sites);
}

/// A topology has no more of them.
Result<void> check_site_count(const std::vector<SiteFile>& files,
                              const std::vector<std::string>& replica_sites) {
  std::set<std::string> sites(replica_sites.begin(), replica_sites.end());
  for (const SiteFile& file : files) sites.insert(file.result.site);
  if (sites.size() <= kSitesMax) return {};
  return refused("There are " + std::to_string(sites.size()) + " sites, and a table has at most " +
                 std::to_string(kSitesMax) + ".");
}

Result<Places> places_for(const std::vector<SiteFile>& files, const std::string& name) {
  const auto replica_sites = replica_sites_of(files);
  if (!replica_sites) return fail(replica_sites.error());
  const auto few = check_site_count(files, *replica_sites);
  if (!few) return fail(few.error());
  Result<Topology> found = topology_for(files, name, *replica_sites);
  if (!found) return fail(found.error());
  auto topology = std::make_unique<const Topology>(*std::move(found));
  Result<Placement> placement = Placement::at(*topology, *replica_sites);
  if (!placement) return fail(placement.error());
  for (const SiteFile& file : files) {
    const ReplicaId nearest = placement->nearest(*topology->find(file.result.site));
    if (nearest == file.result.replica) continue;
    const auto text = [](ReplicaId id) { return "R" + std::to_string(id.value()); };
    return refused(file.path + " asked " + text(file.result.replica) + ", but " + text(nearest) +
                   " is nearer to " + file.result.site + " on " + topology->name() +
                   ", and bounds are those of the nearest. Measure with --replica " +
                   std::to_string(nearest.value()) + ", or name another --topology.");
  }
  return Places{std::move(topology), *std::move(placement), {}};
}

RunOptions run_options_of(const SiteConditions& c, std::size_t files_a_site) {
  RunOptions run;
  static_cast<OfferedLoad&>(run) = c.load;
  run.clients *= files_a_site;
  run.open.rate *= static_cast<double>(files_a_site);
  run.open.in_flight_max *= files_a_site;
  run.check_linearizability = c.increments;  // For the description: nothing is judged.
  run.warm_up_us = c.warm_up_us;
  run.measured_us = c.measured_us;
  run.durability = *durability_from(c.durability);  // It was checked when the file was read.
  run.links.jitter_us = c.emulated_jitter_us;
  run.links.loss = c.emulated_loss;
  run.links.bytes_per_second = c.emulated_bytes_per_second;
  return run;
}

SiteLatency latency_of(const std::vector<const SiteFile*>& files) {
  SiteLatency all;
  Paths paths;
  for (const SiteFile* file : files) {
    const SiteResult& result = file->result;
    all.reads.merge(result.reads);
    all.writes.merge(result.writes);
    all.late_us.merge(result.late_us);
    all.failed += result.failed();
    all.unsent += result.unsent;
    if (!result.paths) continue;
    paths.fast += result.paths->fast;
    paths.slow += result.paths->slow;
  }
  Latency& both = all;
  for (const Latency* const kind : {&all.reads, &all.writes}) both.merge(*kind);
  all.slow_share = slow_share(Paths(), paths);
  return all;
}

Second second_of(const SiteSecond& seen) {
  return {.executed = seen.execution_us.count(),
          .failed = seen.failed,
          .p50_us = seen.execution_us.percentile(0.5),
          .p99_us = seen.execution_us.percentile(0.99)};
}

std::vector<Second> seconds_of(const std::vector<SiteSecond>& seen) {
  std::vector<Second> seconds;
  for (const SiteSecond& one : seen) seconds.push_back(second_of(one));
  return seconds;
}

void add_seconds(const std::vector<SiteSecond>& seconds, std::vector<SiteSecond>& out) {
  out.resize(std::max(out.size(), seconds.size()));
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    out[i].execution_us.merge(seconds[i].execution_us);
    out[i].failed += seconds[i].failed;
  }
}

/// Each site's seconds count from the beginning of its own measured time.
Timeline timeline_of(const Part& part, const Topology& topology) {
  Timeline timeline;
  std::vector<SiteSecond> all;
  for (const std::string& site : topology.sites()) {
    std::vector<SiteSecond> here;
    if (const auto files = part.by_site.find(site); files != part.by_site.end()) {
      for (const SiteFile* file : files->second) add_seconds(file->result.seconds, here);
    }
    add_seconds(here, all);
    timeline.by_site.push_back(seconds_of(here));
  }
  timeline.all = seconds_of(all);
  for (std::vector<Second>& seconds : timeline.by_site) seconds.resize(timeline.all.size());
  return timeline;
}

MeasuredRun run_of(const Part& part, const Topology& topology) {
  const SiteFile& first = *part.by_site.begin()->second.front();
  MeasuredRun run;
  run.protocol = part.protocol;
  run.leader = first.result.leader;
  for (const std::string& site : topology.sites()) {
    const auto files = part.by_site.find(site);
    run.sites.push_back(files == part.by_site.end() ? SiteLatency() : latency_of(files->second));
  }
  run.timeline = timeline_of(part, topology);
  for (const auto& [site, files] : part.by_site) {
    for (const SiteFile* file : files)
      run.interrupted = run.interrupted || file->result.interrupted;
  }
  return run;
}

void remark(const Part& part, const std::string& name, const Topology& topology,
            std::vector<std::string>& out) {
  Tick from = 0;
  Tick to = kNever;
  Tick shortest = kNever;
  for (const auto& [site, files] : part.by_site) {
    for (const SiteFile* file : files) {
      const SiteResult& result = file->result;
      from = std::max(from, result.measured_from_unix_us);
      to = std::min(to, result.measured_from_unix_us + result.measured_for_us);
      shortest = std::min(shortest, result.measured_for_us);
      if (!result.interrupted) continue;
      out.push_back(file->path + " was interrupted: it has " +
                    seconds_text(result.measured_for_us) + " of " +
                    seconds_text(result.conditions.measured_us) + ".");
    }
  }
  const Tick common = to > from ? to - from : 0;
  if (static_cast<double>(common) < kTogetherShare * static_cast<double>(shortest)) {
    out.push_back("The sites of " + name + " were measured at the same time for " +
                  seconds_text(common) + " of " + seconds_text(shortest) +
                  " only, by their clocks: begin at one moment with --start-at.");
  }
  for (const std::string& site : topology.sites()) {
    if (part.by_site.contains(site)) continue;
    out.push_back("No clients of " + name + " at " + site + " were measured.");
  }
}

}  // namespace

Result<Merged> merge_sites(std::vector<SiteFile> files, const MergeOptions& options) {
  if (const auto alike = check_conditions(files, options.by_protocol); !alike) {
    return fail(alike.error());
  }
  if (const auto distinct = check_distinct(files); !distinct) return fail(distinct.error());
  const std::vector<Part> parts = parts_of(files);
  for (const Part& part : parts) {
    if (const auto led = check_leader(files, part.protocol); !led) return fail(led.error());
    if (const auto sites = check_sites(part, options); !sites) return fail(sites.error());
  }
  if (const auto runs = check_runs(parts); !runs) return fail(runs.error());
  if (const auto same = check_parts(parts); !same) return fail(same.error());
  Result<Places> places = places_for(files, options.topology);
  if (!places) return fail(places.error());

  const SiteConditions& conditions = files.front().result.conditions;
  const std::size_t files_a_site = parts.front().by_site.begin()->second.size();
  WanOptions wan;
  wan.mode = WanMode::kMachines;
  wan.protocols.clear();
  wan.leaders.clear();
  wan.run = run_options_of(conditions, files_a_site);
  wan.batch = conditions.batch;
  wan.run.thrifty = std::ranges::any_of(
      files, [](const SiteFile& file) { return file.result.conditions.thrifty; });
  const Placement placement = places->placement;
  const Topology& topology = placement.topology();
  Merged merged{
      std::move(wan), WanPlan{*std::move(places), {}, {}}, WanResult{placement, {}, 0, false}, {}};
  for (const Part& part : parts) {
    remark(part, name_of(part, parts), topology, merged.remarks);
    MeasuredRun run = run_of(part, topology);
    merged.result.interrupted = merged.result.interrupted || run.interrupted;
    std::vector<WanRun>& runs = merged.result.runs;
    if (runs.empty() || runs.back().measured.protocol != part.protocol) {
      const Reads reads_by = part.by_site.begin()->second.front()->result.conditions.reads;
      const WanPlan::Run planned =
          planned_run(placement, part.protocol, run.leader, merged.options.run.mix, reads_by);
      merged.options.protocols.push_back(part.protocol);
      if (run.leader) merged.options.leaders.push_back(placement.name_of(*run.leader));
      merged.plan.runs.push_back(planned);
      runs.push_back({run, planned.bound, planned.read_bound, reads_by, {}});
    }
    runs.back().repeats.push_back(std::move(run));
  }
  for (WanRun& run : merged.result.runs) run.measured = bench::merged(run.repeats);
  merged.options.repeat = merged.result.runs.front().repeats.size();
  for (const SiteFile& file : files) merged.result.cpu_s += file.result.cpu_s;
  return merged;
}

}  // namespace epaxos::bench
