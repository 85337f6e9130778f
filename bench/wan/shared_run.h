#pragma once

// Memory that the measuring process shares with the replicas that it forks: the links, which it may
// change while they run, when measuring begins and ends, and what their clients saw.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "bench/client/mixed_commands.h"
#include "bench/wan/recorder.h"
#include "bench/wan/ring.h"
#include "bench/wan/topology.h"
#include "net/emulated_links.h"

namespace epaxos::bench {

struct SharedRun {
  /// What one replica's process tells. Only it writes, while it lives.
  struct Replica {
    Ring<Sample, std::size_t{1} << 15> samples;
    /// By site: measured commands of its clients that have not ended.
    std::array<std::atomic<std::int64_t>, kSitesMax> unfinished{};
    /// By site: measured commands of its open loop that were not sent, since they were last taken.
    std::array<std::atomic<std::uint64_t>, kSitesMax> unsent{};
    /// By site: clients that are here. They die with it. An open loop counts as one.
    std::array<std::atomic<std::size_t>, kSitesMax> clients{};
    /// Whether it has executed a first command in this life.
    std::atomic<bool> answers{false};
  };

  net::LinkTable links;
  /// By site: the number of the replica that its clients ask.
  std::array<std::atomic<std::uint16_t>, kSitesMax> server_of{};
  /// By site: clients that are nowhere, as they have yet to begin, their replica was killed, or
  /// they have left it for the one that they are to ask. That one takes them.
  std::array<std::atomic<std::size_t>, kSitesMax> waiting_clients{};
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

}  // namespace epaxos::bench
