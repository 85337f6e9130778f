#pragma once

// What is known of the slots of one row above its executed prefix: a number a slot. Near slots lie
// in a ring; one that is far ahead of all others stands in a map of its own, so that a gap costs
// nothing.

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "deps/types/check.h"
#include "deps/types/ids.h"

namespace epaxos::executor {

class RowWindow {
 public:
  static constexpr std::uint32_t kNothing = ~std::uint32_t{0};

  /// Every slot up to this one has left the window.
  [[nodiscard]] Slot base() const { return Slot(base_); }

  [[nodiscard]] std::uint32_t operator[](Slot slot) const {
    const std::uint64_t s = slot.value();
    if (s <= base_) return kNothing;
    if (s - base_ <= ring_.size()) return ring_[s & (ring_.size() - 1)];
    if (far_.empty()) return kNothing;
    const auto found = far_.find(s);
    return found == far_.end() ? kNothing : found->second;
  }

  /// Precondition: slot > base().
  void set(Slot slot, std::uint32_t value) {
    const std::uint64_t s = slot.value();
    check(s > base_, "a slot that has left its window was set");
    while (s - base_ > ring_.size() && ring_.size() < kRingMax && s - base_ <= 4 * ring_.size()) {
      grow();
    }
    if (s - base_ <= ring_.size()) {
      ring_[s & (ring_.size() - 1)] = value;
    } else {
      far_[s] = value;
    }
  }

  /// Lets the next slot leave.
  void advance() {
    ++base_;
    std::uint32_t& reused = ring_[base_ & (ring_.size() - 1)];
    reused = kNothing;
    if (far_.empty() || far_.begin()->first != base_ + ring_.size()) return;
    reused = far_.begin()->second;
    far_.erase(far_.begin());
  }

  /// Lets every slot up to `to` leave at once; what lies above it stays as it is. `leaves(value)`
  /// is told, in the order of the slots, what was set for those that leave. A base never goes back.
  /// Cost: O(what is held), however far away `to` is.
  template <class Leaves>
  void jump(Slot to, Leaves leaves) {
    if (to <= base()) return;
    const std::uint64_t last = base_ + std::min<std::uint64_t>(to.value() - base_, ring_.size());
    for (std::uint64_t s = base_ + 1; s <= last; ++s) {
      std::uint32_t& left = ring_[s & (ring_.size() - 1)];
      if (left != kNothing) leaves(left);
      left = kNothing;
    }
    const auto stays = far_.upper_bound(to.value());
    for (auto at = far_.begin(); at != stays; ++at) {
      if (at->second != kNothing) leaves(at->second);
    }
    far_.erase(far_.begin(), stays);
    base_ = to.value();
    take_in_far();
  }
  void jump(Slot to) {
    jump(to, [](std::uint32_t) {});
  }

 private:
  static constexpr std::size_t kRingMax = std::size_t{1} << 22;

  void grow() {
    std::vector<std::uint32_t> larger(ring_.size() * 2, kNothing);
    for (std::uint64_t s = base_ + 1; s <= base_ + ring_.size(); ++s) {
      larger[s & (larger.size() - 1)] = ring_[s & (ring_.size() - 1)];
    }
    ring_ = std::move(larger);
    take_in_far();
  }

  /// Those that the ring has room for now.
  void take_in_far() {
    while (!far_.empty() && far_.begin()->first - base_ <= ring_.size()) {
      ring_[far_.begin()->first & (ring_.size() - 1)] = far_.begin()->second;
      far_.erase(far_.begin());
    }
  }

  std::uint64_t base_ = 0;
  std::vector<std::uint32_t> ring_ = std::vector<std::uint32_t>(1024, kNothing);
  std::map<std::uint64_t, std::uint32_t> far_;
};

}  // namespace epaxos::executor
