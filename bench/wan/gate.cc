#include "bench/wan/gate.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace epaxos::bench {
namespace {

Failure wrong(std::string_view text, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument,
              "\"" + std::string(text) + "\" " + what +
                  ". Write it as \"p50<=1.01*bound+1ms\" or \"execution p99<400ms\".");
}

bool skip(std::string_view& rest, std::string_view word) {
  if (!rest.starts_with(word)) return false;
  rest.remove_prefix(word.size());
  return true;
}

std::optional<double> take_number(std::string_view& rest) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return number;
}

/// Shorter ones than a command line takes elsewhere: "50us".
std::optional<double> take_duration_us(std::string_view& rest) {
  const std::optional<double> number = take_number(rest);
  if (!number || *number < 0) return std::nullopt;
  if (skip(rest, "us")) return *number;
  if (skip(rest, "ms")) return *number * 1e3;
  if (skip(rest, "s")) return *number * 1e6;
  return std::nullopt;
}

std::string without_blanks(std::string_view text) {
  std::string out(text);
  std::erase(out, ' ');
  return out;
}

}  // namespace

Result<Gate> Gate::parse(std::string_view text) {
  Gate gate;
  gate.text_ = std::string(text);
  const std::string compact = without_blanks(text);
  std::string_view rest = compact;
  if (skip(rest, "commit")) gate.phase_ = Phase::kCommit;
  if (skip(rest, "execution")) gate.phase_ = Phase::kExecution;
  const std::optional<double> percent = skip(rest, "p") ? take_number(rest) : std::nullopt;
  if (!percent || *percent < 0 || *percent > 100) {
    return wrong(text, "does not begin with a percentile from p0 to p100");
  }
  gate.share_ = *percent / 100;
  if (!skip(rest, "<")) return wrong(text, "has no \"<\" or \"<=\" after the percentile");
  gate.strict_ = !skip(rest, "=");

  std::string_view at_bound = rest;
  const std::optional<double> factor = take_number(at_bound);
  if (factor && skip(at_bound, "*bound")) {
    gate.factor_ = *factor;
    rest = at_bound;
  } else if (skip(rest, "bound")) {
    gate.factor_ = 1;
  }
  if (gate.factor_ < 0) return wrong(text, "has a negative factor");
  if (rest.empty() && gate.factor_ > 0) return gate;
  const bool less = gate.factor_ > 0 && skip(rest, "-");
  if (gate.factor_ > 0 && !less && !skip(rest, "+")) {
    return wrong(text, "has neither \"+\" nor \"-\" after the bound");
  }
  const std::string_view end = rest;
  const std::optional<double> offset_us = take_duration_us(rest);
  if (!offset_us || !rest.empty()) {
    return wrong(
        text, "does not end with a bound, or a time in us, ms or s: \"" + std::string(end) + "\"");
  }
  gate.offset_us_ = less ? -*offset_us : *offset_us;
  return gate;
}

}  // namespace epaxos::bench
