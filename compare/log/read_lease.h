#pragma once

// How long a leader may take it for granted that it leads. Whoever answers one of its words and
// promises not to help another leader for a while gives it a lease, which the leader counts from
// when it sent that word, and for half as long as was promised. So it holds as long as no replica's
// clock runs twice as fast as another's; clocks need not show the same time, but must run on while
// a process or its machine stands still. Source: Ongaro's thesis, 6.4.1.

#include <algorithm>

#include "deps/types/ids.h"
#include "deps/types/mutant.h"

namespace epaxos::compare {

/// When a lease ends on the leader's clock: what it sent then was answered with such a promise.
constexpr Tick lease_end(Tick sent_at, Tick promised_us) {
  return sent_at + promised_us / 2;
}

/// The leader's.
class ReadLease {
 public:
  /// It leads, or no longer: what it was promised before counts no more.
  void begin() { *this = {}; }
  /// It has asked somebody to stand for election, who need not wait for its lease to end. Late or
  /// repeated, that word may have its effect at any time, so there is no lease until begin().
  void give_up() { given_up_ = true; }
  /// The members change: who promised it may be no quorum any more.
  void forget_promises() { until_ = shown_until_ = 0; }
  /// A quorum has promised this.
  void extend(Tick until, Tick now) {
    if (until <= until_) return;
    until_ = until;
    shown_until_ = shown(now) + until - std::min(now, until);
  }
  /// Precondition: `now` was read after whatever is decided by the answer had come.
  [[nodiscard]] bool runs(Tick now) const {
    if (mutant(Mutant::kPaxosLeaseWallClock)) return !given_up_ && shown(now) < shown_until_;
    return !given_up_ && now < until_;
  }

 private:
  /// A wall clock, for the known bug: every quarter of a second it is set, by up to 20 seconds.
  static constexpr Tick shown(Tick now) {
    return now + 20 * kSecond - mix64(now / 250'000) % (20 * kSecond);
  }

  Tick until_ = 0;
  Tick shown_until_ = 0;
  bool given_up_ = false;
};

/// Of a replica that may have given a lease.
class LeasePromise {
 public:
  /// The time of a turn was read before what it brings had come, so a promise begins with the next
  /// one.
  void give(Tick promised_us) { promised_us_ = promised_us; }
  void tick(Tick now) {
    if (!is_new()) return;
    until_ = std::max(until_, now + promised_us_);
    promised_us_ = 0;
  }
  /// Whether a turn is due at once.
  [[nodiscard]] bool is_new() const { return promised_us_ > 0; }
  /// Nobody else is helped to lead.
  [[nodiscard]] bool binds(Tick now) const { return is_new() || now < until_; }

 private:
  Tick promised_us_ = 0;
  Tick until_ = 0;
};

}  // namespace epaxos::compare
