#pragma once

// What one replica knows of one instance. Facts only ever grow: recorded, pre-accepted, ballot up,
// vote up, decided; each has one function that sets it and checks what must hold. The fields are
// kept apart on purpose: overloading them is how recovery went wrong elsewhere. Source:
// protocol.md 4.2.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "deps/types/command.h"
#include "deps/types/dependencies.h"
#include "deps/types/ids.h"
#include "deps/types/mutant.h"

namespace epaxos::protocol {

/// The last accepted value: Nop, or the payload of the instance with these dependencies.
struct Vote {
  Ballot accepted_ballot;
  bool nop = false;
  Dependencies dependencies;
};

enum class InstancePhase { kInitial, kPreAccepted, kAccepted, kCommitted };

/// Durable facts. Most instances only ever hold the fields of the class itself; the rest (votes,
/// promises, dependencies that differ from the initial ones) stands in an extra that few have.
class Instance {
 public:
  static constexpr std::uint32_t kNoProgress = ~std::uint32_t{0};

  [[nodiscard]] InstancePhase phase() const {
    if (decided_) return InstancePhase::kCommitted;
    if (vote() != nullptr) return InstancePhase::kAccepted;
    return pre_accepted_ ? InstancePhase::kPreAccepted : InstancePhase::kInitial;
  }

  /// Whether the owner's proposal is known here. A constant of the instance.
  [[nodiscard]] bool recorded() const { return recorded_; }
  [[nodiscard]] Dependencies initial_dependencies() const {
    if (!recorded_) return {};
    Dependencies copy(rows_);
    std::ranges::copy(initial(), copy.slots().begin());
    return copy;
  }
  /// Whether these are the initial dependencies. Cheaper than to compare with a copy of them.
  [[nodiscard]] bool is_initial(const Dependencies& dependencies) const {
    return recorded_ && std::ranges::equal(dependencies.slots(), initial());
  }
  [[nodiscard]] bool payload_known() const { return memory_ != nullptr; }
  [[nodiscard]] Bytes block() const { return {memory_ + initial_bytes(rows_), block_bytes_}; }

  [[nodiscard]] bool pre_accepted() const { return pre_accepted_; }
  [[nodiscard]] Dependencies pre_accept_dependencies() const {
    return extra_ && extra_->pre_accept ? *extra_->pre_accept : initial_dependencies();
  }
  /// Whether the ballot-0 vote is for the initial dependencies.
  [[nodiscard]] bool pre_accepted_initial() const {
    return pre_accepted_ && !(extra_ && extra_->pre_accept);
  }

  [[nodiscard]] Ballot ballot() const { return extra_ ? extra_->ballot : kInitialBallot; }
  [[nodiscard]] const Vote* vote() const {
    return extra_ && extra_->vote ? &*extra_->vote : nullptr;
  }

  [[nodiscard]] bool decided() const { return decided_; }
  [[nodiscard]] bool decided_nop() const { return decided_nop_; }
  /// An installed image has executed it, or knows that it is Nop; what was decided is not known.
  [[nodiscard]] bool covered() const { return covered_; }
  [[nodiscard]] Dependencies decided_dependencies() const {
    check(decided_ && !decided_nop_, "the dependencies of a Nop, or of no decision, were read");
    check(!covered_, "the dependencies of an instance that only an image knows were read");
    return extra_ && extra_->decision ? *extra_->decision : initial_dependencies();
  }
  /// Whether the decision depends on `id`, or, as long as there is none, the owner's proposal does.
  /// Precondition: the two conflict; decided or recorded, else false.
  [[nodiscard]] bool depends_on(const InstanceId& id) const {
    if (decided_nop_) return true;  // Nobody waits for a Nop.
    // Executed by the image, where whoever asks is undecided: not among its dependencies (7.5).
    if (covered_) return false;
    if (decided_ && extra_ && extra_->decision) return extra_->decision->covers(id);
    return recorded_ && initial()[id.row.value()] >= id.slot;
  }
  /// Whether the decision is for the initial dependencies, as far as they are recorded here.
  [[nodiscard]] bool decided_initial() const {
    if (!decided_ || decided_nop_ || covered_ || !recorded_) return false;
    return !(extra_ && extra_->decision) || is_initial(*extra_->decision);
  }

