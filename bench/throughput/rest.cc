#include "bench/throughput/rest.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace epaxos::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kRestTime = std::chrono::seconds(60);
constexpr auto kBetweenGlances = std::chrono::milliseconds(50);

/// Rows, not sums or numbers of commands: what each lacks may be as many commands of another one,
/// and what a replica has got with an image it has not counted.
Rest rest_of(const std::vector<Measurement>& states) {
  const Measurement& first = states.front();
  Rest rest{true, true, {}};
  for (const Measurement& state : states) {
    rest.digests.push_back(state.digest);
    rest.at_rest &= state.in_flight == 0 && state.executed_up_to == first.executed_up_to;
    rest.digests_equal &= state.digest == first.digest;
  }
  return rest;
}

}  // namespace

Result<Rest> come_to_rest(Children& children, Progress& progress) {
  if (const auto stopped = children.order(Order::kStopLoad); !stopped) {
    return fail(stopped.error());
  }
  const auto deadline = Clock::now() + kRestTime;
  Rest last;
  while (Clock::now() < deadline) {
    const auto states = children.order(Order::kMeasure);
    if (!states) return fail(states.error());
    Rest rest = rest_of(*states);
    // A digest is asked after the rows, so that one which differs counts when it does so twice.
    const bool settled = rest.digests_equal || rest.digests == last.digests;
    last = std::move(rest);
    if (last.at_rest && settled) break;
    progress.tick();
    std::this_thread::sleep_for(kBetweenGlances);
  }
  return last;
}

std::string failure_of(const Rest& rest, const std::string& kept_directory) {
  if (!rest.at_rest) {
    return "The replicas did not come to rest: they have not executed the same commands.";
  }
  if (rest.digests_equal) return {};
  std::string sentence = "THE REPLICAS DISAGREE: their states have different digests:";
  for (const std::uint64_t digest : rest.digests) sentence += " " + hexadecimal(digest);
  sentence += ".";
  if (!kept_directory.empty()) sentence += " Their data is in " + kept_directory + ".";
  return sentence;
}

std::string hexadecimal(std::uint64_t digest) {
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(digest));
  return digits;
}

}  // namespace epaxos::bench
