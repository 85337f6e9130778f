#include "bench/throughput/report.h"

#include <cstdarg>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace epaxos::bench {
namespace {

/// std::snprintf() into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char* format, ...) {
  char text[256];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  return text;
}

std::string grouped(double value) {
  std::string digits = format("%.0f", value);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

double milliseconds(std::uint64_t microseconds) {
  return static_cast<double>(microseconds) / 1000;
}

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

double fast_share(const Window& window) {
  const auto fast = static_cast<double>(window.fast_path);
  return share(fast, fast + static_cast<double>(window.slow_path));
}

std::string latency(const Window& window) {
  return format("p50 %.2f ms, p99 %.2f ms", milliseconds(window.latency_us.percentile(0.5)),
                milliseconds(window.latency_us.percentile(0.99)));
}

nlohmann::ordered_json json_of(const Window& window) {
  return {{"seconds", window.seconds},
          {"commands", window.commands},
          {"failed", window.failed},
          {"commands_per_second", window.commands_per_second()},
          {"p50_us", window.latency_us.percentile(0.5)},
          {"p99_us", window.latency_us.percentile(0.99)},
          {"cpu_us_per_command", window.cpu_us_per_command()},
          {"bundles", window.bundles},
          {"bundle_bytes", window.bytes},
          {"peak_memory_bytes", window.peak_bytes},
          {"memory_bytes_per_command", window.memory_bytes_per_command()}};
}

}  // namespace

std::string failure_of(const ThroughputResult& result) {
  return failure_of(result.rest, result.kept_directory);
}

std::string to_text(const ThroughputOptions& options, const ThroughputResult& result) {
  const Window& node = result.node;
  std::string text = format(
      "%s, %d replicas, %zu commands in flight each, up to %zu an instance, %zu-byte values,\n"
      "%u %% on one key, durability %s, %.1f s%s\n\n",
      options.protocol.c_str(), options.replicas, options.in_flight, options.batch,
      options.value_bytes, options.conflict_percent,
      std::string(to_string(options.durability)).c_str(), node.seconds,
      result.interrupted ? ", interrupted" : "");
  text += "commands/s   " + grouped(node.commands_per_second()) + "\n";
  text += "latency      " + latency(node) + "\n";
  text += format("CPU          %.2f us per command over all replicas\n", node.cpu_us_per_command());
  text += format("memory       %.0f MiB at most over all replicas; %.0f bytes per command\n",
                 static_cast<double>(node.peak_bytes) / (1 << 20), node.memory_bytes_per_command());
  if (node.fast_path + node.slow_path > 0)
    text += format("fast path    %.1f %% of the instances\n", 100 * fast_share(node));
  if (node.failed > 0) text += format("failed       %s\n", grouped(double(node.failed)).c_str());
  if (result.floor) {
    const Window& floor = *result.floor;
    text += "bare floor   " + grouped(floor.commands_per_second()) + " commands/s, " +
            latency(floor) + format(", %.2f us per command\n", floor.cpu_us_per_command());
    text += format("of the floor %.0f %% of its commands/s; %.2f times its CPU\n",
                   100 * share(node.commands_per_second(), floor.commands_per_second()),
                   share(node.cpu_us_per_command(), floor.cpu_us_per_command()));
  }
  const std::string failure = failure_of(result);
  text += failure.empty() ? "digests      equal: " + hexadecimal(result.rest.digests.front()) + "\n"
                          : "";
  return text;
}

std::string to_json(const ThroughputOptions& options, const ThroughputResult& result) {
  nlohmann::ordered_json json = {
      {"benchmark", "throughput"},
      {"protocol", options.protocol},
      {"replicas", options.replicas},
      {"in_flight", options.in_flight},
      {"batch", options.batch},
      {"value_bytes", options.value_bytes},
      {"conflict_percent", options.conflict_percent},
      {"durability", to_string(options.durability)},
      {"interrupted", result.interrupted},
  };
  json.update(json_of(result.node));
  json["frames"] = result.node.frames;
  json["store_transactions"] = result.node.transactions;
  json["fast_path_share"] = fast_share(result.node);
  json["at_rest"] = result.rest.at_rest;
  json["digests_equal"] = result.rest.at_rest && result.rest.digests_equal;
  json["digests"] = nlohmann::ordered_json::array();
  for (const std::uint64_t digest : result.rest.digests)
    json["digests"].push_back(hexadecimal(digest));
  if (result.floor) {
    json["floor"] = json_of(*result.floor);
    json["share_of_floor"] =
        share(result.node.commands_per_second(), result.floor->commands_per_second());
    json["cpu_of_floor"] =
        share(result.node.cpu_us_per_command(), result.floor->cpu_us_per_command());
  }
  const std::string failure = failure_of(result);
  if (!failure.empty()) json["failure"] = failure;
  return json.dump(2) + "\n";
}

}  // namespace epaxos::bench
