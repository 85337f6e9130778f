#pragma once

// The owner's volatile count for its own instances that are not decided yet, and the queues of what
// is due. Losing all of this costs time, never safety. Source: protocol.md 4.3.

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "deps/types/dependencies.h"
#include "deps/types/ids.h"
#include "epaxos/protocol/quorum.h"

namespace epaxos::protocol {

enum class Stage : std::uint8_t {
  kPreAccepting,  ///< Counting PreAcceptOk.
  kDecidingFast,  ///< The fast decision is on its way to the disk; not yet to be told (G6).
  kAccepting,     ///< Counting AcceptOk at ballot 0.
};

struct Progress {
  Slot slot;
  std::size_t bytes = 0;  ///< Of memory that the instance takes.
  Stage stage = Stage::kPreAccepting;
  bool own_vote_durable = false;
  bool waits_for_fast_path = false;  ///< The fast-wait timer is armed.
  bool waited = false;               ///< The fast-wait timer has expired.
  PreAcceptTally tally;
  Dependencies merged;  ///< The union of all answers.
  ReplicaSet accepted;
};

/// A pool, so that a command in flight costs no allocation.
class ProgressPool {
 public:
  std::uint32_t add(Slot slot, const Dependencies& initial, std::size_t bytes) {
    std::uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(pool_.size());
      pool_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    pool_[index] = Progress{};
    pool_[index].slot = slot;
    pool_[index].bytes = bytes;
    bytes_ += bytes;
    pool_[index].merged = initial;
    return index;
  }
  void release(std::uint32_t index) {
    bytes_ -= pool_[index].bytes;
    free_.push_back(index);
  }

  Progress& operator[](std::uint32_t index) { return pool_[index]; }
  const Progress& operator[](std::uint32_t index) const { return pool_[index]; }
  [[nodiscard]] std::size_t in_flight() const { return pool_.size() - free_.size(); }
  /// Of memory that the instances in flight take.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
  std::vector<Progress> pool_;
  std::vector<std::uint32_t> free_;
};

/// Own slots that are due some time later. All entries of a queue wait equally long, so that each
/// is a plain first-in-first-out queue; entries of finished slots are dropped when they come up.
class DueQueue {
 public:
  struct Entry {
    Tick due = 0;
    Slot slot;
  };

  void push(Tick due, Slot slot) {
    // Time may stand still within a turn but never goes back.
    check(entries_.empty() || entries_.back().due <= due, "a due queue went back in time");
    entries_.push_back({due, slot});
  }
  [[nodiscard]] Tick next() const { return entries_.empty() ? kNever : entries_.front().due; }
  Slot pop() {
    const Slot slot = entries_.front().slot;
    entries_.pop_front();
    return slot;
  }
  /// All of them are due at that time, if not before.
  void hasten(Tick due) {
    for (auto entry = entries_.rbegin(); entry != entries_.rend() && entry->due > due; ++entry) {
      entry->due = due;
    }
  }
  /// Forgets entries at the front that are over.
  template <class IsOver>
  void trim(IsOver is_over) {
    while (!entries_.empty() && is_over(entries_.front().slot)) entries_.pop_front();
  }

 private:
  std::deque<Entry> entries_;
};

/// When to send an unanswered request again: later each time.
class RetransmitQueue {
 public:
  static constexpr std::size_t kLevels = 6;

  RetransmitQueue(Tick first, Tick longest) : first_(first), longest_(longest) {}

  void push(Tick now, Slot slot, std::size_t attempt) {
    const std::size_t level = std::min(attempt, kLevels - 1);
    levels_[level].push(now + std::min(first_ << level, longest_), slot);
  }
  /// What was sent again already is due at once. Cost: of all such entries.
  void hasten(Tick now) {
    for (std::size_t level = 1; level < kLevels; ++level) levels_[level].hasten(now);
  }
  [[nodiscard]] Tick next() const {
    Tick next = kNever;
    for (const DueQueue& level : levels_) next = std::min(next, level.next());
    return next;
  }
  template <class IsOver>
  void trim(IsOver is_over) {
    for (DueQueue& level : levels_) level.trim(is_over);
  }
  struct Due {
    Slot slot;
    std::size_t attempt = 0;  ///< The next one.
  };
  /// Takes out an entry that is due. Precondition: next() <= now.
  Due pop(Tick now) {
    std::size_t level = 0;
    while (levels_[level].next() > now) ++level;
    return {levels_[level].pop(), level + 1};
  }

 private:
  Tick first_;
  Tick longest_;
  std::array<DueQueue, kLevels> levels_;
};

}  // namespace epaxos::protocol
