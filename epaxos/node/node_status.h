#pragma once

// Gathers what the parts of a running node know about themselves. Private to the node.

#include "epaxos/node/status.h"
#include "epaxos/runtime/event_loop.h"

namespace epaxos {

/// Fills in everything that the event loop and what it owns can tell. On the loop's thread, or
/// after its end.
void describe(runtime::EventLoop& loop, bool on_disk, NodeStatus& out);

}  // namespace epaxos
