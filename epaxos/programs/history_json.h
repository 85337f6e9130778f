#pragma once

// What a replica knows of the life of instances, as JSON: its answer to "epaxosctl explain".

#include <span>
#include <string>

#include "epaxos/contract/history.h"

namespace epaxos {

/// An array with one object an instance. "begin_age_us" says how long ago its life began as far as
/// it is known, "begin_unix_us" when that was on the clock of the machine; all other times are
/// microseconds since then, null where nothing is known.
std::string history_json(std::span<const InstanceHistory> histories);

}  // namespace epaxos
