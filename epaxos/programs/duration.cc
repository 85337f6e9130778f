#include "epaxos/programs/duration.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "deps/types/check.h"

namespace epaxos {

Result<Tick> duration_from(std::string_view text, Tick least_us) {
  constexpr std::array<std::pair<std::string_view, double>, 6> kUnits{
      {{"", 1e6}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}}};
  check(least_us == 0 || least_us == 1'000, "the sentence names the limits");
  const auto wrong = [&text](const char* why) {
    return fail(ErrorCode::kInvalidArgument, "\"" + std::string(text) + "\" " + why);
  };
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const auto& [name, microseconds] : kUnits) {
    if (error != std::errc{} || unit != name) continue;
    // Written so that what is not a number fails too.
    const auto least = static_cast<double>(least_us);
    if (!(number * microseconds >= least && number * microseconds <= 3600e6)) {
      return wrong(least_us == 0 ? "is not within 0 to 1 h." : "is not within 1 ms to 1 h.");
    }
    return static_cast<Tick>(number * microseconds);
  }
  return wrong("is no duration. Write 5s, 500ms, 2m or 1h.");
}

}  // namespace epaxos
