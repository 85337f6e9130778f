#pragma once

// The arguments that make GroupOptions, but the number of replicas, which each subcommand limits in
// its own way.

#include <string>

#include "bench/throughput/group_options.h"

namespace CLI {
class App;
}

namespace epaxos::bench {

/// Precondition: `options` outlives the parsing. Its values are the defaults that the help names.
void add_group_arguments(CLI::App& command, GroupOptions& options);

/// What each argument alone cannot know. Empty: all is well.
std::string contradiction(const GroupOptions& options);

}  // namespace epaxos::bench
