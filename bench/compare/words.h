#pragma once

// What the report of the comparison says in words.

#include <string>

#include "bench/compare/options.h"

namespace epaxos::bench {

/// How all of it was measured, up to an empty line.
std::string conditions(const CompareOptions& options);

/// What the protocols share, and of each of those that were measured: who decides, what is
/// forwarded, what a command waits for at "sync", and what makes it fast.
std::string differences(const CompareOptions& options);

}  // namespace epaxos::bench
