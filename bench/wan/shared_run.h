#pragma once

// Memory that the measuring process shares with the replicas that it forks: the links, which it may
// change while they run, when measuring begins and ends, and what their clients saw.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "bench/client/mixed_commands.h"
#include "bench/wan/recorder.h"
#include "bench/wan/topology.h"
#include "net/emulated_links.h"

namespace epaxos::bench {

/// Samples on their way from the one process that writes to the one that reads. Lock-free.
class SampleRing {
 public:
  static constexpr std::size_t kSamples = std::size_t{1} << 15;

  void write(const Sample& sample) {
    const std::uint64_t at = written_.load(std::memory_order_relaxed);
    if (at - read_.load(std::memory_order_acquire) == kSamples) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    samples_[at % kSamples] = sample;
    written_.store(at + 1, std::memory_order_release);
  }

  /// Calls fn(const Sample&) with all that were written.
  template <class Fn>
  void read(Fn&& fn) {
    std::uint64_t at = read_.load(std::memory_order_relaxed);
    const std::uint64_t end = written_.load(std::memory_order_acquire);
    for (; at != end; ++at) fn(samples_[at % kSamples]);
    read_.store(at, std::memory_order_release);
  }

  /// Samples for which there was no room: the reader did not come for too long.
  [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> read_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::array<Sample, kSamples> samples_;
};

struct SharedRun {
  /// What one replica's process tells. Only it writes, while it lives.
  struct Replica {
    SampleRing samples;
    /// By site: measured commands of its clients that have not ended.
    std::array<std::atomic<std::int64_t>, kSitesMax> unfinished{};
    /// By site: measured commands of its open loop that were not sent, since they were last taken.
    std::array<std::atomic<std::uint64_t>, kSitesMax> unsent{};
  };

  net::LinkTable links;
  /// By site: the number of the replica that its clients ask.
  std::array<std::atomic<std::uint16_t>, kSitesMax> server_of{};
  /// By site: commands of its open loop whose time has come, so that whoever takes the site over
  /// goes on behind them.
  std::array<std::atomic<std::uint64_t>, kSitesMax> arrived{};
  /// By site: when the next one is due; before now, if this machine cannot send them in time.
  std::array<std::atomic<Tick>, kSitesMax> next_due{};
  InsertedRecords inserted;
  /// On the steady clock: clients begin in the second after `begin_us`, and what they send in
  /// [from_us, to_us) is measured. Set before the load begins.
  std::atomic<Tick> begin_us{0};
  std::atomic<Tick> from_us{0};
  std::atomic<Tick> to_us{0};
  std::array<Replica, kReplicasMax> replicas;
};

/// In memory that fork() shares. Null: there is none left.
struct Unmap {
  void operator()(SharedRun* run) const;
};
using SharedRunPointer = std::unique_ptr<SharedRun, Unmap>;
SharedRunPointer make_shared_run();

}  // namespace epaxos::bench
