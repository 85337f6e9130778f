#include "bench/client/mixed_commands.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "deps/types/check.h"
#include "deps/types/ids.h"

namespace epaxos::bench {
namespace {

constexpr std::size_t kYcsbScanMax = 100;  // Its maxscanlength, uniform.

std::string record(std::uint64_t number) {
  return "record" + std::to_string(number);
}

}  // namespace

Result<CommandMix> ycsb_mix(std::string_view name) {
  std::string workload(name);
  std::ranges::transform(workload, workload.begin(), [](unsigned char letter) {
    return static_cast<char>(std::toupper(letter));
  });
  CommandMix mix{.ycsb = workload, .zipf_theta = kYcsbTheta};
  if (workload == "A") {
    mix.read_percent = 50;
  } else if (workload == "B") {
    mix.read_percent = 95;
  } else if (workload == "C") {
    mix.read_percent = 100;
  } else if (workload == "D") {
    mix.read_percent = 95;
    mix.inserts = mix.latest = true;
  } else if (workload == "E") {
    mix.read_percent = 95;
    mix.inserts = true;
    mix.scan_max = kYcsbScanMax;
  } else if (workload == "F") {
    mix.read_percent = 50;
    mix.modifies = true;
  } else {
    return fail(ErrorCode::kInvalidArgument, "there is no workload \"" + std::string(name) +
                                                 "\" of YCSB. Choose one of A to F.");
  }
  return mix;
}

void InsertedRecords::inserted(std::uint64_t number) {
  std::uint64_t before = count_.load(std::memory_order_relaxed);
  while (before <= number &&
         !count_.compare_exchange_weak(before, number + 1, std::memory_order_relaxed)) {
  }
}

MixedCommands::MixedCommands(const KeyChoice& choice, const CommandMix& mix, const Zipf* zipf,
                             InsertedRecords* inserted)
    : choice_(choice),
      mix_(mix),
      zipf_(zipf),
      inserted_(inserted),
      value_(choice.value_bytes, 'v'),
      turns_(choice),
      random_(mix64(choice.seed + 1)) {
  check(zipf != nullptr || !mix.zipf_theta, "records by Zipf's law have their generator");
  check(!mix.inserts || (mix.zipf_theta && inserted != nullptr), "new records are counted");
  check(mix.inserts || !mix.latest, "the latest records are those that were inserted");
  check(mix.scan_max == 0 || mix.zipf_theta, "scans are of records");
}

MixedCommand MixedCommands::next() {
  const bool reads = mix_.read_percent > 0 && random_() % 100 < mix_.read_percent;
  if (reads && mix_.scan_max > 0) return {.payload = scan(), .reads = true};
  if (mix_.inserts && !reads) {
    const std::uint64_t number = inserted_->take();
    return {.payload = write(record(mix_.keys + number)), .inserts = number};
  }
  const std::string key = next_key();
  if (reads) return {.payload = kv::get(key), .reads = true};
  if (mix_.modifies) return {.payload = kv::get(key), .reads = true, .then = write(key)};
  return {.payload = write(key)};
}

kv::Payload MixedCommands::write(const std::string& key) const {
  return choice_.increments ? kv::increment(key, 1) : kv::put(key, value_);
}

/// Of records that are there, so one that begins near the newest may be shorter.
kv::Payload MixedCommands::scan() {
  const std::uint64_t first = next_record();
  const std::uint64_t end = mix_.keys + inserted_->count();
  const std::uint64_t wanted = 1 + random_() % mix_.scan_max;
  std::vector<std::string> names;
  for (std::uint64_t at = first; at < std::min(end, first + wanted); ++at) {
    names.push_back(record(at));
  }
  const std::vector<std::string_view> keys(names.begin(), names.end());
  return kv::multi_get(keys);
}

std::string MixedCommands::next_key() {
  if (mix_.zipf_theta) return record(next_record());
  const std::optional<std::size_t> own = turns_.next();
  return own ? choice_.prefix + std::to_string(*own) : choice_.hot_key;
}

std::uint64_t MixedCommands::next_record() {
  const std::uint64_t rank = zipf_->rank_of(static_cast<double>(random_() >> 11) * 0x1p-53);
  return mix_.latest ? mix_.keys + inserted_->count() - 1 - rank : rank;
}

}  // namespace epaxos::bench
