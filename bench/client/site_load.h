#pragma once

// The load of one site of a wide-area experiment, on one replica: closed loops, or an open one. It
// warms up, is measured and ramps down; a command belongs to the time in which it was due, and the
// loops go on after the measured time until that has passed at the other sites too.

#include <functional>
#include <string_view>

#include "bench/client/load.h"
#include "bench/client/site_result.h"
#include "net/client.h"

namespace epaxos::bench {

struct SiteLoadOptions {
  OfferedLoad load;   ///< Closed loops begin one after the other, within the first second.
  KeyChoice keys;     ///< Its seed is that of all chance.
  ReplicaId replica;  ///< Asked, and no other.
  std::size_t replica_count = 1;  ///< Of the group; for the numbers of records that are inserted.
  Tick warm_up_us = 0;
  Tick measured_us = 0;
  Tick ramp_down_us = 0;
};

/// Called at least every 20 ms with what is being done and how long everything still takes; false:
/// stop.
using SiteWatch = std::function<bool(std::string_view phase, Tick left_us)>;

/// Runs it. Fills in what was counted, when it was measured, and whether it was interrupted; what
/// the replica tells at both ends of the measured time becomes the paths and the leader.
/// Precondition: the client allows two more requests in flight than the load has.
void run_site_load(net::Client& client, const SiteLoadOptions& options, const SiteWatch& watch,
                   SiteResult& out);

}  // namespace epaxos::bench
