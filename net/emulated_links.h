#pragma once

// A network that is slower than the real one, for experiments on one machine and without root: what
// a replica sends waits here, a directed link at a time and in its order, before ZeroMQ gets it.
// Delay, jitter, loss as the delay that it costs TCP, bandwidth, and links that are cut. The
// settings may be changed while it runs, by another thread or, in shared memory, another process.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/ids.h"

namespace epaxos::net {

/// One directed link. Times in microseconds.
struct LinkSettings {
  Tick delay_us = 0;   ///< One way.
  Tick jitter_us = 0;  ///< Up to so much more, evenly drawn; messages never overtake each other.
  double loss = 0;  ///< Of messages, 0 .. 1: they and all behind them arrive loss_delay_us later.
  Tick loss_delay_us = 200'000;
  std::uint64_t bytes_per_second = 0;  ///< 0: as many as come.
  bool cut = false;                    ///< Everything is dropped.

  friend bool operator==(const LinkSettings&, const LinkSettings&) = default;
};

/// The links of a group. Lock-free; each setting is seen for itself, soon after it was made.
class LinkTable {
 public:
  void set(ReplicaId from, ReplicaId to, const LinkSettings& settings);
  [[nodiscard]] LinkSettings get(ReplicaId from, ReplicaId to) const;

 private:
  struct Link {
    std::atomic<Tick> delay_us{0};
    std::atomic<Tick> jitter_us{0};
    std::atomic<std::uint64_t> loss_ppm{0};
    std::atomic<Tick> loss_delay_us{0};
    std::atomic<std::uint64_t> bytes_per_second{0};
    std::atomic<bool> cut{false};
  };
  static_assert(std::atomic<Tick>::is_always_lock_free);

  Link links_[kReplicasMax][kReplicasMax];
};

struct LinkCounters {
  std::uint64_t delayed = 0;       ///< Messages that waited here.
  std::uint64_t lost = 0;          ///< Of these: that waited for being sent again.
  std::uint64_t dropped_cut = 0;   ///< The link was cut.
  std::uint64_t dropped_full = 0;  ///< Too much was on the way already.
};

/// What one replica sends. One thread.
class EmulatedLinks {
 public:
  /// Bytes on the way to one replica; beyond them messages are dropped.
  static constexpr std::size_t kHeldBytesMax = std::size_t{256} << 20;

  /// `table` outlives this. `seed`: of jitter and loss.
  EmulatedLinks(const LinkTable& table, ReplicaId self, std::uint64_t seed);

  /// Copies the message. False: dropped.
  bool send(ReplicaId to, Bytes message, Tick now);

  /// Calls fn(ReplicaId to, Bytes message) for all that have arrived by now.
  template <class Fn>
  void release(Tick now, Fn&& fn) {
    if (now < due_) return;
    due_ = kNever;
    for (std::size_t to = 0; to < links_.size(); ++to) {
      std::deque<Held>& held = links_[to].held;
      for (; !held.empty() && held.front().due <= now; held.pop_front()) {
        links_[to].held_bytes -= held.front().message.size();
        fn(replica_at(static_cast<int>(to)), Bytes(held.front().message));
      }
      if (!held.empty()) due_ = std::min(due_, held.front().due);
    }
  }
  /// When release() has something to do; kNever: nothing is on the way.
  [[nodiscard]] Tick due() const { return due_; }
  [[nodiscard]] const LinkCounters& counters() const { return counters_; }

 private:
  struct Held {
    Tick due = 0;
    std::vector<std::byte> message;
  };
  struct Link {
    std::deque<Held> held;
    std::size_t held_bytes = 0;
    Tick free_at = 0;  // When the last byte so far has left the sender.
    Tick last = 0;     // When the last message so far arrives.
  };

  [[nodiscard]] std::uint64_t draw();

  const LinkTable& table_;
  const ReplicaId self_;
  std::uint64_t random_;
  std::vector<Link> links_;
  Tick due_ = kNever;
  LinkCounters counters_;
};

/// A network as a cluster file describes it.
struct EmulatedNetwork {
  /// From the row's replica to the column's; the diagonal is not used.
  std::vector<std::vector<Tick>> one_way_us;
  LinkSettings all = {};  ///< Of every link, but for the delay.

  [[nodiscard]] std::unique_ptr<LinkTable> table() const;

  friend bool operator==(const EmulatedNetwork&, const EmulatedNetwork&) = default;
};

}  // namespace epaxos::net
