#pragma once

// The options that say what the clients of a site send, and when: those of `epaxos-bench wan`, and
// of `epaxos-bench client --site`.

#include <cstdint>
#include <optional>
#include <string>

#include "bench/client/offered_load.h"
#include "deps/types/result.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace epaxos::bench {

/// What is asked for, as the command line says it.
struct MixOptions {
  std::string ycsb = {};  ///< Empty: none.
  std::optional<unsigned> reads_percent = {};
  std::optional<unsigned> conflicts_percent = {};
  std::optional<double> zipf_theta = {};
  std::optional<std::uint64_t> keys = {};
  std::optional<Reads> reads_by = {};
};

/// When commands are sent. `clients` is the option that says how many closed loops there are.
/// Precondition: `load` outlives the parsing.
void add_arrival_options(CLI::App& sub, CLI::Option* clients, OfferedLoad& load);

/// Which keys, and what becomes of them. Precondition: both outlive the parsing.
void add_mix_options(CLI::App& sub, OfferedLoad& load, MixOptions& mix);

/// Puts them into the load.
/// Errors: invalid argument, unsupported - a sentence that names the options and the remedy.
Result<void> take_mix(const MixOptions& mix, OfferedLoad& load);

}  // namespace epaxos::bench
