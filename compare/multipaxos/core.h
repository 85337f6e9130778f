#pragma once

// The Multi-Paxos core: a log whose slots are decided by Paxos each, at the ballots of one leader
// that opens its ballot once for the whole log. Per slot it is the acceptor and the learner of
// compare/paxos; here stands what many slots share. core.cc is the contract, vote.cc the acceptor,
// lead.cc the leader, learn.cc decisions and catch-up, propose.cc the way of commands to the
// leader, read.cc reads that take no slot, pre_vote.cc who is left in peace, restart.cc records and
// images. Source: Lamport, "Paxos Made Simple", 3.

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "compare/log/asked_in_vain.h"
#include "compare/log/forward_queue.h"
#include "compare/log/log_coverage.h"
#include "compare/log/log_executor.h"
#include "compare/log/log_messages.h"
#include "compare/log/log_reads.h"
#include "compare/log/log_records.h"
#include "compare/log/log_window.h"
#include "compare/log/origin_table.h"
#include "compare/log/read_lease.h"
#include "compare/multipaxos/counters.h"
#include "compare/multipaxos/message.h"
#include "compare/multipaxos/options.h"
#include "compare/paxos/acceptor.h"
#include "compare/paxos/learner.h"
#include "compare/paxos/proposer.h"
#include "epaxos/contract/core.h"

namespace epaxos::compare::multipaxos {

using paxos::Quorums;

enum class RecordKind : std::uint8_t {
  kPromise = 1,     ///< Of slot 1: a Prepare body. A vote promises its ballot too.
  kEntry = 2,       ///< Of each slot: the entry, whose round is the ballot of the vote.
  kDecided = 3,     ///< Of slot 1: a slot as eight bytes; up to it all entries are decided.
  kMemoryLost = 4,  ///< Of slot 1, empty: this disk once lost something.
};

/// What an acceptor compares: an entry without its ballot.
struct Value {
  Origin origin;
  Bytes block;

  friend bool operator==(const Value& a, const Value& b) {
    return a.origin == b.origin && std::ranges::equal(a.block, b.block);
  }
};

class MultiPaxosCore final : public Core {
 public:
  MultiPaxosCore(const CoreConfig& config, const Options& options);

  void read_from(RecordReader reader) override { records_.read_from(std::move(reader)); }
  Result<void> restore(const RecordKey& key, Bytes value) override;
  void start(Tick now, Effects& out) override;
  void propose(std::span<const Proposal> proposals, Effects& out) override;
  void receive(ReplicaId from, const net::Frame& frame, Effects& out) override;
  void durable(BatchNumber batch, Effects& out) override;
  void applied(std::uint64_t position, Effects& out) override;
  void tick(Tick now, Effects& out) override;
  [[nodiscard]] Tick next_deadline() const override;
  Result<void> restore_coverage(Bytes coverage) override;
  void coverage(std::vector<std::byte>& out) const override;
  void image_durable(Bytes coverage, Effects& out) override;
  Result<bool> coverage_for(ReplicaId peer, Bytes coverage, std::vector<std::byte>& out) override;
  [[nodiscard]] Result<void> may_install(Bytes coverage) const override;
  void install(Bytes coverage, Effects& out) override;
  void end_of_turn(Effects& out) override;
  void storage_full(bool full) override;
  [[nodiscard]] bool reads_write_nothing() const override { return config_.reads != Reads::kLog; }
  void peer_forgot(ReplicaId peer) override { forgot_.add(peer); }
  [[nodiscard]] HeldMemory held_memory() const override {
    return {.bytes = log_.memory_bytes(), .limit_bytes = config_.held_bytes_max};
  }
  void status(CoreStatus& out) const override;
  Result<void> transfer_leadership(ReplicaId to, Effects& out) override;

 private:
  enum class Role { kFollower, kPreparing, kLeader };
  /// What becomes possible when a batch is durable.
  struct AwaitsDurable {
    BatchNumber batch = 0;
    Ballot ballot;
    Slot first;  ///< 0: a promise; else own votes in these slots.
    Slot last;
  };
  /// Votes for a slot that is not known to be decided.
  struct Tally {
    paxos::Learner learner;
    std::uint64_t chosen_round = 0;  ///< 0: not chosen, as far as this replica has counted.
  };
  /// The word of the leader with the highest ballot that was heard of.
  struct Told {
    Ballot ballot;
    Slot decided_up_to;
    Slot last;
  };
  /// How far the promise of a peer has come.
  struct Report {
    Slot next;
    bool complete = false;
  };
  using EncodedVote = paxos::Vote<std::vector<std::byte>>;

