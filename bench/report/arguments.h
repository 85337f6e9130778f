#pragma once

// Numbers of a command line. CLI11's own range accepts "nan" and stops reading 5x at the x; these
// take whole numbers of the type only, and say what would be right.

#include <charconv>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

namespace epaxos::bench {

/// The exit status after Ctrl-C, when what was measured until then is printed.
inline constexpr int kInterrupted = 130;

/// Prints what is wrong. Returns the exit status for it.
inline int complain(const char* subcommand, const std::string& sentence) {
  std::fprintf(stderr, "epaxos-bench %s: %s\n", subcommand, sentence.c_str());
  return 1;
}

/// Accepts what is a number from `least` to `most`, or says `sentence`.
template <class Number>
CLI::Validator number(Number least, Number most, const std::string& sentence) {
  return CLI::Validator(
      [=](std::string& text) {
        Number value{};
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        const bool whole = error == std::errc() && stop == end;
        if (whole && value >= least && value <= most) return std::string();
        return "\"" + text + "\" is not accepted: " + sentence;
      },
      "");
}

}  // namespace epaxos::bench
