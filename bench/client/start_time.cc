#include "bench/client/start_time.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>

namespace epaxos::bench {
namespace {

constexpr std::int64_t kDayS = 24 * 3600;

/// Broken-down time of UTC.
std::tm utc(std::int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return parts;
}

/// None: there is no such moment, as on 30 February.
std::optional<std::int64_t> seconds_of(std::tm parts) {
  const std::tm wanted = parts;
  const auto time = static_cast<std::int64_t>(::timegm(&parts));
  const bool same = parts.tm_mday == wanted.tm_mday && parts.tm_hour == wanted.tm_hour &&
                    parts.tm_min == wanted.tm_min && parts.tm_sec == wanted.tm_sec;
  return same ? std::optional(time) : std::nullopt;
}

/// Whether the text consists of `format`, read by sscanf, and nothing else.
template <class... Fields>
bool reads(const std::string& text, const char* format, Fields*... fields) {
  int end = -1;
  const int count = std::sscanf(text.c_str(), format, fields..., &end);
  return count == static_cast<int>(sizeof...(fields)) && end == static_cast<int>(text.size());
}

std::optional<std::int64_t> whole_date(const std::string& text) {
  std::tm parts{};
  if (!reads(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
             &parts.tm_hour, &parts.tm_min, &parts.tm_sec)) {
    return std::nullopt;
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return seconds_of(parts);
}

/// The moment of that time of day that is nearest to now.
std::optional<std::int64_t> time_of_day(const std::string& text, std::int64_t now_s) {
  std::tm parts = utc(now_s);
  parts.tm_sec = 0;
  if (!reads(text, "%2d:%2d:%2d%n", &parts.tm_hour, &parts.tm_min, &parts.tm_sec) &&
      !reads(text, "%2d:%2d%n", &parts.tm_hour, &parts.tm_min)) {
    return std::nullopt;
  }
  const auto today = seconds_of(parts);
  if (!today) return std::nullopt;
  if (*today < now_s - kDayS / 2) return *today + kDayS;
  return *today > now_s + kDayS / 2 ? *today - kDayS : *today;
}

}  // namespace

Tick unix_now_us() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<Tick>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

Result<Tick> start_time_from(const std::string& text, Tick unix_now_us) {
  const auto now_s = static_cast<std::int64_t>(unix_now_us / 1'000'000);
  auto start_s = whole_date(text);
  if (!start_s) start_s = time_of_day(text, now_s);
  if (!start_s || *start_s < 0) {
    return fail(ErrorCode::kInvalidArgument,
                "\"" + text +
                    "\" is no moment to start at. Write a time of UTC, as 12:30, 12:30:15 or "
                    "2026-05-03T12:30:15Z.");
  }
  const Tick start_us = static_cast<Tick>(*start_s) * 1'000'000;
  if (start_us <= unix_now_us) {
    return fail(ErrorCode::kInvalidArgument, utc_text(start_us) + " has passed: it is " +
                                                 utc_text(unix_now_us) +
                                                 ". Start all sites again at a later moment.");
  }
  if (*start_s > now_s + kDayS) {
    return fail(
        ErrorCode::kInvalidArgument,
        utc_text(start_us) + " is more than a day ahead: it is " + utc_text(unix_now_us) + ".");
  }
  return start_us;
}

std::string utc_text(Tick unix_us) {
  const std::tm parts = utc(static_cast<std::int64_t>(unix_us / 1'000'000));
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

}  // namespace epaxos::bench
