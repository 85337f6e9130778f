#include <nlohmann/json.hpp>

#include "bench/client/load_report.h"
#include "bench/demo/demo.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

double ratio(std::uint64_t a, std::uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}
double fast_share(const ReplicaCounts& counts) {
  return ratio(counts.fast, counts.fast + counts.slow);
}
std::uint64_t failed(const LoadResult& load) {
  return load.rejected + load.unknown;
}
std::string name_of(const DemoRow& row) {
  return row.replica == DemoRow::kAll ? "all" : "R" + std::to_string(row.replica);
}

std::string heading(const DemoOptions& o) {
  const std::string meaning = o.durability == Durability::kSync    ? "on disk before it is told"
                              : o.durability == Durability::kAsync ? "told before it is on disk"
                                                                   : "memory only";
  return std::to_string(o.replicas) + (o.replicas == 1 ? " replica" : " replicas") +
         ", durability " + std::string(to_string(o.durability)) + " (" + meaning + "), " +
         std::to_string(o.value_bytes) + "-byte values, " + std::to_string(o.in_flight) +
         " in flight at each.\n"
         "Latency in ms, as the client of the replica sees it. fast: decided in one round trip.\n"
         "Per command and to other replicas: frames (protocol messages, one a receiver), bundles\n"
         "(what carries them on the wire), bytes.\n\n";
}

/// What follows the table.
std::string verdict(const DemoResult& result) {
  std::uint64_t lost = 0;
  std::string why;
  for (const DemoRow& row : result.rows) {
    if (row.replica == DemoRow::kAll) continue;
    lost += failed(row.load);
    if (why.empty()) why = row.load.last_failure;
  }
  std::string out;
  if (lost > 0)
    out += "\n" + grouped(lost) + " commands were not executed. The first: " + why + "\n";
  if (result.counted && !result.kills.empty()) {
    out += "\nEvery counter holds what was acknowledged, and at most what is unknown on top.\n";
  }
  if (!result.digests.empty() && same_state(result.digests)) {
    out += "\n" + std::string(result.digests.size() == 1 ? "The" : "All") + " " +
           std::to_string(result.digests.size()) + " replicas hold the same state: digest " +
           result.digests.front() + ".\n";
  }
  return out;
}

Json row_json(const DemoRow& row) {
  Json json = {{"conflicts_percent", row.conflicts}, {"replica", name_of(row)}};
  json.update(load_json(row.load));
  json.erase("slices_100_ms");  // The longest part of it, and all equal here.
  json["proposed"] = row.counts.commands;
  json["fast_path"] = row.counts.fast;
  json["slow_path"] = row.counts.slow;
  json["fast_path_share"] = fast_share(row.counts);
  json["frames_per_command"] = ratio(row.counts.frames, row.counts.commands);
  json["bundles_per_command"] = ratio(row.counts.bundles, row.counts.commands);
  json["bytes_per_command"] = ratio(row.counts.bytes, row.counts.commands);
  return json;
}

}  // namespace

std::string demo_table(const DemoResult& result) {
  TextTable table({">hot key", "replica", ">commands/s", ">commit p50", ">p99", ">execution p50",
                   ">p99", ">fast", ">frames", ">bundles", ">bytes"});
  int last = -1;
  for (const DemoRow& row : result.rows) {
    if (last != -1 && row.conflicts != last) table.add_gap();
    last = row.conflicts;
    const ReplicaCounts& c = row.counts;
    table.add({std::to_string(row.conflicts) + " %", name_of(row),
               grouped(static_cast<std::uint64_t>(commands_per_second(row.load))),
               milliseconds(row.load.commit_us, 0.5), milliseconds(row.load.commit_us, 0.99),
               milliseconds(row.load.execution_us, 0.5), milliseconds(row.load.execution_us, 0.99),
               fixed(100 * fast_share(c), 1) + " %", fixed(ratio(c.frames, c.commands), 1),
               fixed(ratio(c.bundles, c.commands), 1), fixed(ratio(c.bytes, c.commands), 0)});
  }
  return heading(result.options) + table.text() + kills_table(result.kills) + verdict(result);
}

std::string demo_csv(const DemoResult& result) {
  std::string out =
      "conflicts_percent,replica,seconds,executed,failed,commands_per_second,commit_p50_us,"
      "commit_p99_us,execution_p50_us,execution_p99_us,fast_path_share,frames_per_command,"
      "bundles_per_command,bytes_per_command\n";
  for (const DemoRow& row : result.rows) {
    out += std::to_string(row.conflicts) + "," + name_of(row) + "," + fixed(row.load.seconds, 3) +
           "," + std::to_string(row.load.executed) + "," + std::to_string(failed(row.load)) + "," +
           fixed(commands_per_second(row.load), 1);
    for (const auto* const h : {&row.load.commit_us, &row.load.execution_us}) {
      for (const double share : {0.5, 0.99}) out += "," + std::to_string(h->percentile(share));
    }
    const ReplicaCounts& c = row.counts;
    out += "," + fixed(fast_share(c), 4) + "," + fixed(ratio(c.frames, c.commands), 2) + "," +
           fixed(ratio(c.bundles, c.commands), 2) + "," + fixed(ratio(c.bytes, c.commands), 1) +
           "\n";
  }
  return out;
}

/// One line a row, so that a person can find things too.
std::string demo_json(const DemoResult& result) {
  const DemoOptions& o = result.options;
  const Json head = {{"replicas", o.replicas},
                     {"durability", to_string(o.durability)},
                     {"seconds", o.seconds},
                     {"in_flight", o.in_flight},
                     {"value_bytes", o.value_bytes},
                     {"kill_seconds", o.kill_seconds},
                     {"interrupted", result.interrupted},
                     {"trouble", result.trouble},
                     {"counters_right", result.counted},
                     {"digests", result.digests},
                     {"digests_equal", !result.digests.empty() && same_state(result.digests)}};
  const auto text = [](const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  std::string out = "{\n";
  for (const auto& [key, value] : head.items()) {
    out += " " + text(key) + ": " + text(value) + ",\n";
  }
  const auto list = [&](const std::string& name, const std::vector<Json>& entries) {
    std::string lines = " \"" + name + "\": [";
    for (const Json& entry : entries) {
      lines += (&entry == entries.data() ? "\n  " : ",\n  ") + text(entry);
    }
    return lines + "\n ]";
  };
  std::vector<Json> rows;
  for (const DemoRow& row : result.rows) rows.push_back(row_json(row));
  return out + list("rows", rows) + ",\n" + list("kills", kills_json(result.kills)) + "\n}\n";
}

}  // namespace epaxos::bench