  // vote.cc: what an acceptor does.
  void on_prepare(ReplicaId from, const Prepare& message, Effects& out);
  void send_promise(ReplicaId to, const Prepare& message, Effects& out);
  void on_accept(ReplicaId from, const Accept& message, Effects& out);
  [[nodiscard]] bool vote(Slot slot, const Entry& entry, Bytes encoded, Effects& out);
  [[nodiscard]] bool has_voted(Slot slot, const Entry& entry);
  void tell_votes(ReplicaId leader, Ballot ballot, Slot first, Slot last, Effects& out);
  void on_heartbeat(ReplicaId from, const Heartbeat& message, Effects& out);
  [[nodiscard]] bool follow(ReplicaId from, Ballot ballot, Effects& out);
  void on_forgot(Effects& out);
  void nack(ReplicaId to, Ballot heard, Ballot promised, Effects& out);

  // lead.cc: what a leader does, and who wants to become one.
  [[nodiscard]] Ballot highest_ballot() const;
  [[nodiscard]] bool has_next_ballot();
  void start_ballot(Effects& out);
  void on_promise(ReplicaId from, const Promise& message, Effects& out);
  void add_vote(Slot slot, Ballot ballot, Bytes encoded);
  void open_if_promised(Effects& out);
  void lead(Effects& out);
  void propose_entry(Entry entry, Effects& out);
  void flush_accepts(Effects& out);
  void send_accepts(ReplicaSet to, Slot first, Slot last, std::size_t bytes_max, Effects& out);
  void send_heartbeat(Effects& out);
  void on_accepted(ReplicaId from, const Accepted& message, Effects& out);
  void on_nack(const Nack& message, Effects& out);
  void election_due(Effects& out);
  void resend_due(Effects& out);
  void resend_accepts(Effects& out);
  void step_down(Tick now);
  [[nodiscard]] Tick election_patience();
  void note_heard(ReplicaId from, Tick now);
  [[nodiscard]] bool is_believable(const Promise& message) const;
  void count_origins();
  [[nodiscard]] bool takes_no_blocks() const;
  /// Whether a leader still lacks decisions that were made before it opened its ballot.
  [[nodiscard]] bool has_gap() const { return decided_up_to_.next() < open_; }

  // pre_vote.cc: a leader that is well is left in peace, and one that nobody answers gives up.
  void start_pre_vote(Effects& out);
  void on_pre_vote(ReplicaId from, const PreVote& message, Effects& out);
  void on_pre_vote_ok(ReplicaId from, const PreVoteOk& message, Effects& out);
  void note_leader(Tick now);
  [[nodiscard]] bool hears_leader(Tick now) const;
  void begin_quorum_checks(Tick now);
  void check_quorum(Tick now);

  // learn.cc: what is decided, and what is missing.
  void note_vote(ReplicaId from, Ballot ballot, Slot first, Slot last);
  [[nodiscard]] Tally& tally(Slot slot);
  void advance();
  void decided(Slot slot);
  [[nodiscard]] Slot wanted_up_to() const;
  void ask(Effects& out);
  void follow_up(Effects& out);
  void on_fetch(ReplicaId from, const Fetch& message, Effects& out);
  void answer_truncated(ReplicaId to, Slot asked, Effects& out);
  [[nodiscard]] bool send_decided(ReplicaId to, Slot from, Slot to_slot, Effects& out);
  [[nodiscard]] Slot floor() const;
  void on_learn(ReplicaId from, const Learn& message, Effects& out);
  [[nodiscard]] bool learn(Slot slot, const Entry& entry, Bytes encoded, Effects& out);
  void on_truncated(ReplicaId from, const Truncated& message, Effects& out);
  void wish_for_image(Effects& out);

  // propose.cc: commands of this replica's clients, and blocks of other replicas.
  void on_forward(ReplicaId from, const Forward& message, Effects& out);
  void on_wanted(ReplicaId from, const Wanted& message, Tick now);
  void drain_own(Effects& out);
  void answer_wanted(Effects& out);

  // read.cc: reads that take no slot.
  void ask_for_reads(Effects& out);
  void on_read_index(ReplicaId from, const ReadIndex& message);
  void on_read_index_reply(const ReadIndexReply& message);
  void begin_read_round(Effects& out);
  void use_lease(Effects& out);
  void answer_heartbeat(ReplicaId to, const Heartbeat& message, Effects& out);
  void on_heartbeat_ok(ReplicaId from, const HeartbeatOk& message, Effects& out);
  void confirm_reads(Effects& out);
  void serve_reads(Effects& out);
  [[nodiscard]] Slot read_index() const;
  [[nodiscard]] bool round_is_due() const;
  [[nodiscard]] bool wants_answers() const;
  [[nodiscard]] std::uint32_t promise_to(std::optional<ReplicaId> leader);
  [[nodiscard]] bool is_leased_to_another(ReplicaId from, Tick now) const;

  // restart.cc
  Result<void> restore_entry(Slot slot, Bytes value);
  void log_decided(Effects& out);
  void drop_some(Effects& out);

