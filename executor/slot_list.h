#pragma once

// The slots of one row that wait and touch one key, in ascending order. Slots come in and leave
// mostly in order, so both ends are cheap and the middle is a binary search and a move.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "deps/types/ids.h"

namespace epaxos::executor {

class SlotList {
 public:
  void insert(Slot slot) {
    if (head_ == slots_.size()) {
      slots_.clear();
      head_ = 0;
    }
    if (slots_.empty() || slots_.back() < slot) return slots_.push_back(slot);
    const auto at = std::lower_bound(begin(), slots_.end(), slot);
    if (at == slots_.end() || *at != slot) slots_.insert(at, slot);
  }

  void erase(Slot slot) {
    if (head_ == slots_.size()) return;
    if (slots_[head_] == slot) {
      ++head_;
      if (head_ > kCompactAt && head_ > slots_.size() / 2) compact();
      return;
    }
    const auto at = std::lower_bound(begin(), slots_.end(), slot);
    if (at != slots_.end() && *at == slot) slots_.erase(at);
  }

  /// How many slots are at most `slot`; an index for operator[].
  [[nodiscard]] std::size_t count_up_to(Slot slot) const {
    if (empty() || slots_.back() <= slot) return size();
    const auto first = slots_.begin() + static_cast<std::ptrdiff_t>(head_);
    return static_cast<std::size_t>(std::upper_bound(first, slots_.end(), slot) - first);
  }

  [[nodiscard]] Slot operator[](std::size_t index) const { return slots_[head_ + index]; }
  [[nodiscard]] std::size_t size() const { return slots_.size() - head_; }
  [[nodiscard]] bool empty() const { return head_ == slots_.size(); }

 private:
  static constexpr std::size_t kCompactAt = 1024;

  std::vector<Slot>::iterator begin() {
    return slots_.begin() + static_cast<std::ptrdiff_t>(head_);
  }
  void compact() {
    slots_.erase(slots_.begin(), begin());
    head_ = 0;
  }

  std::vector<Slot> slots_;
  std::size_t head_ = 0;  ///< Those before it have left.
};

}  // namespace epaxos::executor
