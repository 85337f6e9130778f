#include "bench/report/json_place.h"

#include <algorithm>
#include <limits>

#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

constexpr std::size_t kShownMax = 40;  // Characters of a value that is not accepted.
// A latency is no longer than 50 days, and all of a histogram together so short that many are added
// without running over.
constexpr std::uint64_t kLatencyUsMax = std::uint64_t{1} << 42;
constexpr std::uint64_t kLatencySumUsMax = std::uint64_t{1} << 57;

std::string shown(const Json& json) {
  std::string text = json.is_array()    ? "an array"
                     : json.is_object() ? "an object"
                                        : json.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kShownMax) text = text.substr(0, kShownMax) + "...";
  return text;
}

/// "line 3, column 14": of the byte at this index.
std::string place_in(std::string_view text, std::size_t index) {
  const std::string_view before = text.substr(0, std::min(index, text.size()));
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t column = before.size() - (before.rfind('\n') + 1) + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

JsonPlace JsonPlace::at(std::string_view name) const {
  const std::string path = path_ + (path_.empty() ? "" : ".") + std::string(name);
  const JsonPlace missing(nullptr, path, wrong_);
  if (json_ == nullptr) return missing;
  if (!json_->is_object()) {
    refuse_value("an object");
    return missing;
  }
  const auto found = json_->find(name);
  if (found != json_->end()) return {&*found, path, wrong_};
  missing.refuse("is missing");
  return missing;
}

std::vector<JsonPlace> JsonPlace::items() const {
  std::vector<JsonPlace> items;
  if (json_ == nullptr) return items;
  if (!json_->is_array()) {
    refuse_value("an array");
    return items;
  }
  for (const Json& item : *json_) {
    items.push_back({&item, path_ + "[" + std::to_string(items.size()) + "]", wrong_});
  }
  return items;
}

bool JsonPlace::has(std::string_view name) const {
  return json_ != nullptr && json_->is_object() && json_->contains(name);
}

bool JsonPlace::flag() const {
  if (json_ == nullptr) return false;
  if (json_->is_boolean()) return json_->get<bool>();
  refuse_value("true or false");
  return false;
}

std::uint64_t JsonPlace::number(std::uint64_t least, std::uint64_t most) const {
  if (json_ == nullptr) return 0;
  // A number that was made in this process, and not read, may be signed.
  const bool whole = json_->is_number_unsigned() ||
                     (json_->is_number_integer() && json_->get<std::int64_t>() >= 0);
  const std::uint64_t value = whole ? json_->get<std::uint64_t>() : 0;
  if (whole && value >= least && value <= most) return value;
  const bool bounded = most != std::numeric_limits<std::uint64_t>::max();
  refuse_value("a whole number from " + std::to_string(least) +
               (bounded ? " to " + std::to_string(most) : " on"));
  return 0;
}

double JsonPlace::fraction(double least, double most) const {
  if (json_ == nullptr) return 0;
  const double value = json_->is_number() ? json_->get<double>() : 0;
  if (json_->is_number() && value >= least && value <= most) return value;
  refuse_value("a number from " + fixed(least, 0) + " to " + fixed(most, 0));
  return 0;
}

std::string JsonPlace::text() const {
  if (json_ == nullptr) return {};
  if (json_->is_string()) return json_->get<std::string>();
  refuse_value("text");
  return {};
}

std::string JsonPlace::printable() const {
  std::string all = text();
  const auto control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; };
  if (std::ranges::any_of(all, control)) refuse_value("printable text");
  return all;
}

FineHistogram JsonPlace::histogram() const {
  FineHistogram out;
  std::uint64_t sum = 0;
  std::uint64_t least = 0;
  for (const JsonPlace& item : items()) {
    const std::vector<JsonPlace> pair = item.items();
    if (pair.size() != 2) {
      item.refuse("is no bucket of a histogram, [microseconds, count]");
      break;
    }
    const std::uint64_t value = pair[0].number(least, kLatencyUsMax);
    const std::uint64_t times = pair[1].number(1, kLatencySumUsMax);
    if (!wrong_->empty()) break;
    if (times > (kLatencySumUsMax - sum) / std::max<std::uint64_t>(value, 1)) {
      item.refuse("has more commands than any load");
      break;
    }
    sum += std::max<std::uint64_t>(value, 1) * times;
    out.add(value, times);
    least = value + 1;  // Buckets ascend.
  }
  return out;
}

void JsonPlace::refuse(const std::string& what) const {
  if (wrong_->empty()) *wrong_ = (path_.empty() ? "the whole" : path_) + " " + what;
}

void JsonPlace::refuse_value(const std::string& wished) const {
  refuse("is " + shown(*json_) + " and not " + wished);
}

Result<Json> parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    // The byte is the one that was read last, from 1.
    const std::size_t index = error.byte == 0 ? 0 : error.byte - 1;
    if (index >= text.size()) {
      return fail(ErrorCode::kMalformed, "is cut off at " + place_in(text, text.size()));
    }
    return fail(ErrorCode::kMalformed, "is no JSON at " + place_in(text, index));
  } catch (const Json::exception&) {  // A number that nothing can hold has no place.
    return fail(ErrorCode::kMalformed, "has a number that is too large");
  }
}

}  // namespace epaxos::bench
