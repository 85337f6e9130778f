#pragma once

// When the open loop of a site sends: the same times for the same chance.

#include "bench/client/offered_load.h"
#include "epaxos/sim/random.h"

namespace epaxos::bench {

class Arrivals {
 public:
  /// From `begin_us` on, at this rate. Precondition: there is one.
  Arrivals(const OpenLoop& open, sim::Random random, Tick begin_us);

  /// The time of the next command; they ascend.
  Tick next();

 private:
  const OpenLoop open_;
  const Tick begin_us_;
  sim::Random random_;
  double after_us_ = 0;  // The beginning.
};

}  // namespace epaxos::bench