  // core.cc
  void dispatch(ReplicaId from, const net::Frame& frame, Effects& out);
  template <class Message, class Handler>
  void decoded(const net::Frame& frame, Handler handle);
  [[nodiscard]] std::optional<ReplicaId> leader() const;
  [[nodiscard]] std::optional<paxos::Vote<Value>> vote_at(Slot slot) const;
  [[nodiscard]] std::uint64_t span() const;
  template <class Message>
  void send(ReplicaSet to, const Message& message, Effects& out,
            Release release = Release::kGated) const;
  template <class Type>
  void send_body(ReplicaSet to, Type type, Slice body, Effects& out, Release release) const {
    out.sends.push_back({to.bits(), release, static_cast<net::FrameType>(type), config_.group,
                         config_.epoch, body});
  }
  void put(RecordKind kind, Slice value, Effects& out) const;
  void add(Count what, std::uint64_t times = 1) { counters_.add(what, times); }

  const CoreConfig config_;
  const Options options_;
  const int n_;
  const ReplicaId self_;
  const ReplicaSet others_;
  const Quorums quorums_;
  bool voting_;
  bool memory_lost_ = false;
  bool storage_full_ = false;
  ReplicaSet forgot_;  // Whoever is in it has lost promises: its word is worth nothing.

  // Durable.
  Ballot promised_;  // In every slot.
  LogWindow log_;    // Votes, and from the base to decided_up_to_ what is decided.
  LogRecords records_;

  Slot decided_up_to_;
  Slot logged_decided_;        // What the record says.
  std::deque<Tally> tallies_;  // From decided_up_to_.next() on.
  LogExecutor executor_;
  ForwardQueue own_;
  std::deque<AwaitsDurable> awaits_durable_;

  Role role_ = Role::kFollower;
  Ballot ballot_;  // Own: that is being prepared, or led at.
  Ballot heard_;   // The highest that anybody mentioned.
  Told told_;
  std::vector<Report> reports_;
  ReplicaSet prepared_;  // Whose promise is complete.
  std::map<Slot, std::optional<EncodedVote>> adopted_;
  Slot reported_decided_;  // By those who promised.
  ReplicaId reporter_;     // One of them who knows it.
  Slot open_;              // The first slot that this leader proposes in.
  Slot next_slot_{1};
  Slot first_unsent_{1};
  OriginTable origins_;  // What the log of this leader holds.
  // By proposer: the life that is to go on; 0: none.
  std::array<std::uint64_t, kReplicasMax> wants_{};
  bool has_news_ = false;  // Decisions that followers have not been told.

  LogReads reads_;
  Slot read_from_;                         // Of a leader: up to here others may have decided.
  LeasePromise promise_;                   // Of an acceptor ...
  std::optional<ReplicaId> lease_holder_;  // ... to this one; or nobody knows any more.

  Tick asked_at_ = kNever;  // Whether others miss the leader too; kNever: they are not asked.
  ReplicaSet missing_;      // Those who do.
  Tick leader_until_ = 0;   // Until then a leader that was heard counts as well, or who prepares.
  std::array<Tick, kReplicasMax> answered_at_{};  // Of a leader: when a peer last followed it.
  Tick quorum_due_ = kNever;

  Tick election_due_ = kNever;
  unsigned attempts_ = 0;
  AskedInVain asked_in_vain_;
  Tick heartbeat_due_ = kNever;
  Tick resend_due_ = kNever;
  unsigned resends_ = 0;
  Slot decided_at_resend_;  // The last time that resend_due() looked,
  Slot last_at_resend_;     // and the highest slot with a proposal.
  Tick ask_due_ = kNever;
  unsigned asked_ = 0;
  Slot image_needed_;  // Up to here only an image tells.
  ReplicaId image_from_;
  Tick image_wish_due_ = 0;
  unsigned image_wishes_ = 0;
  Slot image_;         // The next start begins with an image of this slot ...
  Slot image_before_;  // ... and this one did the one before.
  Slot gone_;          // Up to here an entry may be on no disk that this replica reads.
  Slot erased_;        // Up to here no record is left.
  std::uint64_t random_;
  AlignedBytes aligned_;  // A record's bytes while they are restored.
  Counters counters_;
};

/// The protocol as the line-up lists it: "multipaxos", or "multipaxos-all" where every replica
/// learns from all acceptors. Precondition: quorums_of() accepts the options for each size of group
/// that it is made for.
Protocol multipaxos(const Options& options = {});

template <class Message>
void MultiPaxosCore::send(ReplicaSet to, const Message& message, Effects& out,
                          Release release) const {
  if (to.size() > 0) send_body(to, Message::kType, encode(message, out), out, release);
}

}  // namespace epaxos::compare::multipaxos
