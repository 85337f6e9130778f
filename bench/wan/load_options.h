#pragma once

// The options of `epaxos-bench wan` that say what its clients send, and when.

#include <cstdint>
#include <optional>
#include <string>

#include "bench/wan/measured_run.h"
#include "deps/types/result.h"

namespace CLI {
class App;
}

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

/// Both outlive the parsing.
void add_load_options(CLI::App& sub, RunOptions& run, MixOptions& mix);

/// Puts them into the options of the run.
/// Errors: invalid argument, unsupported - a sentence that names the options and the remedy.
Result<void> take_mix(const MixOptions& mix, RunOptions& run);

}  // namespace epaxos::bench
