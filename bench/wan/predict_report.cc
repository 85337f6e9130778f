#include "bench/wan/predict_report.h"

#include <algorithm>

#include "bench/report/latency.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// Tables with more sites would not fit on a screen.
constexpr std::size_t kSiteColumnsMax = 10;

constexpr const char* kCriterion = "the smallest mean over the sites";

std::string ms_text(double us) {
  return fixed(us / 1000, 1);
}

/// When Raft wins: 0 stands for no slower without one slow path.
std::string percent(const Crossover& share) {
  if (share && *share == 0) return "always";
  return share ? fixed(*share * 100, 0) + " %" : "never";
}

std::string leader_name(const Situation& s, const Bounds& bounds) {
  return bounds.leader ? s.placement.name_of(*bounds.leader) : "";
}

std::string way_text(const Situation& s, const Bounds& bounds) {
  std::string text = bounds.way;
  if (!bounds.leader) return text;
  text.insert(text.find("leader") + 6, " " + leader_name(s, bounds));
  if (bounds.protocol != s.leaders.front().protocol || s.leaders.size() == 1) return text;
  const Bounds& best = best_of(s.leaders);
  const Bounds& worst = worst_of(s.leaders);
  if (bounds.leader == best.leader) return text + " (best)";
  const bool differ = best.mean_us() < worst.mean_us();
  return bounds.leader == worst.leader && differ ? text + " (worst)" : text;
}

std::string mean_text(const Bounds& bounds) {
  return bounds.possible() ? ms_text(bounds.mean_us()) : "-";
}

std::string bounds_table(const Situation& s) {
  const Topology& topology = s.placement.topology();
  const bool each = topology.site_count() <= kSiteColumnsMax;
  std::vector<std::string> names{"ms", ""};
  if (each) {
    for (const std::string& site : topology.sites()) names.push_back(">" + site);
  } else {
    names.insert(names.end(), {">least", ">most"});
  }
  names.emplace_back(">mean");
  TextTable table(names);
  const std::string* last = &s.fast.protocol;
  for (const Bounds* bounds : s.all()) {
    if (bounds->protocol != *last) table.add_gap();
    last = &bounds->protocol;
    std::vector<std::string> cells{bounds->protocol, way_text(s, *bounds)};
    if (each) {
      for (const Tick us : bounds->by_site_us) cells.push_back(bound_text(us));
    } else {
      cells.push_back(bound_text(*std::ranges::min_element(bounds->by_site_us)));
      cells.push_back(bound_text(*std::ranges::max_element(bounds->by_site_us)));
    }
    cells.push_back(mean_text(*bounds));
    table.add(std::move(cells));
  }
  return table.text();
}

std::string leaders_text(const Situation& s) {
  const Bounds& best = best_of(s.leaders);
  const Bounds& worst = worst_of(s.leaders);
  std::string out = "Best leader (" + std::string(kCriterion) + "): " + leader_name(s, best) +
                    ", " + mean_text(best) + " ms; worst: " + leader_name(s, worst) + ", " +
                    mean_text(worst) + " ms.\n";
  if (!s.fast.possible()) {
    return out + "No fast quorum is left: EPaxos waits for one in vain before each slow path.\n";
  }
  if (best.mean_us() == 0) return out + "With that leader no command takes any time.\n";
  out += "EPaxos on the fast path takes " + fixed(s.fast.mean_us() / best.mean_us(), 2) +
         " times what Raft with the best leader does.\n";
  if (!s.crossover) return out + "It stays ahead of it, on the mean, whatever conflicts.\n";
  out += *s.crossover == 0
             ? "Raft with the best leader is no slower, on the mean, without a single conflict"
             : "Raft with the best leader is faster, on the mean, when more than " +
                   percent(s.crossover) + " of the commands take the slow path";
  const Topology& topology = s.placement.topology();
  if (topology.site_count() > kSiteColumnsMax) return out + ".\n";
  out += ";\nby site:";
  for (std::size_t site = 0; site < topology.site_count(); ++site) {
    out += (site == 0 ? " " : ", ") + topology.site(site) + " " + percent(s.crossover_sites[site]);
  }
  return out + ".\n";
}

std::string down_text(const Prediction& prediction) {
  if (prediction.one_down.empty()) return {};
  const bool more = prediction.now.placement.down().size() > 0;
  TextTable table({more ? "also down" : "one site down", ">fast path ms", ">slow path ms",
                   "best leader", ">ms"});
  for (const Situation& s : prediction.one_down) {
    const ReplicaSet lost = s.placement.down().without(prediction.now.placement.down());
    const Bounds& best = best_of(s.leaders);
    table.add({names_of(s.placement, lost), mean_text(s.fast), mean_text(s.slow),
               leader_name(s, best), mean_text(best)});
  }
  return "\nMeans over all sites, whose clients go to the nearest replica that is left:\n\n" +
         table.text();
}

std::string places_text(const Topology& topology, const Candidate& candidate) {
  std::string text;
  for (const std::size_t site : candidate.replica_sites) {
    text += (text.empty() ? "" : ",") + topology.site(site);
  }
  return text;
}

std::string placements_text(const PredictOptions& options, const Prediction& prediction) {
  if (options.places.place == 0) return {};
  const Topology& topology = *prediction.topology;
  TextTable table({"best for", "replicas at", ">EPaxos ms", ">Raft ms", "with leader"});
  for (const auto& [name, candidates] :
       {std::pair{"EPaxos", &prediction.best.for_epaxos}, {"Raft", &prediction.best.for_leader}}) {
    if (table.rows() > 0) table.add_gap();
    for (const Candidate& each : *candidates) {
      table.add({name, places_text(topology, each), ms_text(each.epaxos_us),
                 ms_text(each.leader_us), topology.site(each.replica_sites[each.leader.value()])});
    }
  }
  return "The best places for " + std::to_string(options.places.place) + " replicas of " +
         std::to_string(topology.site_count()) +
         " sites, all of which have clients, by the mean on the fast path and\n"
         "with the best leader (Multi-Paxos as Raft):\n\n" +
         table.text() + "\nWith the first of them:\n\n";
}

