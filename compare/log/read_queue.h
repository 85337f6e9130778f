#pragma once

// Reads of this replica's clients that take no place in the log. Those of one turn share a number;
// the leader is asked how far to execute before they may be answered, and one answer serves all
// reads up to the number that it was asked about. Questions and answers may be lost, repeated and
// reordered. Source: Ongaro's thesis, 6.4.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "epaxos/contract/core.h"

namespace epaxos::compare {

class ReadQueue {
 public:
  explicit ReadQueue(const CoreConfig& config)
      : life_(config.life),
        reads_max_(config.in_flight_max),
        resend_us_(config.retransmit_us),
        is_on_(config.reads != Reads::kLog) {}

  [[nodiscard]] std::uint64_t life() const { return life_; }
  /// Reads without an answer.
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Takes in what only reads, unless reads go through the log. What finds no room is rejected.
  /// Returns the others; valid until the next call. Cost: that of copying them when there are both.
  std::span<const Proposal> take(std::span<const Proposal> proposals, Effects& out);

  /// The number to ask the leader about now, if it is time to ask: there are new reads, another
  /// leader, or no answer for long. Precondition: there is a leader.
  [[nodiscard]] std::optional<std::uint64_t> ask(Tick now);
  /// Another leader, or none was there before: it is asked about all that wait, also about what the
  /// last one has answered, as its log may never come so far.
  void begin_again();
  /// When ask() has something to do although nothing is new; kNever: nothing was asked in vain.
  [[nodiscard]] Tick due() const { return waiting_ == 0 ? kNever : due_; }

  /// Whether this life, or one before it, may have asked about the number.
  [[nodiscard]] bool may_have_asked(std::uint64_t life, std::uint64_t number) const {
    return life < life_ || (life == life_ && number <= asked_);
  }
  /// Everything up to this number may be answered at `index`. False: nothing waits for that.
  bool answered(std::uint64_t life, std::uint64_t number, Slot index);
  /// Hands over what the state machine has got far enough for. Returns how many reads.
  std::size_t serve(Slot applied_up_to, Effects& out);

 private:
  struct Read {
    CommandId command;
    std::size_t offset = 0;  // Of its payload, in its group's bytes.
    std::size_t bytes = 0;
  };
  struct Group {
    std::uint64_t number = 0;
    std::vector<Read> reads;
    std::vector<std::byte> payloads;
    std::optional<Slot> index;
  };
  static constexpr std::size_t kSpareMax = 16;
  static constexpr std::size_t kBytesMax = std::size_t{64} * 1024 * 1024;

  void add(const Command& command);

  const std::uint64_t life_;
  const std::size_t reads_max_;
  const Tick resend_us_;
  const bool is_on_;
  std::deque<Group> groups_;    // Ascending.
  std::vector<Group> spare_;    // Their memory is used again.
  std::vector<Proposal> rest_;  // Of take().
  std::uint64_t asked_ = 0;     // The highest number that was asked about.
  std::size_t waiting_ = 0;     // Groups without an index.
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  Tick due_ = 0;
};

}  // namespace epaxos::compare
