#include "bench/wan/site_merge.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "bench/throughput/protocols.h"
#include "bench/wan/simulation.h"
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

/// The first condition that differs, as a sentence. EPaxos alone can be thrifty.
Result<void> belong_together(const SiteFile& one, const SiteFile& other, bool by_protocol) {
  const Json conditions = to_json(one.result.conditions);
  const Json others = to_json(other.result.conditions);
  for (const auto& [name, value] : conditions.items()) {
    if (others.at(name) == value || (by_protocol && name == "protocol")) continue;
    if (name == "thrifty" && conditions.at("protocol") != others.at("protocol")) continue;
    const std::string more =
        name == "protocol" ? " With --by-protocol each protocol becomes a part of the table." : "";
    return refused(one.path + " and " + other.path + " do not belong together: " + name + " is " +
                   value.dump() + " in the first and " + others.at(name).dump() +
                   " in the second. Measure all sites alike." + more);
  }
  return {};
}

Result<void> check_conditions(const std::vector<SiteFile>& files, bool by_protocol) {
  for (const SiteFile& file : files) {
    const auto same = belong_together(files.front(), file, by_protocol);
    if (!same) return same;
    const std::string& protocol = file.result.conditions.protocol;
    if (const std::string wrong = no_measured_protocol(protocol); !wrong.empty()) {
      return refused(file.path + " cannot be merged: " + wrong);
    }
  }
  return {};
}

/// The files of one protocol, by site.
struct Part {
  std::string protocol;
  std::map<std::string, std::vector<const SiteFile*>> by_site;
};

std::vector<Part> parts_of(const std::vector<SiteFile>& files) {
  std::vector<Part> parts;
  for (const SiteFile& file : files) {
    const std::string& protocol = file.result.conditions.protocol;
    auto part = std::ranges::find(parts, protocol, &Part::protocol);
    if (part == parts.end()) part = parts.insert(part, Part{protocol, {}});
    part->by_site[file.result.site].push_back(&file);
  }
  return parts;
}

/// One leader all the time, as far as the files tell.
Result<void> check_leader(const std::vector<SiteFile>& files, const std::string& protocol) {
  const SiteFile* first = nullptr;
  for (const SiteFile& file : files) {
    if (file.result.conditions.protocol != protocol) continue;
    if (file.result.leader_changed) {
      return refused("The leader changed while " + file.path +
                     " was measured. Measure all sites again while one replica leads.");
    }
    if (first == nullptr) first = &file;
    const auto& leader = file.result.leader;
    const auto& of_first = first->result.leader;
    if (!leader == !of_first && (!leader || *leader == *of_first)) continue;
    const auto text = [](const std::optional<ReplicaId>& id) {
      return id ? "R" + std::to_string(id->value()) : std::string("nobody");
    };
    return refused(first->path + " and " + file.path + " do not belong together: " +
                   text(of_first) + " led when the first was measured and " + text(leader) +
                   " when the second was. Measure all sites again while one replica leads.");
  }
  return {};
}

/// Nothing counts twice.
Result<void> check_distinct(const std::vector<const SiteFile*>& files) {
  std::map<std::string, const SiteFile*> seen;
  for (const SiteFile* file : files) {
    const auto [first, is_new] = seen.emplace(to_json_text(file->result), file);
    if (is_new) continue;
    return refused(first->second->path + " and " + file->path +
                   " are the same result. Name each file once.");
  }
  return {};
}

Result<void> check_sites(const Part& part, const MergeOptions& options) {
  const auto& [least_site, least_files] =
      *std::ranges::min_element(part.by_site, {}, [](const auto& s) { return s.second.size(); });
  for (const auto& [site, files] : part.by_site) {
    if (const auto distinct = check_distinct(files); !distinct) return distinct;
    if (files.size() > 1 && !options.add_clients) {
      return refused(files[0]->path + " and " + files[1]->path + " are both of " + site +
                     ". Name one of them, or let the clients of a site add up with --add-clients.");
    }
    for (const SiteFile* file : files) {
      if (file->result.replica == files.front()->result.replica) continue;
      return refused(files.front()->path + " and " + file->path + " are both of " + site +
                     ", but asked different replicas. Give such clients "
                     "sites of their own.");
    }
    if (files.size() == least_files.size()) continue;
    const std::size_t each = files.front()->result.conditions.clients;
    return refused("There are " + std::to_string(each * files.size()) + " clients at " + site +
                   " and " + std::to_string(each * least_files.size()) + " at " + least_site +
                   ". The table has the same number at every site: run as many files of each.");
  }
  return {};
}

