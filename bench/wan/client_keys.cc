#include "bench/wan/client_keys.h"

#include "bench/wan/topology.h"

namespace epaxos::bench {
namespace {

/// So many keys of its own a site has for each client: none is written twice at the same time. In
/// an open loop nor is it, with a key for each command that may be under way.
constexpr std::size_t kKeysOfAClient = 4;

}  // namespace

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

sim::Random beginnings_of(std::size_t site, const RunOptions& options) {
  sim::Random begins = sim::stream(options.seed, sim::Purpose::kWorkload, kSitesMax);
  for (std::size_t before = 0; before < site * options.clients; ++before) begins.next();
  return begins;
}

}  // namespace epaxos::bench
