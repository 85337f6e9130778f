#pragma once

// The blocks of commands that a proposer wants in the log and that are not executed yet, in the
// order of their sequence numbers. They are sent to the leader in order, so far ahead of execution
// as a window allows, and again from the first one when the leader changes, when it says what it
// lacks, or when nothing moves for a while.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "compare/log/entry.h"
#include "epaxos/contract/core.h"

namespace epaxos::compare {

struct ForwardLimits {
  std::size_t window_bytes = std::size_t{4} * 1024 * 1024;  ///< Sent and not executed.
  Tick resend_us = 300'000;                                 ///< Doubles while nothing moves.
  Tick resend_max_us = 5'000'000;
};

class ForwardQueue {
 public:
  ForwardQueue(ReplicaId self, std::uint64_t life, const ForwardLimits& limits)
      : self_(self), life_(life), limits_(limits), interval_(limits.resend_us) {}

  [[nodiscard]] std::uint64_t life() const { return life_; }
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  struct Taken {
    std::size_t blocks = 0;
    std::size_t commands = 0;
  };
  /// Cuts what clients propose into blocks and takes them in. What is too large, and what finds no
  /// room, is rejected.
  Taken take(std::span<const Proposal> proposals, const CoreConfig& config, Effects& out);
  /// Takes one block in. Precondition: `footprint` is the commands' merged_footprint(), `bytes`
  /// their block_bytes(), within kBlockBytesMax.
  void add(std::span<const Proposal> batch, const Footprint& footprint, std::size_t bytes);

  /// What goes to the leader next, if anything does; its block stays until it is executed. The
  /// round is left to the leader.
  [[nodiscard]] std::optional<Entry> next() const;
  /// What next() gave is on its way.
  void sent(Tick now);

  /// Another leader, or none was there before: it gets everything from the first one on.
  void begin_again(Tick now);
  /// The leader lacks this one. Ignored when it asks so often that the answer must be on its way.
  void wanted(std::uint64_t life, std::uint64_t sequence, Tick now);
  /// When resend_if_due() has something to do; kNever: nothing is sent and not executed.
  [[nodiscard]] Tick due() const { return next_ == 0 ? kNever : due_; }
  /// Whether what was sent is to be sent again, as nothing has moved for long.
  bool resend_if_due(Tick now);

  /// Everything of this life up to a sequence number is executed. `gone` is called with each block
  /// before it goes.
  template <class Gone>
  void executed(std::uint64_t up_to, Tick now, Gone&& gone) {
    while (!blocks_.empty() && first_ <= up_to) {
      gone(Bytes(blocks_.front()));
      pop(now);
    }
  }
  void executed(std::uint64_t up_to, Tick now) {
    executed(up_to, now, [](Bytes) {});
  }

 private:
  void pop(Tick now);
  void wait(Tick now) { due_ = now + interval_; }

  const ReplicaId self_;
  const std::uint64_t life_;
  const ForwardLimits limits_;
  std::deque<std::vector<std::byte>> blocks_;
  std::vector<std::vector<std::byte>> spare_;  // Their memory is used again.
  std::uint64_t first_ = 1;                    // The sequence number of blocks_[0].
  std::size_t next_ = 0;                       // Blocks that are sent.
  std::size_t bytes_ = 0;
  std::size_t sent_bytes_ = 0;
  Tick interval_;
  Tick due_ = kNever;
  std::uint64_t rewound_to_ = 0;  // What the leader wanted last ...
  Tick rewound_at_ = 0;           // ... and when.
};

}  // namespace epaxos::compare
