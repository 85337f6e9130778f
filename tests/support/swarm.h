#pragma once

// The swarm as the tests run it: the real protocol over the key-value machine, and every word that
// is said held against the disks.

#include "epaxos/sim/swarm.h"

namespace epaxos::testing {

sim::SwarmOptions epaxos_swarm();

}  // namespace epaxos::testing
