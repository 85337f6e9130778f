#pragma once

// The proposals of this host that have no outcome yet. A command's number leads straight to its
// place: the lower bits are the place, the upper ones tell its users apart, so that an execution
// that comes after the proposer was answered finds nobody.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/session.h"

namespace epaxos::runtime {

/// How a proposal ended. Runs on the host's thread and must not block.
using Completion = std::function<void(const Outcome&)>;

class Pending {
 public:
  /// Session of commands that came without one: of this replica, in this life of it. The highest
  /// bit keeps it apart from sessions that clients open.
  static std::uint64_t anonymous_session(std::uint64_t incarnation, ReplicaId self) {
    return kOwnSessionBit | (incarnation << 16 & (kControlSessionBit - 1)) | (self.value() + 1u);
  }

  /// Returns the number of the command. When it is of a client's session, that is `request`, and
  /// the number is known here alone.
  std::uint64_t add(Tick deadline, Completion done, CommandId request = {}) {
    if (free_.empty()) {
      check(entries_.size() <= kPlaceMask,
            "more proposals are pending than numbers can tell apart");
      free_.push_back(entries_.size());
      entries_.emplace_back();
    }
    const std::size_t place = free_.back();
    free_.pop_back();
    Entry& entry = entries_[place];
    entry.number = (++users_ << kPlaceBits) | place;
    entry.deadline = deadline;
    entry.request = request;
    entry.done = std::move(done);
    if (deadline != kNever) deadlines_.emplace(deadline, entry.number);
    return entry.number;
  }

  /// Takes out a proposal; an empty completion when it has its outcome already.
  Completion take(std::uint64_t number) {
    const std::size_t place = number & kPlaceMask;
    if (place >= entries_.size() || entries_[place].number != number) return {};
    entries_[place].number = 0;
    free_.push_back(place);
    return std::move(entries_[place].done);
  }

  /// The client's name for it; session 0 when it has none, or its outcome.
  [[nodiscard]] CommandId request_of(std::uint64_t number) const {
    return contains(number) ? entries_[number & kPlaceMask].request : CommandId();
  }

  [[nodiscard]] bool contains(std::uint64_t number) const {
    const std::size_t place = number & kPlaceMask;
    return place < entries_.size() && entries_[place].number == number;
  }

  /// Above every number so far, and not above any later one.
  [[nodiscard]] std::uint64_t next_number() const { return (users_ + 1) << kPlaceBits; }

  [[nodiscard]] Tick next_deadline() const {
    return deadlines_.empty() ? kNever : deadlines_.top().first;
  }
  /// Takes out the earliest deadline; its command may have its outcome already.
  std::uint64_t pop_deadline() {
    const std::uint64_t number = deadlines_.top().second;
    deadlines_.pop();
    return number;
  }
  /// Forgets deadlines of proposals that have their outcome: those at the front, and all of them
  /// when most are. Cost: O(1), amortised.
  void trim_deadlines() {
    while (!deadlines_.empty() && !contains(deadlines_.top().second)) deadlines_.pop();
    if (deadlines_.size() < 1024 || deadlines_.size() < 4 * size()) return;
    Deadlines kept;
    for (const Entry& entry : entries_) {
      if (entry.number != 0 && entry.deadline != kNever) kept.emplace(entry.deadline, entry.number);
    }
    deadlines_ = std::move(kept);
  }

  /// The numbers of all proposals, oldest first.
  [[nodiscard]] std::vector<std::uint64_t> numbers() const {
    std::vector<std::uint64_t> numbers;
    for (const Entry& entry : entries_) {
      if (entry.number != 0) numbers.push_back(entry.number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

  [[nodiscard]] std::size_t size() const { return entries_.size() - free_.size(); }

 private:
  static constexpr unsigned kPlaceBits = 24;
  static constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPlaceBits) - 1;

  struct Entry {
    std::uint64_t number = 0;  ///< 0: free.
    Tick deadline = kNever;
    CommandId request;
    Completion done;
  };
  using Deadline = std::pair<Tick, std::uint64_t>;
  using Deadlines = std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>>;

  std::vector<Entry> entries_;
  std::vector<std::size_t> free_;
  std::uint64_t users_ = 0;
  Deadlines deadlines_;
};

}  // namespace epaxos::runtime