/// Every protocol at the same sites, by as many files.
Result<void> check_parts(const std::vector<Part>& parts) {
  const Part& first = parts.front();
  for (const Part& part : parts) {
    for (const auto& [one, other] : {std::pair(&first, &part), {&part, &first}}) {
      for (const auto& [site, files] : one->by_site) {
        const auto found = other->by_site.find(site);
        if (found != other->by_site.end() && found->second.size() == files.size()) continue;
        return refused(files.front()->path + " is of " + one->protocol + " at " + site + ", and " +
                       (found == other->by_site.end() ? "no file" : "another number of files") +
                       " of " + other->protocol +
                       " is. Give a file of every protocol for every site.");
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

Result<Places> places_for(const std::vector<SiteFile>& files, const std::string& name) {
  const auto replica_sites = replica_sites_of(files);
  if (!replica_sites) return fail(replica_sites.error());
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
  run.clients = c.clients * files_a_site;
  run.conflict_percent = c.conflict_percent;
  run.value_bytes = c.value_bytes;
  run.check_linearizability = c.increments;  // For the description: nothing is judged.
  run.warm_up_us = c.warm_up_us;
  run.measured_us = c.measured_us;
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
    all.commit_us.merge(result.commit_us);
    all.execution_us.merge(result.execution_us);
    all.failed += result.failed();
    if (!result.paths) continue;
    paths.fast += result.paths->fast;
    paths.slow += result.paths->slow;
  }
  all.slow_share = slow_share({}, paths);
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

void remark(const Part& part, const Topology& topology, std::vector<std::string>& out) {
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
    out.push_back("The sites of " + part.protocol + " were measured at the same time for " +
                  seconds_text(common) + " of " + seconds_text(shortest) +
                  " only, by their clocks: begin at one moment with --start-at.");
  }
  for (const std::string& site : topology.sites()) {
    if (part.by_site.contains(site)) continue;
    out.push_back("No clients of " + part.protocol + " at " + site + " were measured.");
  }
}

}  // namespace

Result<Merged> merge_sites(std::vector<SiteFile> files, const MergeOptions& options) {
  if (const auto alike = check_conditions(files, options.by_protocol); !alike) {
    return fail(alike.error());
  }
  const std::vector<Part> parts = parts_of(files);
  for (const Part& part : parts) {
    if (const auto led = check_leader(files, part.protocol); !led) return fail(led.error());
    if (const auto sites = check_sites(part, options); !sites) return fail(sites.error());
  }
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
  wan.durability = conditions.durability;
  wan.batch = conditions.batch;
  wan.run.thrifty = std::ranges::any_of(
      files, [](const SiteFile& file) { return file.result.conditions.thrifty; });
  const Placement placement = places->placement;
  const Topology& topology = placement.topology();
  Merged merged{
      std::move(wan), WanPlan{*std::move(places), {}, {}}, WanResult{placement, {}, 0, false}, {}};
  for (const Part& part : parts) {
    MeasuredRun run = run_of(part, topology);
    const Bounds bound = bound_of(placement, part.protocol, run.leader);
    merged.options.protocols.push_back(part.protocol);
    if (run.leader) merged.options.leaders.push_back(placement.name_of(*run.leader));
    merged.plan.runs.push_back({part.protocol, run.leader, bound, bound});
    merged.result.interrupted = merged.result.interrupted || run.interrupted;
    merged.result.runs.push_back({run, bound, bound, Reads::kLog, {run}});
    remark(part, topology, merged.remarks);
  }
  for (const SiteFile& file : files) merged.result.cpu_s += file.result.cpu_s;
  return merged;
}

}  // namespace epaxos::bench
