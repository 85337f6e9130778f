#include "epaxos/node/config_keys.h"

#include <array>

#include "deps/types/command.h"
#include "deps/types/nearest_name.h"

namespace epaxos::config {
namespace {

constexpr std::uint64_t kMinute = 60'000'000;
constexpr std::uint64_t kDay = 1440 * kMinute;
constexpr std::uint64_t kMany = 1 << 24;
constexpr std::uint64_t kNeverReached = std::uint64_t{1} << 40;  // For what is not to happen.
// What is left of an instance beside the footprint and the heads of its commands.
constexpr std::uint64_t kBatchBytesMax = kBlockBytesMax - kPayloadBytesMax;

using Config = ClusterConfig;
constexpr std::array kNumbers = {
    NumberKey{"limits", "batch_commands_max", 1, kBlockCommandsMax,
              [](Config& c) -> std::uint64_t& { return c.core.batch_commands_max; },
              "Commands of one turn that may share an instance; 1 is off."},
    NumberKey{"limits", "batch_bytes_max", 1, kBatchBytesMax,
              [](Config& c) -> std::uint64_t& { return c.core.batch_bytes_max; },
              "Payload bytes of one instance, roughly."},
    NumberKey{"limits", "in_flight_max", 1, kMany,
              [](Config& c) -> std::uint64_t& { return c.core.in_flight_max; },
              "Undecided instances of one owner; beyond it proposals are refused as overloaded."},
    NumberKey{"limits", "held_undecided_max", 1024, kMany,
              [](Config& c) -> std::uint64_t& { return c.core.held_undecided_max; },
              "Undecided instances that a replica holds of one row."},
    NumberKey{"limits", "pending_max", 1, kMany,
              [](Config& c) -> std::uint64_t& { return c.pending_max; },
              "Proposals of one replica that wait for their outcome."},
    NumberKey{"limits", "image_log_bytes", 4096, kNeverReached,
              [](Config& c) -> std::uint64_t& { return c.image_log_bytes; },
              "Bytes of records after which an image of the state is made, so that older ones go."},
    NumberKey{
        "limits", "image_lag_instances", 1, kNeverReached,
        [](Config& c) -> std::uint64_t& { return c.core.image_lag_instances; },
        "Instances that a replica is behind before it asks a peer for an image of the state."},
    NumberKey{
        "limits", "held_executed_max", 1, kNeverReached,
        [](Config& c) -> std::uint64_t& { return c.core.held_executed_max; },
        "Executed commands held in memory for a member that is away; older ones stay on disk."},
    NumberKey{
        "limits", "held_bytes_max", 1 << 20, kNeverReached,
        [](Config& c) -> std::uint64_t& { return c.core.held_bytes_max; },
        "Memory of commands; when it is held for a member that is away, proposals are refused."},
    NumberKey{"limits", "history_instances", 0, kMany / 16,
              [](Config& c) -> std::uint64_t& { return c.core.history_instances; },
              "Own instances, the last ones, that \"epaxosctl explain\" can tell about; 0 is off."},
    NumberKey{"timers", "retransmit_us", 1'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.retransmit_us; },
              "First re-send of an unanswered request; doubles each time. Above the round trip."},
    NumberKey{"timers", "retransmit_max_us", 1'000, 10 * kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.retransmit_max_us; },
              "The longest wait between two re-sends."},
    NumberKey{"timers", "fast_wait_us", 0, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.fast_wait_us; },
              "After a slow quorum has answered: how long a fast one is waited for."},
    NumberKey{"timers", "gossip_us", 1'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.gossip_us; },
              "Between two messages that say how far a replica is."},
    NumberKey{"timers", "question_us", 1'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.question_us; },
              "Before a hole or an undecided instance is asked about."},
    NumberKey{"timers", "suspicion_us", 1'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.suspicion_us; },
              "A replica that answers nothing for so long counts as gone. Above the round trip."},
    NumberKey{"timers", "recovery_stagger_us", 0, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.recovery_stagger_us; },
              "Between the replicas that may recover the instances of one that is gone."},
    NumberKey{"timers", "recovery_timeout_us", 1'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.recovery_timeout_us; },
              "Of the first attempt of a recovery; doubles each time. Above two round trips."},
    NumberKey{"timers", "election_us", 10'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.election_us; },
              "Raft, Multi-Paxos: without a leader's word for so long, up to twice: an election."},
    NumberKey{"timers", "heartbeat_us", 1'000, kMinute,
              [](Config& c) -> std::uint64_t& { return c.core.heartbeat_us; },
              "Raft, Multi-Paxos: between the words of a leader that has nothing to say."},
    NumberKey{"timers", "session_ttl_us", 100'000, 365 * kDay,
              [](Config& c) -> std::uint64_t& { return c.session_ttl_us; },
              "Until a client session that nobody uses is forgotten."},
};

}  // namespace

std::span<const NumberKey> number_keys() {
  return kNumbers;
}

std::vector<std::string_view> known_keys(std::string_view table) {
  if (table.empty()) {
    return {"name",     "id",     "durability", "reads",    kThrifty,
            "replicas", "limits", "timers",     "emulation"};
  }
  if (table == "emulation") return {kOneWay, kJitter, kLoss, kLossDelay, kBandwidth};
  if (table == "replicas") return {"peer", "client", "site", kMember};
  std::vector<std::string_view> keys;
  for (const NumberKey& key : kNumbers) {
    if (key.table == table) keys.push_back(key.name);
  }
  if (table == "timers") keys.push_back(kWaitForFastPath);
  return keys;
}

std::string hint(std::string_view unknown, std::span<const std::string_view> known) {
  const std::string_view nearest = nearest_name(unknown, known);
  std::string all;
  for (const std::string_view key : known) {
    all += (all.empty() ? "" : ", ") + std::string(key);
  }
  if (nearest.empty()) return " Known here: " + all + ".";
  return " Did you mean \"" + std::string(nearest) + "\"?";
}

std::string path_of(std::string_view table, std::string_view name) {
  return table.empty() ? std::string(name) : std::string(table) + "." + std::string(name);
}

std::string replica_key(std::size_t index, std::string_view name) {
  return path_of("replicas[" + std::to_string(index) + "]", name);
}

}  // namespace epaxos::config
