#pragma once

// A span of time on a command line.

#include <string>

#include <CLI/CLI.hpp>

#include "deps/types/ids.h"
#include "epaxos/programs/duration.h"

namespace epaxos::bench {

/// Accepts what duration_from() does, within these limits, and leaves microseconds.
inline CLI::Validator duration(Tick least_us, Tick most_us, const std::string& sentence) {
  return CLI::Validator(
      [=](std::string& text) {
        const Result<Tick> us = duration_from(text, 0);  // The option has a sentence of its own.
        if (!us) return us.error().message;
        if (*us < least_us || *us > most_us) {
          return "\"" + text + "\" is not accepted: " + sentence;
        }
        text = std::to_string(*us);
        return std::string();
      },
      "");
}

}  // namespace epaxos::bench
