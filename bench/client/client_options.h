#pragma once

// What the command line of `epaxos-bench client` says, and the connections to a group that runs.

#include <string>

#include "bench/client/load.h"
#include "bench/client/load_options.h"
#include "bench/client/offered_load.h"
#include "epaxos/node/config.h"
#include "net/client.h"

namespace epaxos::bench {

/// With a site: the load is the part of one machine in an experiment; see site_command.h.
struct SiteOptions {
  std::string site;
  std::string out;
  std::string start_at;
  double ramp_down_s = 2;
  unsigned run = 1;  ///< Which of the repeats this is.

  [[nodiscard]] bool is_on() const { return !site.empty(); }
};

struct ClientCommand {
  std::string config_path;
  int replica = -1;  ///< Below 0: the nearest.
  LoadOptions load;
  /// Of a site: what is asked for and when. Closed loops are as many as LoadOptions::in_flight.
  OfferedLoad offered = {.value_bytes = KeyChoice().value_bytes};
  MixOptions mix;
  double timeout_s = 5;
  bool sessions = false;
  bool json = false;
  SiteOptions site;
};

/// The cluster file. Errors: invalid argument - it is wrong, has no replica of the number that is
/// wished for, or one without a client address.
Result<ClusterConfig> cluster_of(const ClientCommand& command);

/// For net::Client::open().
net::ClientOptions client_options(const ClientCommand& command, const ClusterConfig& cluster);

}  // namespace epaxos::bench
