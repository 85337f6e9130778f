#pragma once

// The protocols that a load can be measured with: those of the line-up that decide more than once.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "epaxos/contract/core.h"

namespace epaxos::bench {

/// Their names; the first one is the default.
std::vector<std::string> measured_protocols();

/// The same in one text: "epaxos, raft, ...".
std::string measured_protocols_list();

/// Precondition: it is one of them.
Protocol protocol_named(std::string_view name);

/// How this protocol serves reads: as wished, where it has a choice.
Reads reads_of(const Protocol& protocol, std::optional<Reads> wished);

/// Why this is none of them, as a sentence; empty when it is one.
std::string no_measured_protocol(const std::string& name);

}  // namespace epaxos::bench