  /// Whether a durable payload record of the kinds kPreAccepted or kRecorded exists.
  [[nodiscard]] bool has_payload_record() const { return recorded_; }

  /// What memory() must hold before the block: room for the initial dependencies.
  [[nodiscard]] static constexpr std::size_t initial_bytes(int rows) {
    return static_cast<std::size_t>(rows) * sizeof(Slot);
  }

  /// `memory` has initial_bytes(rows) to be filled by record(), and then the block. It starts at a
  /// multiple of 8 and outlives the instance (it lies in the chunk's memory).
  void set_payload(std::span<std::byte> memory, int rows) {
    check(memory_ == nullptr, "the payload of an instance is a constant");
    check(memory.size() > initial_bytes(rows), "a payload is never empty");
    memory_ = memory.data();
    rows_ = static_cast<std::uint8_t>(rows);
    block_bytes_ = static_cast<std::uint32_t>(memory.size() - initial_bytes(rows));
  }

  void record(const Dependencies& initial) {
    check(!recorded_, "an owner's proposal is recorded once");
    check(payload_known(), "a proposal is recorded with its payload");
    check(initial.rows() == rows_, "a proposal is recorded with dependencies of its group");
    recorded_ = true;
    std::ranges::copy(initial.slots(), reinterpret_cast<Slot*>(memory_));
  }

  void pre_accept(const Dependencies& dependencies) {
    check(recorded_, "only a recorded instance is pre-accepted");
    check(!pre_accepted_, "a ballot-0 vote never changes");
    check(dependencies.includes(initial()), "a ballot-0 vote includes the initial dependencies");
    pre_accepted_ = true;
    if (!is_initial(dependencies)) extra().pre_accept = dependencies;
  }

  void promise(Ballot ballot) {
    check(ballot >= this->ballot() || mutant(Mutant::kAcceptIgnoresPromise), "a promise went back");
    if (ballot > kInitialBallot || extra_) extra().ballot = ballot;
  }

  void accept(const Vote& vote) {
    check(!decided_, "a decided instance is not voted on again");
    check(vote.accepted_ballot == ballot(), "a vote is cast at the promised ballot");
    check(vote.nop || payload_known(), "a vote for a command needs its payload");
    check(vote.nop || !recorded_ || vote.dependencies.includes(initial()),
          "a vote includes the initial dependencies");
    extra().vote = vote;
  }

  void decide_nop() {
    check(!decided_, "a decision is final");
    decided_ = decided_nop_ = true;
  }

  void decide(const Dependencies& dependencies) {
    check(!decided_, "a decision is final");
    check(payload_known(), "a decision for a command needs its payload");
    check(!recorded_ || dependencies.includes(initial()),
          "a decision includes the initial dependencies");
    decided_ = true;
    if (!is_initial(dependencies)) extra().decision = dependencies;
  }

  /// An image of the state machine that is installed has executed the instance, or knows that it is
  /// Nop. It counts as decided; ballots, votes and what was recorded stay. Source:
  /// protocol.md 14.5.
  void cover(bool nop) {
    check(!decided_, "a decision is final");
    decided_ = covered_ = true;
    decided_nop_ = nop;
  }

  std::uint32_t progress = kNoProgress;  ///< Where the owner's volatile count is kept.
  Tick committed_at = 0;                 ///< When it was decided here; volatile.

 private:
  struct Extra {
    Ballot ballot;
    std::optional<Dependencies> pre_accept;
    std::optional<Vote> vote;
    std::optional<Dependencies> decision;
  };

  [[nodiscard]] std::span<const Slot> initial() const {
    return {reinterpret_cast<const Slot*>(memory_), rows_};
  }

  Extra& extra() {
    if (!extra_) extra_ = std::make_unique<Extra>();
    return *extra_;
  }

  // Small, as a busy replica holds millions: the initial dependencies lie before the block, a slot
  // a row, where nine of them would take more room than everything else.
  std::byte* memory_ = nullptr;
  std::unique_ptr<Extra> extra_;
  std::uint32_t block_bytes_ = 0;
  std::uint8_t rows_ = 0;
  bool recorded_ = false;
  bool pre_accepted_ = false;
  bool decided_ = false;
  bool decided_nop_ = false;
  bool covered_ = false;
};
static_assert(sizeof(Instance) <= 48, "a busy replica holds millions of instances");

}  // namespace epaxos::protocol
