#include "tests/tidy/code_rules.h"

#include <algorithm>

namespace epaxos::tidy {
namespace {

using Patterns = std::vector<std::string_view>;

struct Banned {
  std::string_view word;
  std::string_view why;
};

const Patterns kDeterministic = {
    "deps/*", "executor/*", "epaxos/contract/*", "epaxos/protocol/*", "epaxos/sim/*", "compare/*"};
const Patterns kNotDeterministic = {"*_main.cc"};

constexpr std::string_view kClock = "time comes in as a Tick";
constexpr std::string_view kThread = "one thread runs this; the host owns all others";
constexpr std::string_view kChance = "chance comes from a seed in the configuration";
constexpr std::string_view kLibrary = "its numbers differ between standard libraries";
constexpr std::string_view kOrder = "its order could reach an output; use a sorted container";
constexpr std::string_view kPlace = "the same inputs must give the same bytes on every machine";

const std::vector<Banned> kNotDeterministicWords = {
    {"<chrono>", kClock},
    {"<ctime>", kClock},
    {"<time.h>", kClock},
    {"system_clock", kClock},
    {"steady_clock", kClock},
    {"high_resolution_clock", kClock},
    {"clock_gettime", kClock},
    {"gettimeofday", kClock},
    {"<thread>", kThread},
    {"<mutex>", kThread},
    {"<shared_mutex>", kThread},
    {"<condition_variable>", kThread},
    {"<atomic>", kThread},
    {"<future>", kThread},
    {"<semaphore>", kThread},
    {"<latch>", kThread},
    {"<barrier>", kThread},
    {"<stop_token>", kThread},
    {"<pthread.h>", kThread},
    {"thread_local", kThread},
    {"volatile", kThread},
    {"random_device", kChance},
    {"rand", kChance},
    {"srand", kChance},
    {"getrandom", kChance},
    {"default_random_engine", kLibrary},
    {"uniform_int_distribution", kLibrary},
    {"uniform_real_distribution", kLibrary},
    {"normal_distribution", kLibrary},
    {"exponential_distribution", kLibrary},
    {"bernoulli_distribution", kLibrary},
    {"discrete_distribution", kLibrary},
    {"std::shuffle", kLibrary},
    {"std::ranges::shuffle", kLibrary},
    {"std::sample", kLibrary},
    {"unordered_map", kOrder},
    {"unordered_set", kOrder},
    {"unordered_multimap", kOrder},
    {"unordered_multiset", kOrder},
    {"getenv", kPlace},
    {"getpid", kPlace},
};

const std::vector<Banned> kBannedCode = {
    {"using namespace", "name what is used"},
    {"#define", "a constant, a function or a template does it"},
    {"assert(", "check() stays on in every build"},
    {"<cassert>", "check() stays on in every build"},
    {"shared_ptr", "a resource has one owner"},
    {"std::endl", "it flushes; write a newline"},
};

// Put together from halves, so that this file holds none of them.
const std::vector<Banned> kBannedWords = {
    {"TO"
     "DO",
     "do it, or write down why not"},
    {"FIX"
     "ME",
     "fix it, or write down why not"},
    {"XX"
     "X",
     "say it in a sentence"},
    {"/wo"
     "rk/",
     "a path of one machine"},
    {"../sha"
     "red",
     "a path of one machine"},
    {"/ro"
     "ot/",
     "a path of one machine"},
    {"/ho"
     "me/",
     "a path of one machine"},
};

void find_words(const SourceFile& file, std::string_view text, const std::vector<Banned>& words,
                Violations& found) {
  for (const Banned& banned : words) {
    for (const std::size_t line : lines_with(text, banned.word)) {
      found.push_back({file.path, line, std::string(banned.word), std::string(banned.why)});
    }
  }
}

/// std::map<Thing*, ...> and the like: an order that changes from run to run.
void find_pointer_keys(const SourceFile& file, Violations& found) {
  std::size_t number = 0;
  for (const std::string_view line : lines_of(file.code)) {
    ++number;
    for (const std::string_view container : {"std::map<", "std::set<", "std::less<"}) {
      const std::size_t at = line.find(container);
      if (at == line.npos) continue;
      const std::string_view key = line.substr(at, line.find_first_of(",>", at) - at);
      if (key.find('*') == key.npos) continue;
      found.push_back({file.path, number, std::string(key), "addresses change from run to run"});
    }
  }
}

void find_test_names(const SourceFile& file, Violations& found) {
  for (const Function& function : functions_of(file)) {
    if (!function.name.starts_with("TEST")) continue;
    const std::size_t names = function.name.find('(');
    if (function.name.find('_', names) == function.name.npos) continue;
    found.push_back(
        {file.path, function.first_line, function.name, "no underscores in test names"});
  }
}

}  // namespace

Violations determinism(const SourceFile& file) {
  Violations found;
  if (!fits_any(file.path, kDeterministic) || fits_any(file.path, kNotDeterministic)) return found;
  find_words(file, file.code, kNotDeterministicWords, found);
  find_pointer_keys(file, found);
  return found;
}

Violations line_length(const SourceFile& file) {
  Violations found;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(file.text)) {
    ++number;
    // Bytes of UTF-8 that continue a character take no column.
    const auto columns = static_cast<std::size_t>(
        std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; }));
    if (columns <= kColumnsMax) continue;
    found.push_back({file.path, number, "line", std::to_string(columns) + " columns"});
  }
  return found;
}

Violations function_length(const SourceFile& file) {
  Violations found;
  for (const Function& function : functions_of(file)) {
    if (function.lines <= kFunctionLinesMax) continue;
    found.push_back(
        {file.path, function.first_line, function.name, std::to_string(function.lines) + " lines"});
  }
  return found;
}

Violations file_length(const SourceFile& file) {
  const std::size_t lines = lines_of(file.text).size();
  if (lines <= kFileLinesMax) return {};
  return {{file.path, kFileLinesMax, "file", std::to_string(lines) + " lines; split it"}};
}

Violations header_opening(const SourceFile& file) {
  if (!file.path.ends_with(".h")) return {};
  const auto lines = lines_of(file.text);
  if (lines.empty() || lines[0] != "#pragma once") {
    return {{file.path, 1, "header", "a header begins with #pragma once"}};
  }
  if (lines.size() < 3 || !lines[1].empty() || !lines[2].starts_with("//")) {
    return {{file.path, 3, "header", "after #pragma once a comment says what this is"}};
  }
  return {};
}

Violations banned_code(const SourceFile& file) {
  Violations found;
  find_words(file, file.code, kBannedCode, found);
  find_test_names(file, found);
  return found;
}

Violations banned_words(const SourceFile& file) {
  Violations found;
  find_words(file, file.text, kBannedWords, found);
  return found;
}

}  // namespace epaxos::tidy
