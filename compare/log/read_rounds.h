#pragma once

// The leader's half of reads without a place in the log. Whoever asks how far to execute is
// answered when a quorum has said that this leader still leads, in words that answer what was sent
// after the question had come. What was sent is known by its time on the leader's own clock, which
// answers repeat. Source: Ongaro's thesis, 6.4.

#include <array>
#include <cstdint>
#include <deque>

#include "deps/types/ids.h"
#include "deps/types/replica_set.h"

namespace epaxos::compare {

/// The latest of these times that a quorum has reached. `counting`: whose answers count;
/// `is_quorum`: whether these, `self` among them, are one. kNever: `self` alone is one.
template <class IsQuorum>
Tick reached_by_quorum(const std::array<Tick, kReplicasMax>& times, ReplicaSet counting,
                       ReplicaId self, IsQuorum&& is_quorum) {
  ReplicaSet reached = ReplicaSet::only(self);
  Tick time = kNever;
  ReplicaSet left = counting.without(self);
  while (!is_quorum(reached)) {
    if (left.size() == 0) return 0;
    ReplicaId latest = *left.first();
    for (ReplicaSet rest = left; rest.first(); rest = rest.without(*rest.first())) {
      if (times[rest.first()->value()] > times[latest.value()]) latest = *rest.first();
    }
    time = times[latest.value()];
    reached.add(latest);
    left = left.without(latest);
  }
  return time;
}

class ReadRounds {
 public:
  struct Ask {
    std::uint64_t life = 0;  ///< 0: nobody asks.
    std::uint64_t number = 0;
  };

  /// This replica leads from now on, or no longer: who asked before asks again.
  void clear() { *this = {}; }

  /// A question that belongs to no round yet. Of each replica the last one counts.
  void ask(ReplicaId from, const Ask& ask) {
    Ask& known = fresh_[from.value()];
    if (ask.life < known.life || (ask.life == known.life && ask.number <= known.number)) return;
    known = ask;
    asking_.add(from);
  }
  [[nodiscard]] bool has_fresh() const { return asking_.size() > 0; }
  /// Whether a round may begin: there are questions, and not too many rounds.
  [[nodiscard]] bool may_begin() const { return has_fresh() && rounds_.size() < kRoundsMax; }

  /// All new questions share a round, which ends when a quorum has answered what was sent at
  /// `now` or later. Precondition: may_begin(); nothing that was sent before they came has this
  /// time. `index`: up to here something may have been told.
  void begin(Tick now, Slot index) {
    rounds_.push_back({now, index, fresh_, asking_});
    forget_fresh();
  }
  [[nodiscard]] bool under_way() const { return !rounds_.empty(); }

  /// A quorum has answered what was sent at `confirmed_at`. Calls tell(replica, ask, index).
  template <class Tell>
  void confirm(Tick confirmed_at, Tell&& tell) {
    while (!rounds_.empty() && rounds_.front().begun_at <= confirmed_at) {
      const Round round = rounds_.front();
      rounds_.pop_front();
      tell_all(round, tell);
    }
  }
  /// New questions need no round, as a lease runs.
  template <class Tell>
  void answer_fresh(Slot index, Tell&& tell) {
    const Round round{0, index, fresh_, asking_};
    forget_fresh();
    tell_all(round, tell);
  }

 private:
  static constexpr std::size_t kRoundsMax = 64;
  struct Round {
    Tick begun_at = 0;
    Slot index;
    std::array<Ask, kReplicasMax> asks{};
    ReplicaSet asking;
  };

  template <class Tell>
  static void tell_all(const Round& round, Tell& tell) {
    for (ReplicaSet left = round.asking; left.first(); left = left.without(*left.first())) {
      tell(*left.first(), round.asks[left.first()->value()], round.index);
    }
  }
  void forget_fresh() {
    fresh_ = {};
    asking_ = {};
  }

  std::array<Ask, kReplicasMax> fresh_{};
  ReplicaSet asking_;
  std::deque<Round> rounds_;
};

}  // namespace epaxos::compare
