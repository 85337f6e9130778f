#pragma once

// The arguments that make GroupOptions, but the number of replicas, which each subcommand limits in
// its own way.

#include <string>

#include "bench/throughput/group_options.h"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace epaxos::bench {

/// Precondition: `options` outlives the parsing. Its values are the defaults that the help names.
void add_group_arguments(CLI::App& command, GroupOptions& options);

// What single arguments must be; each says in a sentence what would be right.
CLI::Validator durability_level();
CLI::Validator existing_directory();
CLI::Validator measured_protocol();

/// What replicas keep. Its value is the default that the help names.
void add_durability(CLI::App& command, Durability& level);

/// Where data would be kept that nobody writes.
inline constexpr const char* kDataOfNoUse =
    "--data is of no use at --durability none, which writes nothing. Choose sync or async.";

/// What each argument alone cannot know. Empty: all is well.
std::string contradiction(const GroupOptions& options);

}  // namespace epaxos::bench
