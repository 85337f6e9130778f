#pragma once

// `--assert GATE` on a command line, and the exit status when a gate does not hold.

#include <string>

#include <CLI/CLI.hpp>

#include "bench/wan/gate.h"

namespace epaxos::bench {

inline constexpr int kGateBroken = 3;

/// Accepts what Gate::parse() does.
inline CLI::Validator gate_argument() {
  return CLI::Validator(
      [](std::string& text) {
        const Result<Gate> parsed = Gate::parse(text);
        return parsed ? std::string() : parsed.error().message;
      },
      "");
}

}  // namespace epaxos::bench
