#pragma once

// The core of an emulated replica, and what is heard of traced commands on the way in and out of
// it: the first ones that are proposed in the measured time, at whichever replica. What leaves is
// noted at the end of the turn, right before it is sent, and what comes when the core gets it; so
// the way through the sockets is part of a message's time.

#include "bench/wan/emulated_clients.h"
#include "epaxos/contract/core.h"

namespace epaxos::bench {

/// The protocol of the group with such cores, or as it is when there is no trace. Precondition:
/// `group` outlives the cores.
Protocol traced_protocol(const EmulatedGroup& group, ReplicaId self);

}  // namespace epaxos::bench
