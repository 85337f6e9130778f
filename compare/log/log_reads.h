#pragma once

// Both halves of reads that take no place in a log, for any protocol with a leader. Who reads asks
// the leader how far to execute; who leads answers when it knows that it still does: a quorum has
// answered what it sent after the question had come, or its lease runs. What it sends for that,
// whose answers count and how far something may have been told is the protocol's. Source: Ongaro's
// thesis, 6.4 and 6.4.1.

#include <array>
#include <cstdint>
#include <span>

#include "compare/log/log_messages.h"
#include "compare/log/read_lease.h"
#include "compare/log/read_queue.h"
#include "compare/log/read_rounds.h"
#include "epaxos/contract/core.h"

namespace epaxos::compare {

class LogReads {
  /// What tells one replica the index. Here, as its type is deduced.
  auto answer(Effects& out) {
    return [this, &out](ReplicaId to, const ReadRounds::Ask& ask, Slot index) {
      tell(to, {ask.life, ask.number, index}, out);
    };
  }

 public:
  explicit LogReads(const CoreConfig& config);

  // --- Who reads: as ReadQueue ---

  std::span<const Proposal> take(std::span<const Proposal> proposals, Effects& out) {
    return queue_.take(proposals, out);
  }
  [[nodiscard]] std::size_t size() const { return queue_.size(); }
  [[nodiscard]] Tick due() const { return queue_.due(); }
  void begin_again() { queue_.begin_again(); }
  std::size_t serve(Slot applied_up_to, Effects& out) { return queue_.serve(applied_up_to, out); }
  void refuse_unserved(Effects& out) { queue_.refuse_unserved(out); }

  /// Asks the leader about new reads, or about all that got no answer for long. Whoever leads asks
  /// itself.
  void ask(ReplicaId leader, Effects& out);
  enum class Reply { kNews, kStale, kNeverAsked };
  [[nodiscard]] Reply on_reply(const ReadIndexReply& message);

  // --- Who leads ---

  /// It does from now on, or no longer: who asked before asks again, and no lease is left.
  void begin();
  /// This peer begins anew: what it has answered and promised counts no more.
  void forget(ReplicaId peer) { confirmed_at_[peer.value()] = leased_until_[peer.value()] = 0; }
  /// As ReadLease.
  void give_up_lease() { lease_.give_up(); }
  void forget_promises() { lease_.forget_promises(); }

  void on_question(ReplicaId from, const ReadIndex& message) {
    rounds_.ask(from, {message.life, message.number});
  }
  /// Whether there are questions for a round or a lease, and not too many rounds are under way.
  [[nodiscard]] bool may_begin() const { return rounds_.may_begin(); }
  [[nodiscard]] bool under_way() const { return rounds_.under_way(); }
  /// Something left in this turn that wants to be answered with its time.
  void question_left(Tick now) { question_sent_at_ = now; }
  /// Begins a round for all questions, unless it must wait, or a lease spares it. True: it has
  /// begun, and such a message must leave now. `index`: up to here something may have been told.
  /// Precondition: may_begin().
  [[nodiscard]] bool begin_round(Slot index, Effects& out);
  /// Answers all questions if a lease runs; at the beginning of a turn, when they had come before
  /// its clock was read. Precondition: may_begin().
  [[nodiscard]] bool use_lease(Slot index, Effects& out);
  /// A peer has answered what was sent then, not later than now: it has helped nobody else to lead
  /// in between, and does not for so long from now on.
  void note_answer(ReplicaId from, Tick sent_at, Tick promised_us);
  /// Ends the rounds that a quorum has confirmed, and prolongs the lease. `counting`, `is_quorum`:
  /// as in reached_by_quorum().
  template <class IsQuorum>
  void confirm(ReplicaSet counting, IsQuorum&& is_quorum, Effects& out) {
    lease_.extend(reached_by_quorum(leased_until_, counting, self_, is_quorum), out.now);
    if (!rounds_.under_way()) return;
    rounds_.confirm(reached_by_quorum(confirmed_at_, counting, self_, is_quorum), answer(out));
  }

 private:
  [[nodiscard]] bool is_leased(Tick now) const { return uses_lease_ && lease_.runs(now); }
  void tell(ReplicaId to, const ReadIndexReply& reply, Effects& out);
  template <class Message>
  void send(ReplicaId to, const Message& message, Effects& out) const;

  const ReplicaId self_;
  const GroupId group_;
  const Epoch epoch_;
  const bool uses_lease_;
  ReadQueue queue_;
  ReadRounds rounds_;
  ReadLease lease_;
  std::array<Tick, kReplicasMax> confirmed_at_{};  // What was sent then a peer has answered ...
  std::array<Tick, kReplicasMax> leased_until_{};  // ... and promised to help nobody else.
  Tick question_sent_at_ = kNever;                 // The last time; kNever: none yet.
};

}  // namespace epaxos::compare
