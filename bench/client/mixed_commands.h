#pragma once

// What clients ask for: reads and writes of the key-value machine in given shares, of keys that are
// their own, one that all share, or records that all share by Zipf's law. The workloads of YCSB are
// such mixes.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "bench/client/load.h"
#include "bench/client/zipf.h"
#include "deps/types/result.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {

/// How frequent the most frequent records are, where nobody says otherwise: as in YCSB.
inline constexpr double kYcsbTheta = 0.99;

struct CommandMix {
  std::string ycsb = {};  ///< The workload of YCSB that this is, "A"; empty: none.
  unsigned read_percent = 0;
  /// The records are asked for by Zipf's law with this theta; none: keys are as KeyChoice says.
  std::optional<double> zipf_theta = {};
  std::uint64_t keys = 1'000'000;  ///< Of Zipf's law: so many records.
  bool inserts = false;            ///< Writes insert records behind the others. Has a theta.
  bool latest = false;             ///< The newest records are read most. They are inserted.
  bool modifies = false;           ///< Before each write its key is read.
  std::size_t scan_max =
      0;  ///< A read is of 1 to so many records in a row; 0: of one. Has a theta.

  [[nodiscard]] bool has_reads() const { return read_percent > 0 || modifies; }
  [[nodiscard]] bool has_writes() const { return read_percent < 100; }
};

/// The mix of a workload of YCSB: "A" to "F", or in small letters. A scan is a multi-get of the
/// records in a row, for the key-value machine has no order of keys.
/// Errors: invalid argument - it is none.
Result<CommandMix> ycsb_mix(std::string_view name);

/// Numbers of records, for all clients that insert some. May lie in memory that processes share.
class InsertedRecords {
 public:
  InsertedRecords() = default;
  /// Where others, who do not tell, insert the records between: `first` and every `step`-th from
  /// there on are left to this.
  InsertedRecords(std::uint64_t first, std::uint64_t step) : step_(step), next_(first) {}

  /// Of the next one to be inserted.
  std::uint64_t take() { return next_.fetch_add(step_, std::memory_order_relaxed); }
  /// That one is there.
  void inserted(std::uint64_t number);
  /// Up to the newest one that is there; those before it may be on their way.
  [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t step_ = 1;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<std::uint64_t> count_{0};
};

/// What a client sends.
struct MixedCommand {
  kv::Payload payload;
  bool reads = false;
  /// A write that follows when this read has its answer; empty: none does.
  kv::Payload then = {};
  /// The record that this write inserts: InsertedRecords::inserted() when it is executed.
  std::optional<std::uint64_t> inserts = {};
};

/// The commands of one place, in an order that the seed decides.
class MixedCommands {
 public:
  /// `zipf` has the mix's keys and theta, null where it has none. Both pointers outlive this.
  /// Precondition: where the mix has a theta, `zipf` is there; and `inserted`, if it inserts.
  MixedCommands(const KeyChoice& choice, const CommandMix& mix, const Zipf* zipf,
                InsertedRecords* inserted);

  MixedCommand next();

 private:
  [[nodiscard]] kv::Payload write(const std::string& key) const;
  kv::Payload scan();
  std::string next_key();
  std::uint64_t next_record();

  const KeyChoice choice_;
  const CommandMix mix_;
  const Zipf* const zipf_;
  InsertedRecords* const inserted_;
  const std::string value_;
  KeyTurns turns_;
  std::mt19937_64 random_;  // Of what is read, and of records.
};

}  // namespace epaxos::bench
