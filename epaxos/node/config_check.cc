// What a configuration must fulfil, wherever it comes from.

#include <algorithm>

#include "epaxos/node/config_keys.h"
#include "net/address.h"

namespace epaxos::config {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kSiteMax = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::optional<Problem> name_problem(const ClusterConfig& config) {
  const std::string& name = config.name;
  if (name.empty()) return Problem{"name", "is missing. Give the cluster a name."};
  if (name.size() <= kNameMax && std::ranges::all_of(name, is_name_character)) return std::nullopt;
  return Problem{"name", "must be 1 to 64 letters, digits, \"-\", \"_\" or \".\"."};
}

std::optional<Problem> count_problem(const ClusterConfig& config) {
  const std::size_t count = config.replicas.size();
  if (count >= 1 && count <= static_cast<std::size_t>(kReplicasMax)) return std::nullopt;
  return Problem{"replicas", "lists " + std::to_string(count) +
                                 " replicas. A cluster has 1 to 9: write one [[replicas]] table "
                                 "for each."};
}

std::optional<Problem> member_problem(const ClusterConfig& config) {
  if (config.spares() != ReplicaSet::all(config.replica_count())) return std::nullopt;
  return Problem{"replicas",
                 "has no member: each one says member = false. Leave that out for those that are "
                 "to begin."};
}

/// Addresses in the order of the file, each with its key.
std::vector<std::pair<std::string, const std::string*>> addresses_of(const ClusterConfig& config) {
  std::vector<std::pair<std::string, const std::string*>> addresses;
  for (std::size_t i = 0; i < config.replicas.size(); ++i) {
    addresses.emplace_back(replica_key(i, "peer"), &config.replicas[i].peer);
    if (config.replicas[i].client.empty()) continue;
    addresses.emplace_back(replica_key(i, "client"), &config.replicas[i].client);
  }
  return addresses;
}

std::optional<Problem> address_problem(const ClusterConfig& config) {
  const auto addresses = addresses_of(config);
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const auto& [key, address] = addresses[i];
    if (const auto valid = net::check_connect_address(*address); !valid) {
      return Problem{key, valid.error().message};
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (*addresses[j].second != *address) continue;
      return Problem{key, "\"" + *address + "\" is the address of " + addresses[j].first +
                              " too. Give each its own port."};
    }
  }
  return std::nullopt;
}

std::optional<Problem> site_problem(const ClusterConfig& config) {
  for (std::size_t i = 0; i < config.replicas.size(); ++i) {
    const std::string& site = config.replicas[i].site;
    const bool printable =
        std::ranges::none_of(site, [](char c) { return c >= 0 && (c < ' ' || c == 0x7f); });
    if (site.size() <= kSiteMax && printable) continue;
    return Problem{replica_key(i, "site"), "must be at most 64 printable characters."};
  }
  return std::nullopt;
}

std::optional<Problem> range_problem(const ClusterConfig& config) {
  ClusterConfig copy = config;
  for (const NumberKey& key : number_keys()) {
    const std::uint64_t value = key.field(copy);
    if (value >= key.min && value <= key.max) continue;
    return Problem{path_of(key.table, key.name),
                   std::to_string(value) + " is out of range: " + std::to_string(key.min) + " to " +
                       std::to_string(key.max) + "."};
  }
  if (config.core.retransmit_max_us < config.core.retransmit_us) {
    return Problem{"timers.retransmit_max_us", "must not be below retransmit_us."};
  }
  if (config.core.heartbeat_us > config.core.election_us / 2) {
    return Problem{"timers.heartbeat_us",
                   "must not be above half of election_us, or replicas stand for election although "
                   "the leader is there."};
  }
  return std::nullopt;
}

std::optional<Problem> emulation_problem(const ClusterConfig& config) {
  if (!config.emulation) return std::nullopt;
  const std::size_t n = config.replicas.size();
  const auto& rows = config.emulation->one_way_us;
  const bool is_square = rows.size() == n && std::ranges::all_of(rows, [n](const auto& row) {
                           return row.size() == n;
                         });
  for (std::size_t from = 0; is_square && from < n; ++from) {
    if (rows[from][from] == 0) continue;
    return Problem{path_of("emulation", kOneWay),
                   "has a delay from replica " + std::to_string(from) +
                       " to itself, where no message travels. Write 0 there."};
  }
  if (is_square) return std::nullopt;
  return Problem{path_of("emulation", kOneWay), "must have " + std::to_string(n) + " rows of " +
                                                    std::to_string(n) + " delays, as there are " +
                                                    std::to_string(n) + " replicas."};
}

}  // namespace

std::optional<Problem> first_problem(const ClusterConfig& config) {
  for (const auto check_one : {name_problem, count_problem, member_problem, address_problem,
                               site_problem, range_problem, emulation_problem}) {
    if (auto problem = check_one(config)) return problem;
  }
  return std::nullopt;
}

}  // namespace epaxos::config
