#include "bench/client/offered_load.h"

namespace epaxos::bench {

Json to_json(const OfferedLoad& load) {
  const CommandMix& mix = load.mix;
  return {{"clients", load.open.is_on() ? 0 : load.clients},
          {"think_us", load.think_us},
          {"rate", load.open.rate},
          {"arrival", load.open.poisson ? "poisson" : "fixed"},
          {"in_flight_max", load.open.in_flight_max},
          {"conflicts_percent", load.conflict_percent},
          {"ycsb", mix.ycsb.empty() ? Json() : Json(mix.ycsb)},
          {"reads_percent", mix.read_percent},
          {"read_modify_write", mix.modifies},
          {"zipf_theta", mix.zipf_theta ? Json(*mix.zipf_theta) : Json()},
          {"keys", mix.zipf_theta ? Json(mix.keys) : Json()},
          {"inserts", mix.inserts},
          {"latest", mix.latest},
          {"scan_max", mix.scan_max},
          {"value_bytes", load.value_bytes}};
}

}  // namespace epaxos::bench
