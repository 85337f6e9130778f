#pragma once

// What must come before an instance: one slot a row, read as "every conflicting instance of that
// row up to this slot". Prefix-closed, so the size of a message does not grow with contention.
// Source: protocol.md 3.

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <string>

#include "deps/types/check.h"
#include "deps/types/ids.h"

namespace epaxos {

class Dependencies {
 public:
  Dependencies() = default;
  explicit Dependencies(int rows) : rows_(static_cast<std::uint8_t>(rows)) {
    check(rows >= 0 && rows <= kReplicasMax, "dependencies have at most nine rows");
  }
  Dependencies(std::initializer_list<std::uint64_t> slots) : Dependencies(int(slots.size())) {
    std::size_t row = 0;
    for (const std::uint64_t slot : slots) slots_[row++] = Slot(slot);
  }

  [[nodiscard]] int rows() const { return rows_; }

  /// The slots of all rows, in order.
  [[nodiscard]] std::span<const Slot> slots() const { return {slots_.data(), rows_}; }
  [[nodiscard]] std::span<Slot> slots() { return {slots_.data(), rows_}; }

  [[nodiscard]] Slot operator[](ReplicaId row) const { return slots_[checked(row)]; }
  Slot& operator[](ReplicaId row) { return slots_[checked(row)]; }

  /// Raises one row to at least `slot`.
  void raise(ReplicaId row, Slot slot) {
    Slot& mine = slots_[checked(row)];
    mine = std::max(mine, slot);
  }

  /// The union of two dependency sets: the larger slot of each row.
  void merge(const Dependencies& other) {
    check(rows_ == other.rows_, "dependencies of groups of different sizes were merged");
    for (std::size_t row = 0; row < rows_; ++row) {
      slots_[row] = std::max(slots_[row], other.slots_[row]);
    }
  }

  /// What both have: the smaller slot of each row.
  void limit(const Dependencies& other) {
    check(rows_ == other.rows_, "dependencies of groups of different sizes were compared");
    for (std::size_t row = 0; row < rows_; ++row) {
      slots_[row] = std::min(slots_[row], other.slots_[row]);
    }
  }

  /// How many instances these prefixes hold and `other` does not.
  [[nodiscard]] std::uint64_t count_above(const Dependencies& other) const {
    check(rows_ == other.rows_, "dependencies of groups of different sizes were compared");
    std::uint64_t count = 0;
    for (std::size_t row = 0; row < rows_; ++row) {
      const Slot below = std::min(slots_[row], other.slots_[row]);
      count += slots_[row].value() - below.value();
    }
    return count;
  }

  /// Whether `instance` lies in the prefixes (whether it conflicts is the caller's question).
  [[nodiscard]] bool covers(const InstanceId& instance) const {
    return instance.slot <= (*this)[instance.row];
  }

  /// Whether every row is at least that of `other`.
  [[nodiscard]] bool includes(const Dependencies& other) const { return includes(other.slots()); }
  [[nodiscard]] bool includes(std::span<const Slot> other) const {
    check(rows_ == other.size(), "dependencies of groups of different sizes were compared");
    for (std::size_t row = 0; row < rows_; ++row) {
      if (slots_[row] < other[row]) return false;
    }
    return true;
  }

  friend bool operator==(const Dependencies&, const Dependencies&) = default;

 private:
  [[nodiscard]] std::size_t checked(ReplicaId row) const {
    check(row.value() < rows_, "a row outside of the group was read");
    return row.value();
  }

  std::array<Slot, kReplicasMax> slots_{};
  std::uint8_t rows_ = 0;
};

/// "[3,0,7]"
std::string to_string(const Dependencies& dependencies);

}  // namespace epaxos
