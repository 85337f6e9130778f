#pragma once

// When the open loop of a site sends: the same times in both modes, for the same seed.

#include "bench/wan/measured_run.h"
#include "epaxos/sim/random.h"

namespace epaxos::bench {

class Arrivals {
 public:
  /// From `begin_us` on, at the rate of the options. Precondition: they have an open loop.
  Arrivals(std::size_t site, const RunOptions& options, Tick begin_us);

  /// The time of the next command; they ascend.
  Tick next();

 private:
  const OpenLoop open_;
  const Tick begin_us_;
  sim::Random random_;
  double after_us_ = 0;  // The beginning.
};

}  // namespace epaxos::bench
