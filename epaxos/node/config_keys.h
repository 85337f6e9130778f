#pragma once

// The keys of a cluster file in one table, used to read it, to check ranges, to print it and to
// find the key that somebody meant. Private to this project.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "epaxos/node/config.h"

namespace epaxos::config {

/// A number of the tables [limits] or [timers].
struct NumberKey {
  std::string_view table;
  std::string_view name;
  std::uint64_t min;
  std::uint64_t max;
  std::uint64_t& (*field)(ClusterConfig&);
  std::string_view meaning;  ///< For the commented file.
};
std::span<const NumberKey> number_keys();

/// The one switch, of the table [timers].
inline constexpr std::string_view kThrifty = "thrifty";
inline constexpr std::string_view kWaitForFastPath = "wait_for_fast_path";

/// And the one of [[replicas]].
inline constexpr std::string_view kMember = "member";
/// Of the table [emulation].
inline constexpr std::string_view kOneWay = "one_way_ms";
inline constexpr std::string_view kJitter = "jitter_ms";
inline constexpr std::string_view kLoss = "loss_percent";
inline constexpr std::string_view kLossDelay = "loss_delay_ms";
inline constexpr std::string_view kBandwidth = "mbit_per_s";
inline constexpr double kDelayMsMax = 60'000;

/// Every key that a table of the file may have. Tables: "" (the file itself), "replicas", "limits",
/// "timers", "emulation".
std::vector<std::string_view> known_keys(std::string_view table);

/// ` Did you mean "name"?`, or what there is, when nothing is near.
std::string hint(std::string_view unknown, std::span<const std::string_view> known);

/// What is wrong with a value, and where: "replicas[2].peer".
struct Problem {
  std::string key;
  std::string message;
};
/// The first thing that complete() would refuse.
std::optional<Problem> first_problem(const ClusterConfig& config);

/// "limits.batch_bytes_max"; the name alone for the file itself.
std::string path_of(std::string_view table, std::string_view name);
std::string replica_key(std::size_t index, std::string_view name);

}  // namespace epaxos::config
