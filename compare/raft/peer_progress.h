#pragma once

// What a leader knows of a follower: what its log holds, and what is on the way to it. Entries are
// streamed without waiting for answers, within a window; after a refusal the leader first asks
// where the logs agree.

#include <cstddef>
#include <cstdint>
#include <deque>

#include "compare/raft/message.h"

namespace epaxos::compare::raft {

class PeerProgress {
 public:
  /// Bytes and messages on the way to one follower.
  static constexpr std::size_t kInFlightBytesMax = std::size_t{4} * 1024 * 1024;
  static constexpr std::size_t kInFlightMax = 256;
  /// Entries on the way: a follower takes so many in one turn at the worst.
  static constexpr std::size_t kInFlightEntriesMax = std::size_t{16} * 1024;
  /// Beyond so many bytes what is sent stands in line behind them.
  static constexpr std::size_t kBulkBytes = std::size_t{128} * 1024;

  // Figure 2, volatile state on leaders.
  LogIndex next_index{1};
  LogIndex match_index;

  bool probing = false;    ///< It is not known whether next_index - 1 agrees.
  bool probe_due = false;  ///< And the question is not on its way.
  bool voting = true;      ///< By its own word.
  bool forgot = false;     ///< Its disk has lost promises: its word counts for nothing.
  bool answered = false;   ///< Since this leader began.
  Tick heard_at = 0;
  Tick round_trip_us = 0;  ///< Smoothed; 0: not measured.
  Tick bulk_at = 0;        ///< When more than kBulkBytes were on the way, last.

  [[nodiscard]] bool counts() const { return voting && !forgot; }

  /// A leader begins: it supposes that everybody's log ends where its own does.
  void begin(LogIndex next, Tick now) {
    next_index = next;
    match_index = LogIndex();
    probing = probe_due = answered = false;
    heard_at = now;
    forget_flight();
  }

  [[nodiscard]] bool may_stream() const {
    return !probing && in_flight_.size() < kInFlightMax && in_flight_bytes_ < kInFlightBytesMax &&
           in_flight_entries_ < kInFlightEntriesMax;
  }
  /// Entries up to `last` are on the way.
  void sent(LogIndex last, std::size_t bytes, Tick now) {
    const std::uint64_t entries = last.next().value() - next_index.value();
    in_flight_.push_back({last, bytes, entries});
    in_flight_bytes_ += bytes;
    in_flight_entries_ += entries;
    next_index = last.next();
    note_bulk(now);
  }
  void note_bulk(Tick now) {
    if (in_flight_bytes_ > kBulkBytes) bulk_at = now;
  }
  /// Whether what was sent then may have stood in line. Precondition: note_bulk() at this moment.
  [[nodiscard]] bool was_in_line(Tick sent_at) const { return sent_at <= bulk_at; }
  /// Its log agrees up to here, and is on its disk.
  void matches(LogIndex index) {
    if (index > match_index) match_index = index;
    if (next_index <= match_index) next_index = match_index.next();
    agrees(match_index);
    while (!in_flight_.empty() && in_flight_.front().last <= match_index) {
      in_flight_bytes_ -= in_flight_.front().bytes;
      in_flight_entries_ -= in_flight_.front().entries;
      in_flight_.pop_front();
    }
  }
  /// Its log agrees up to here, whatever is on its disk.
  void agrees(LogIndex index) {
    if (index.next() >= next_index) probing = probe_due = false;
  }
  /// Everything from `next` on is to be sent again, once it is known to follow.
  void probe_from(LogIndex next) {
    next_index = next;
    forget_flight();
    probing = next_index > match_index.next();
    probe_due = probing;
  }

 private:
  struct InFlight {
    LogIndex last;
    std::size_t bytes = 0;
    std::uint64_t entries = 0;
  };

  void forget_flight() {
    in_flight_.clear();
    in_flight_bytes_ = in_flight_entries_ = 0;
  }

  std::deque<InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::uint64_t in_flight_entries_ = 0;
};

}  // namespace epaxos::compare::raft