/// "VA;CA", for a cell of CSV.
std::string in_cell(const Placement& placement, ReplicaSet replicas) {
  std::string text;
  for (const ReplicaId replica : members_of(replicas)) {
    text += (text.empty() ? "" : ";") + placement.name_of(replica);
  }
  return text;
}

std::string csv_rows(const Situation& s) {
  const Topology& topology = s.placement.topology();
  std::string out;
  for (const Bounds* bounds : s.all()) {
    for (std::size_t site = 0; site < topology.site_count(); ++site) {
      const Tick us = bounds->by_site_us[site];
      out += topology.name() + "," + in_cell(s.placement, s.placement.all()) + "," +
             in_cell(s.placement, s.placement.down()) + ",\"" + bounds->protocol + "\",\"" +
             bounds->way + "\"," + leader_name(s, *bounds) + "," + topology.site(site) + "," +
             (us == kNever ? "" : fixed(static_cast<double>(us) / 1000, 3)) + "\n";
    }
  }
  return out;
}

Json in_ms(double us) {
  return us / 1000;
}

Json json_of(const Crossover& share) {
  return share ? Json(*share) : Json();
}

Json json_of(const Placement& placement, ReplicaSet replicas) {
  Json names = Json::array();
  for (const ReplicaId replica : members_of(replicas)) names.push_back(placement.name_of(replica));
  return names;
}

Json json_of(const Situation& s) {
  const Topology& topology = s.placement.topology();
  Json rows = Json::array();
  for (const Bounds* bounds : s.all()) {
    Json sites;
    for (std::size_t site = 0; site < topology.site_count(); ++site) {
      const Tick us = bounds->by_site_us[site];
      sites[topology.site(site)] = us == kNever ? Json() : in_ms(static_cast<double>(us));
    }
    Json row{{"protocol", bounds->protocol}, {"way", bounds->way}};
    row["leader"] = bounds->leader ? Json(leader_name(s, *bounds)) : Json();
    row["mean_ms"] = bounds->possible() ? in_ms(bounds->mean_us()) : Json();
    row["sites_ms"] = std::move(sites);
    rows.push_back(std::move(row));
  }
  Json json{{"down", json_of(s.placement, s.placement.down())},
            {"best_leader", leader_name(s, best_of(s.leaders))},
            {"worst_leader", leader_name(s, worst_of(s.leaders))},
            {"slow_share_where_best_leader_wins", json_of(s.crossover)}};
  for (std::size_t site = 0; site < s.crossover_sites.size(); ++site) {
    json["slow_share_by_site"][topology.site(site)] = json_of(s.crossover_sites[site]);
  }
  json["bounds"] = std::move(rows);
  return json;
}

Json json_of(const Topology& topology, const std::vector<Candidate>& candidates) {
  Json all = Json::array();
  for (const Candidate& each : candidates) {
    Json replicas = Json::array();
    for (const std::size_t site : each.replica_sites) replicas.push_back(topology.site(site));
    all.push_back({{"replicas", std::move(replicas)},
                   {"epaxos_mean_ms", in_ms(each.epaxos_us)},
                   {"leader_mean_ms", in_ms(each.leader_us)},
                   {"leader", topology.site(each.replica_sites[each.leader.value()])}});
  }
  return all;
}

}  // namespace

std::string bound_text(Tick us) {
  return us == kNever ? "-" : ms_text(static_cast<double>(us));
}

std::string to_text(const PredictOptions& options, const Prediction& prediction) {
  const Situation& now = prediction.now;
  std::string out = prediction.topology->name();
  if (!prediction.topology->source().empty()) out += ": " + prediction.topology->source();
  out += "\n\nReplicas at " + names_of(now.placement, now.placement.all());
  if (now.placement.down().size() > 0) {
    out += ", down: " + names_of(now.placement, now.placement.down());
  }
  out +=
      ".\nLatency as the clients of each site see it when only messages take time; they ask the "
      "nearest replica.\n\n";
  out += placements_text(options, prediction);
  out += bounds_table(now) + "\n" + leaders_text(now);
  return out + down_text(prediction);
}

std::string to_csv(const Prediction& prediction) {
  std::string out = "topology,replicas,down,protocol,way,leader,site,bound_ms\n";
  out += csv_rows(prediction.now);
  for (const Situation& each : prediction.one_down) out += csv_rows(each);
  return out;
}

std::string to_json(const PredictOptions& options, const Prediction& prediction) {
  const Situation& now = prediction.now;
  Json json{{"benchmark", "predict"},
            {"topology", prediction.topology->name()},
            {"source", prediction.topology->source()},
            {"sites", prediction.topology->sites()},
            {"replicas", json_of(now.placement, now.placement.all())},
            {"leader_criterion", kCriterion}};
  if (options.phase2 > 0) json["q2"] = options.phase2;
  json["now"] = json_of(now);
  json["one_more_down"] = Json::array();
  for (const Situation& each : prediction.one_down) json["one_more_down"].push_back(json_of(each));
  if (options.places.place > 0) {
    json["best_for_epaxos"] = json_of(*prediction.topology, prediction.best.for_epaxos);
    json["best_for_leader"] = json_of(*prediction.topology, prediction.best.for_leader);
  }
  return json.dump(1) + "\n";
}

}  // namespace epaxos::bench
