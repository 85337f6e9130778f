#pragma once

// A closed loop of writes of the key-value machine from outside of the replicas: so many requests
// are under way at any moment, each of which is followed by the next when it has its outcome.

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "deps/types/histogram.h"
#include "deps/types/result.h"
#include "executor/key_value_command.h"
#include "net/client.h"

namespace epaxos::bench {

/// Which keys are written, and with what.
struct KeyChoice {
  std::string prefix = {};      ///< Of the own keys, before a number; different for each client.
  std::string hot_key = "hot";  ///< All clients share it.
  unsigned hot_percent = 0;     ///< Commands on that one.
  bool increments = false;      ///< Adds one to counters, instead of putting values.
  std::size_t value_bytes = 64;
  std::size_t own_keys = 10'000;  ///< They take turns; fewer when the values are very large.
  std::uint64_t seed = 1;
};

/// Whose turn it is: each own key after the other, and now and then, by chance, the hot one.
class KeyTurns {
 public:
  explicit KeyTurns(const KeyChoice& choice);
  /// None: the hot one.
  std::optional<std::size_t> next();
  [[nodiscard]] std::size_t own_keys() const { return own_keys_; }

 private:
  const unsigned hot_percent_;
  const std::size_t own_keys_;
  std::mt19937_64 random_;
  std::size_t turn_ = 0;
};

/// Ready-made commands, so that a load spends its time on the network.
class Writes {
 public:
  struct Next {
    Bytes payload;  ///< Lives as long as this object.
    bool hot = false;
  };
  explicit Writes(const KeyChoice& choice);
  Next next();

 private:
  KeyTurns turns_;
  std::vector<kv::Payload> own_;
  kv::Payload hot_;
};

struct LoadOptions {
  KeyChoice keys;
  std::optional<ReplicaId> replica;  ///< This one and no other; else the nearest.
  std::size_t in_flight = 16;
  double warm_up_s = 0.5;  ///< Left out of the result.
  double seconds = 5;
  std::uint64_t commands_max = 0;  ///< Ends earlier, after these many; 0: no such limit.
};

/// Between the client and the replicas, pings included.
struct Traffic {
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t messages_in = 0;
  std::uint64_t bytes_in = 0;
};

/// What became of commands.
struct Tally {
  std::uint64_t submitted = 0;
  std::uint64_t acknowledged = 0;  ///< Executed, and its reply says that it changed something.
  std::uint64_t rejected = 0;      ///< Certainly without an effect.
  [[nodiscard]] std::uint64_t unknown() const { return submitted - acknowledged - rejected; }
  Tally& operator+=(const Tally& other);
  bool operator==(const Tally&) const = default;
};

/// A part of the measured time.
struct TimeSlice {
  static constexpr Tick kLengthUs = 100'000;

  std::uint64_t executed = 0;
  Tick longest_gap_us = 0;  ///< Of those that end in it.
  Tick slowest_us = 0;      ///< Of the answers in it: since the command was submitted.
  bool operator==(const TimeSlice&) const = default;
};

/// Everything is of the measured time alone, but for the tallies: they are of all commands, with
/// those of the warm-up and those whose outcomes came late.
struct LoadResult {
  double seconds = 0;
  Tick measured_from_us = 0;  ///< On the steady clock of this machine.
  std::uint64_t executed = 0;
  std::uint64_t rejected = 0;
  std::uint64_t unknown = 0;
  std::string last_failure;  ///< The sentence of the last one that was not executed.
  Histogram commit_us;       ///< Until the commit, as the client sees it.
  Histogram execution_us;    ///< Until the reply.
  Traffic traffic;
  /// The longest time without an executed answer.
  Tick longest_gap_us = 0;
  std::vector<TimeSlice> slices;  ///< Up to an hour.
  Tally own;                      ///< On the own keys.
  Tally hot;                      ///< On the hot one.

  /// Adds what another client measured at the same time; the slices are left alone.
  void merge(const LoadResult& other);
};

/// Runs it. Ends early when `stop` says so, which is asked between polls, with what was measured.
/// Precondition: the client allows as many requests in flight.
LoadResult run_load(net::Client& client, const LoadOptions& options,
                    const std::function<bool()>& stop);

}  // namespace epaxos::bench
