#pragma once

// Log, then speak: what a turn asked for leaves when every batch submitted up to and including that
// turn is durable. A turn without records inherits the number before it, so that a duplicate which
// arrives while the first write is in flight is not answered too early. Source: protocol.md 13.1.

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "deps/types/ids.h"
#include "epaxos/contract/effects.h"

namespace epaxos::runtime {

class PrefixGate {
 public:
  /// Effects with their memory from before, cleared.
  std::unique_ptr<Effects> fresh() {
    if (spare_.empty()) return std::make_unique<Effects>();
    std::unique_ptr<Effects> effects = std::move(spare_.back());
    spare_.pop_back();
    return effects;
  }

  /// Holds a turn until everything up to `batch`, the last one submitted so far, is durable.
  void hold(BatchNumber batch, std::unique_ptr<Effects> turn) {
    check(held_.empty() || held_.back().first <= batch, "batches are submitted in order");
    held_.emplace_back(batch, std::move(turn));
  }

  /// The oldest turn, if its gate is open. The caller carries it out and gives it back.
  std::unique_ptr<Effects> take_open(BatchNumber durable) {
    if (held_.empty() || held_.front().first > durable) return nullptr;
    std::unique_ptr<Effects> turn = std::move(held_.front().second);
    held_.pop_front();
    return turn;
  }

  void recycle(std::unique_ptr<Effects> turn) {
    turn->clear();
    if (spare_.size() < kSpareMax && turn->capacity_bytes() <= kSpareBytesMax) {
      spare_.push_back(std::move(turn));
    }
  }

  /// What is held never leaves.
  void drop_all() { held_.clear(); }

  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  static constexpr std::size_t kSpareMax = 16;
  static constexpr std::size_t kSpareBytesMax = 4 * 1024 * 1024;

  std::deque<std::pair<BatchNumber, std::unique_ptr<Effects>>> held_;
  std::vector<std::unique_ptr<Effects>> spare_;
};

}  // namespace epaxos::runtime
