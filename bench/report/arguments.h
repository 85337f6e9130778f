#pragma once

// Numbers of a command line. CLI11's own range accepts "nan" and stops reading 5x at the x; these
// take whole numbers of the type only, and say what would be right.

#include <charconv>
#include <string>

#include <CLI/CLI.hpp>

namespace epaxos::bench {

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
