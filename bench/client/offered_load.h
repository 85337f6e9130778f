#pragma once

// What the clients of one site ask for, and when: the same for an experiment in virtual time, in
// real time and on machines.

#include <cstddef>
#include <optional>

#include "bench/client/mixed_commands.h"
#include "bench/report/latency.h"
#include "deps/types/ids.h"
#include "epaxos/contract/core.h"

namespace epaxos::bench {

/// Commands are sent at their times, whatever became of those before.
struct OpenLoop {
  double rate = 0;                     ///< Commands/s at each site; 0: there is none.
  bool poisson = true;                 ///< Else one as long after the other.
  std::size_t in_flight_max = 10'000;  ///< At each site; beyond it commands stay unsent.

  [[nodiscard]] bool is_on() const { return rate > 0; }
};

struct OfferedLoad {
  std::size_t clients = 50;  ///< At each site, one command each at a time.
  Tick think_us = 0;         ///< Between an answer and the next command.
  OpenLoop open = {};        ///< In place of these clients, if it has a rate.
  unsigned conflict_percent = 0;
  CommandMix mix = {};
  std::optional<Reads> reads_by = {};  ///< Of protocols that have a choice; none: as each is made.
  std::size_t value_bytes = 16;

  /// Commands that may be under way at a site.
  [[nodiscard]] std::size_t in_flight_max() const {
    return open.is_on() ? open.in_flight_max : clients;
  }
};
/// A member a field, under the names that all results have; not how reads are served. In an open
/// loop there are no clients.
Json to_json(const OfferedLoad& load);

}  // namespace epaxos::bench
