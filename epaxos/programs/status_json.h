#pragma once

// A node's status as JSON: what a replica answers to a client's status request, and what epaxosctl
// and the benchmarks read.

#include <string>
#include <string_view>

#include "epaxos/node/status.h"

namespace epaxos {

std::string status_json(const NodeStatus& status);

/// Whether a counter of this name counts what was refused, dropped or left without an answer, so
/// that somebody may want to know why it is not zero.
bool tells_refusal(std::string_view counter);

}  // namespace epaxos
