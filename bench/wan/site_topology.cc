#include "bench/wan/site_topology.h"

#include <algorithm>
#include <optional>

#include "bench/client/start_time.h"
#include "bench/report/site_name.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// Delays from each site to each, as far as they are known.
class Delays {
 public:
  explicit Delays(std::size_t sites) : sites_(sites), one_way_us_(sites * sites, kNever) {}

  [[nodiscard]] Tick get(std::size_t from, std::size_t to) const {
    return one_way_us_[from * sites_ + to];
  }
  void set(std::size_t from, std::size_t to, Tick us) { one_way_us_[from * sites_ + to] = us; }
  void add_round_trip(std::size_t one, std::size_t other, Tick us) {
    const Tick known = get(one, other) == kNever ? kNever : get(one, other) + get(other, one);
    if (us >= known) return;
    set(one, other, us / 2);
    set(other, one, one == other ? us / 2 : us - us / 2);
  }

  /// What is not known takes the shortest way over others.
  void complete() {
    for (std::size_t site = 0; site < sites_; ++site) {
      if (get(site, site) == kNever) set(site, site, 0);
    }
    const Delays known = *this;
    std::vector<Tick> shortest = one_way_us_;
    for (std::size_t over = 0; over < sites_; ++over) {
      for (std::size_t from = 0; from < sites_; ++from) {
        for (std::size_t to = 0; to < sites_; ++to) {
          const Tick first = shortest[from * sites_ + over];
          const Tick second = shortest[over * sites_ + to];
          if (first == kNever || second == kNever) continue;
          Tick& best = shortest[from * sites_ + to];
          best = std::min(best, first + second);
        }
      }
    }
    for (std::size_t i = 0; i < one_way_us_.size(); ++i) {
      if (known.one_way_us_[i] == kNever) one_way_us_[i] = shortest[i];
    }
  }

  [[nodiscard]] const std::vector<Tick>& all() const { return one_way_us_; }

 private:
  const std::size_t sites_;
  std::vector<Tick> one_way_us_;
};

std::size_t place_of(const std::vector<std::string>& sites, const std::string& site) {
  return static_cast<std::size_t>(std::ranges::find(sites, site) - sites.begin());
}

/// Of the clients that ask it, the nearest; empty: nobody does.
std::string asked_from(const std::vector<SiteFile>& files, std::size_t replica,
                       const std::vector<std::string>& taken) {
  std::string site;
  Tick nearest = kNever;
  for (const SiteFile& file : files) {
    const SiteResult& result = file.result;
    if (result.replica.value() != replica) continue;
    if (std::ranges::find(taken, result.site) != taken.end()) continue;
    const Tick us = result.round_trip_us[replica].value_or(kNever);
    if (!site.empty() && us >= nearest) continue;
    site = result.site;
    nearest = us;
  }
  return site;
}

void add_emulated(const std::vector<SiteFile>& files, const std::vector<std::string>& sites,
                  Delays& delays) {
  const auto& one_way_us = files.front().result.conditions.emulated_one_way_us;
  for (std::size_t from = 0; from < one_way_us.size(); ++from) {
    for (std::size_t to = 0; to < one_way_us.size(); ++to) {
      delays.set(from, to, from == to ? 0 : one_way_us[from][to]);
    }
  }
  // Clients are not slowed down: where there is no replica, they are beside the one that they ask.
  for (const SiteFile& file : files) {
    const std::size_t site = place_of(sites, file.result.site);
    if (site < one_way_us.size()) continue;
    delays.add_round_trip(site, file.result.replica.value(), 0);
  }
}

void add_measured(const std::vector<SiteFile>& files, const std::vector<std::string>& sites,
                  Delays& delays) {
  for (const SiteFile& file : files) {
    const std::size_t site = place_of(sites, file.result.site);
    for (std::size_t replica = 0; replica < file.result.round_trip_us.size(); ++replica) {
      const std::optional<Tick>& us = file.result.round_trip_us[replica];
      if (us) delays.add_round_trip(site, replica, *us);
    }
  }
}

std::string source_of(const std::vector<SiteFile>& files) {
  const SiteResult& first = files.front().result;
  const std::string cluster =
      "cluster " + first.conditions.cluster + ", " + utc_text(first.measured_from_unix_us);
  return first.conditions.emulated_one_way_us.empty()
             ? "round trips that the clients measured before the load, " + cluster
             : "delays of the emulated network, " + cluster;
}

}  // namespace

Result<std::vector<std::string>> replica_sites_of(const std::vector<SiteFile>& files) {
  std::vector<std::string> sites = files.front().result.conditions.replica_sites;
  for (std::string& site : sites) {
    if (!is_site_name(site)) site.clear();
  }
  for (std::size_t replica = 0; replica < sites.size(); ++replica) {
    if (sites[replica].empty()) sites[replica] = asked_from(files, replica, sites);
    if (sites[replica].empty()) sites[replica] = "R" + std::to_string(replica);
  }
  for (std::size_t replica = 0; replica < sites.size(); ++replica) {
    const std::size_t first = place_of(sites, sites[replica]);
    if (first == replica) continue;
    return fail(ErrorCode::kInvalidArgument,
                "R" + std::to_string(first) + " and R" + std::to_string(replica) + " are both at " +
                    sites[replica] +
                    ". The table has one replica a site: give them different sites in the cluster "
                    "file, and measure again.");
  }
  return sites;
}

Result<Topology> measured_topology(const std::vector<SiteFile>& files,
                                   const std::vector<std::string>& replica_sites) {
  std::vector<std::string> sites = replica_sites;
  for (const SiteFile& file : files) {
    const std::string& site = file.result.site;
    if (std::ranges::find(sites, site) == sites.end()) sites.push_back(site);
  }
  Delays delays(sites.size());
  const bool emulated = !files.front().result.conditions.emulated_one_way_us.empty();
  (emulated ? add_emulated : add_measured)(files, sites, delays);
  for (std::size_t one = 0; one < replica_sites.size(); ++one) {
    for (std::size_t other = one + 1; other < replica_sites.size(); ++other) {
      if (delays.get(one, other) != kNever) continue;
      return fail(ErrorCode::kInvalidArgument,
                  "Nobody measured the round trip between " + sites[one] + " and " + sites[other] +
                      ". Run a client at one of them, or name a --topology.");
    }
  }
  delays.complete();
  return Topology(emulated ? "emulated" : "measured", source_of(files), sites, delays.all());
}

std::string to_toml(const Topology& topology) {
  std::string out =
      "name = \"" + topology.name() + "\"\nsource = \"" + topology.source() + "\"\nsites = [";
  for (std::size_t site = 0; site < topology.site_count(); ++site) {
    out += (site == 0 ? "\"" : ", \"") + topology.site(site) + "\"";
  }
  out += "]\none_way_ms = [\n";
  for (std::size_t from = 0; from < topology.site_count(); ++from) {
    out += "  [";
    for (std::size_t to = 0; to < topology.site_count(); ++to) {
      out += (to == 0 ? "" : ", ") +
             fixed(static_cast<double>(topology.one_way_us(from, to)) / 1000, 3);
    }
    out += "],\n";
  }
  return out + "]\n";
}

}  // namespace epaxos::bench
