#include "bench/client/arrivals.h"

#include <cmath>

#include "deps/types/check.h"

namespace epaxos::bench {

Arrivals::Arrivals(const OpenLoop& open, sim::Random random, Tick begin_us)
    : open_(open), begin_us_(begin_us), random_(random) {
  check(open_.is_on(), "commands arrive at some rate");
}

Tick Arrivals::next() {
  double interval_us = 1e6 / open_.rate;
  if (open_.poisson) {  // Exponentially distributed.
    const double share = static_cast<double>(random_.next() >> 11) * 0x1p-53;  // [0, 1)
    interval_us *= -std::log1p(-share);
  }
  after_us_ += interval_us;
  return begin_us_ + static_cast<Tick>(after_us_);
}

}  // namespace epaxos::bench
