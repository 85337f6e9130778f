#include "bench/wan/client_keys.h"

#include "bench/wan/topology.h"

namespace epaxos::bench {
namespace {

/// So many keys of its own a site has for each client: none is written twice at the same time. In
/// an open loop nor is it, with a key for each command that may be under way.
constexpr std::size_t kKeysOfAClient = 4;

/// Which keys the clients of a site have, and how large their values are.
KeyChoice keys_of(std::size_t site, const RunOptions& options) {
  KeyChoice keys;
  keys.prefix = "site" + std::to_string(site) + "-";
  keys.hot_percent = options.conflict_percent;
  keys.value_bytes = options.value_bytes;
  keys.increments = options.check_linearizability;
  keys.own_keys =
      options.open.is_on() ? options.open.in_flight_max : kKeysOfAClient * options.clients;
  keys.seed = sim::stream(options.seed, sim::Purpose::kWorkload, site).next();
  return keys;
}

}  // namespace

SiteCommands::SiteCommands(std::size_t sites, const RunOptions& options, InsertedRecords& inserted)
    : inserted_(inserted) {
  if (options.mix.zipf_theta) zipf_.emplace(options.mix.keys, *options.mix.zipf_theta);
  for (std::size_t site = 0; site < sites; ++site) {
    by_site_.push_back(std::make_unique<MixedCommands>(keys_of(site, options), options.mix,
                                                       zipf_ ? &*zipf_ : nullptr, &inserted_));
  }
}

sim::Random beginnings_of(std::size_t site, const RunOptions& options) {
  sim::Random begins = sim::stream(options.seed, sim::Purpose::kWorkload, kSitesMax);
  for (std::size_t before = 0; before < site * options.clients; ++before) begins.next();
  return begins;
}

Arrivals arrivals_of(std::size_t site, const RunOptions& options, Tick begin_us) {
  const std::uint64_t stream = kSitesMax + 1 + site;
  return {options.open, sim::stream(options.seed, sim::Purpose::kWorkload, stream), begin_us};
}

kv::Payload first_command() {
  return kv::put("first", "command");
}

std::string ask_for_less(const RunOptions& options) {
  return options.open.is_on() ? "Ask for a lower --rate."
                              : "Ask for fewer --clients or more --think.";
}

}  // namespace epaxos::bench
