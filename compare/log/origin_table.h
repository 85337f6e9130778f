#pragma once

// How far the blocks of each proposer have come: its life, and the last sequence number of that
// life that counted. Replicas that go through the same log skip the same repetitions. Two of them
// keep every block single: one at execution, which is part of the state that an image shows, and
// one at the leader, of what its log holds already.

#include <array>
#include <cstdint>

#include "compare/log/entry.h"
#include "deps/types/ids.h"

namespace epaxos::compare {

class OriginTable {
 public:
  struct Row {
    std::uint64_t life = 0;  ///< 0: this proposer was never heard of.
    std::uint64_t sequence = 0;

    friend bool operator==(const Row&, const Row&) = default;
  };

  [[nodiscard]] const Row& operator[](ReplicaId proposer) const { return rows_[proposer.value()]; }
  void set(ReplicaId proposer, const Row& row) { rows_[proposer.value()] = row; }

  /// The sequence number of this life that counts next; 0: the life is over.
  [[nodiscard]] std::uint64_t wanted(ReplicaId proposer, std::uint64_t life) const {
    const Row& row = rows_[proposer.value()];
    if (life < row.life) return 0;
    return life == row.life ? row.sequence + 1 : 1;
  }
  /// Whether this block counts: the next one of its life. It does so once. Nobody's never do.
  bool take(const Origin& origin) {
    if (origin.is_nobody() || origin.sequence != wanted(origin.proposer, origin.life)) return false;
    rows_[origin.proposer.value()] = {origin.life, origin.sequence};
    return true;
  }

  friend bool operator==(const OriginTable&, const OriginTable&) = default;

 private:
  std::array<Row, kReplicasMax> rows_{};
};

}  // namespace epaxos::compare
