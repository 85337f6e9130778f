#pragma once

// The Raft core, as in the paper (Ongaro and Ousterhout 2014) with what its author's thesis adds:
// pre-votes, a leader that steps down without a quorum, leadership transfer, pipelined
// AppendEntries, images in place of the prefix of the log. Any replica takes commands and forwards
// them to the leader. One file a phase: propose.cc, election.cc, replicate.cc (the leader's half),
// append.cc (the follower's half), commit.cc, learn.cc, read.cc, membership.cc, truncate.cc,
// restart.cc; core.cc receives.

#include <array>
#include <deque>
#include <optional>
#include <span>
#include <string>
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
#include "compare/raft/configurations.h"
#include "compare/raft/counters.h"
#include "compare/raft/message.h"
#include "compare/raft/message_codec.h"
#include "compare/raft/options.h"
#include "compare/raft/peer_progress.h"
#include "compare/raft/record.h"
#include "deps/types/mutant.h"
#include "deps/types/replica_set.h"
#include "epaxos/contract/core.h"

namespace epaxos::compare::raft {

/// follower -> pre-candidate -> candidate -> leader, and back to follower from each. A transfer
/// skips the pre-candidate, and so does a group of one.
enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

class RaftCore final : public Core {
 public:
  explicit RaftCore(const CoreConfig& config, const Options& options = {});

  void read_from(RecordReader reader) override;
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
  void peer_forgot(ReplicaId peer) override;
  [[nodiscard]] HeldMemory held_memory() const override {
    return {.bytes = log_.memory_bytes(), .limit_bytes = config_.held_bytes_max};
  }
  void status(CoreStatus& out) const override;

  /// As soon as that one has the whole log.
  Result<void> transfer_leadership(ReplicaId to, Effects& out) override;
  Result<void> change_members(MemberChange change, ReplicaId replica, Effects& out) override;

  /// For tests and invariant checkers.
  [[nodiscard]] ReplicaId self() const { return self_; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Term current_term() const { return current_term_; }
  [[nodiscard]] std::optional<ReplicaId> voted_for() const { return voted_for_; }
  [[nodiscard]] std::optional<ReplicaId> leader() const { return leader_; }
  [[nodiscard]] const LogWindow& log() const { return log_; }
  [[nodiscard]] LogIndex commit_index() const { return commit_index_; }
  [[nodiscard]] LogIndex durable_index() const { return durable_index_; }
  [[nodiscard]] const LogExecutor& executor() const { return executor_; }
  [[nodiscard]] const PeerProgress& peer(ReplicaId id) const { return peers_[id.value()]; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const Configurations& configurations() const { return configurations_; }
  [[nodiscard]] Tick patience_us() const { return patience_us_; }

 private:
  /// The terms that a peer has told: a later life that knows less has lost its memory.
  struct Told {
    std::uint64_t life = 0;
    Term in_life;  ///< The highest in the latest life ...
    Term before;   ///< ... and in all before it.
  };
  /// Entries up to `index` are on disk with this batch.
  struct Appended {
    BatchNumber batch = 0;
    LogIndex index;
  };

  /// What a leader is about to do with the members.
  struct Change {
    MemberChange change = MemberChange::kAdd;
    ReplicaId replica;
    int rounds = 0;       ///< Of a learner: those that took too long.
    LogIndex round_ends;  ///< It ends when the learner has this ...
    Tick began = 0;       ///< ... and began then.
  };

  /// Who has answered what was sent since then. A change waits for majorities that answer now: who
  /// was heard a moment ago may have died since.
  struct Confirmation {
    Tick began = 0;
    Tick until = 0;  ///< Whoever has not answered by then does not.
    ReplicaSet answered;
  };

  // propose.cc: from a client to the log of the leader.
  void pump_own(Effects& out);
  void on_forward(ReplicaId from, const Forward& message, Effects& out);
  void on_wanted(ReplicaId from, const Wanted& message, Tick now);
  void tell_wanted(Effects& out);
  [[nodiscard]] bool takes_no_more() const;
  void append_to_log(const Entry& entry, Effects& out);

  // election.cc: who leads. Figure 2, RequestVote and Rules for Servers; thesis 3.10, 6.4, 9.6.
  void election_due(Effects& out);
  void start_pre_vote(Effects& out);
  void start_election(bool transfer, Effects& out);
  void on_request_vote(ReplicaId from, const RequestVote& message, Effects& out);
  void on_request_vote_reply(ReplicaId from, const RequestVoteReply& message, Effects& out);
  void on_timeout_now(ReplicaId from, const TimeoutNow& message, Effects& out);
  void count_votes(Effects& out);
  void become_leader(Effects& out);
  /// Follows from now on, in this term or a later one, which is written down.
  void become_follower(Term term, Effects& out);
  /// A word of the leader of `term`. False: it must be ignored.
  bool hear_leader(ReplicaId from, Term term, Effects& out);
  void check_quorum(Effects& out);
  void pursue_transfer(Effects& out);

  // memory.cc: who has forgotten what it told. Decision record 13.
  void note_told(ReplicaId from, std::uint64_t life, Term term);
  void note_birth(ReplicaId from, std::uint64_t life, Term born_in, Effects& out);
  void on_hello(ReplicaId from, const Hello& message, Effects& out);
  void on_forgot(Effects& out);
  void log_hard_state(Effects& out);
  [[nodiscard]] bool has_leader(Tick now) const;
  [[nodiscard]] bool is_up_to_date(LogIndex last_log_index, Term last_log_term) const;
  void wait_for_leader(Tick now);
  void note_heard(ReplicaId from, Tick now);
  [[nodiscard]] bool has_next_term();
  [[nodiscard]] Tick patience_at(Tick round_trip_us) const;
  void note_round_trip(Tick round_trip_us);
  [[nodiscard]] Tick random_below(Tick limit);

  // replicate.cc: the leader sends its log, and hears who has it.
  void replicate(Effects& out);
  void beat(Effects& out);
  void send_entries(ReplicaSet to, Effects& out);
  void send_without_entries(ReplicaSet to, bool answer, Effects& out);
  void probe(ReplicaId to, Effects& out);
  void send_truncated(ReplicaId to, Effects& out);
  [[nodiscard]] AppendEntries append_after(LogIndex prev, Term prev_term, Tick now) const;
  void on_append_entries_reply(ReplicaId from, const AppendEntriesReply& message, Effects& out);
  void back_up(PeerProgress& peer, const AppendEntriesReply& message) const;
  [[nodiscard]] LogIndex last_of_term(Term term, LogIndex up_to) const;
  void measure(PeerProgress& peer, const AppendEntriesReply& message, Tick now);
  bool gather(LogIndex from);
  [[nodiscard]] ReplicaSet streaming_at(ReplicaSet among, LogIndex next) const;

  // append.cc: the follower takes it.
  void on_append_entries(ReplicaId from, const AppendEntries& message, Effects& out);
  void refuse_append(ReplicaId to, const AppendEntries& message, Effects& out);
  /// Puts entries that follow `prev` into the log. False: they make no sense.
  bool take_entries(const AppendEntries& message, LogIndex& last_new, Effects& out);
  bool take_entry_at(LogIndex index, const Entry& entry, Bytes encoded, Effects& out);
  void add_entry(LogIndex index, Bytes encoded, Slice record, Effects& out);
  void overwrite_from(LogIndex index, Effects& out);
  void answer_heartbeat(ReplicaId to, const AppendEntries& message, Effects& out);
  [[nodiscard]] Release at_once_if_term_is_durable() const;
  [[nodiscard]] AppendEntriesReply agreement(LogIndex prev, LogIndex match) const;
  void flush_ack(Effects& out);
  void on_truncated(ReplicaId from, const Truncated& message, Effects& out);

  // commit.cc: what a majority has.
  void advance_commit();
  void commit_up_to(LogIndex index);
  void walk_executor(Effects& out);

  // learn.cc: every replica counts who has an entry.
  void learn_match(ReplicaId from, const AppendEntriesReply& message);
  void learn_commit();
  void tell_own_match(Effects& out);

  // membership.cc: who belongs to the group.
  /// Who counts now.
  [[nodiscard]] const Members& members() const;
  void note_members(LogIndex index, Bytes encoded);
  [[nodiscard]] bool may_hold_at(LogIndex index, const Members& members) const;
  [[nodiscard]] bool may_lead() const;
  [[nodiscard]] ReplicaSet voters_but_self() const;
  [[nodiscard]] bool is_learning(ReplicaId replica) const;
  [[nodiscard]] bool members_are_settled() const;
  [[nodiscard]] ReplicaSet answering(Tick now, bool ever) const;
  [[nodiscard]] std::optional<ReplicaId> best_successor() const;
  void append_members(const Members& members, Effects& out);
  void append_first_members(Effects& out);
  Result<void> may_change(MemberChange change, ReplicaId replica, Tick now);
  void pursue_change(Effects& out);
  void pursue_wish(Effects& out);
  void pursue_learner(const Members& latest, Effects& out);
  void begin_confirmation(ReplicaSet granted, Tick patience, Effects& out);
  void note_answer_now(ReplicaId from, Tick sent_at);
  [[nodiscard]] ReplicaSet answering_now() const;
  [[nodiscard]] Tick patience_with(ReplicaId replica) const;
  void refuse_wish(std::string why);
  void give_up(std::string why, Effects& out);
  void lose_change();
  void leave_lead(Effects& out);
  [[nodiscard]] MemberStatus member_status() const;

  // read.cc: reads that take no place in the log. Thesis, 6.4.
  void on_read_index(ReplicaId from, const ReadIndex& message);
  void on_read_index_reply(const ReadIndexReply& message);
  void ask_for_reads(Effects& out);
  void begin_read_round(Effects& out);
  void use_lease(Effects& out);
  void note_confirmation(ReplicaId from, const AppendEntriesReply& message, Effects& out);
  void confirm_reads(Effects& out);
  void serve_reads(Effects& out);
  [[nodiscard]] bool knows_commit() const;
  [[nodiscard]] bool round_is_due() const;
  [[nodiscard]] LogIndex read_index() const;
  [[nodiscard]] std::uint32_t promise_to_leader();

  // truncate.cc: images take the place of the prefix of the log.
  void drop_some(Effects& out);
  void forget_memory(const Effects& turn);
  void end_superseded(const OriginTable& executed, Effects& out);
  void wish_for_image(Effects& out);
  [[nodiscard]] std::optional<Term> term_at(LogIndex index) const;
  [[nodiscard]] bool entry_at(LogIndex index, std::vector<std::byte>& encoded) const;
  [[nodiscard]] LogIndex first_servable() const;

  // restart.cc
  Result<void> restore_hard_state(Bytes value);
  Result<void> restore_entry(LogIndex index, Bytes value);
  void reconcile_with_image(Effects& out);

  // core.cc
  template <class Message, class Handler>
  void dispatch(const net::Frame& frame, Handler handle);
  template <class Message>
  void send(ReplicaSet to, const Message& message, Effects& out,
            Release release = Release::kGated) const {
    if (to.size() > 0)
      send_body(to, static_cast<net::FrameType>(Message::kType), encode(message, out), out,
                release);
  }
  void send_body(ReplicaSet to, net::FrameType type, Slice body, Effects& out,
                 Release release) const;
  [[nodiscard]] LogIndex last_log_index() const { return log_.last(); }
  [[nodiscard]] Term last_log_term() const { return Term(log_.round(log_.last())); }
  [[nodiscard]] static bool is_full(const Effects& turn);
  /// When the disk has it, but with a known bug.
  [[nodiscard]] static Release gated_without(Mutant bug) {
    return mutant(bug) ? Release::kNow : Release::kGated;
  }

  const CoreConfig config_;
  const Options options_;
  const Configuration configuration_;
  const int n_;
  const ReplicaId self_;
  const ReplicaSet others_;
  bool voting_;
  bool memory_lost_ = false;
  bool storage_full_ = false;
  Counters counters_;

  // Figure 2, persistent state.
  Term current_term_;
  std::optional<ReplicaId> voted_for_;
  LogWindow log_;
  Configurations configurations_;
  LogRecords records_;
  BatchNumber hard_state_batch_ = 0;  // In which the term and the vote are.
  BatchNumber durable_batch_ = 0;
  std::deque<Appended> appended_;
  LogIndex durable_index_;  // Entries up to here are on disk as they are in the log.

  // What images have taken the place of.
  LogIndex image_index_;  // The next start begins after it.
  Term image_term_;
  LogIndex erased_;        // Up to here there may be no records.
  LogIndex floor_;         // Up to here all members have the log.
  LogIndex first_record_;  // That restore() was given, and the last; 0: none.
  LogIndex last_record_;
  Term last_record_term_;
  std::optional<Term> image_record_term_;  // Of the record at image_index_.
  std::optional<RecordKey> last_restored_;
  AlignedBytes aligned_;  // A record's bytes while they are restored.
  bool more_to_drop_ = false;
  bool must_have_image_ = false;
  LogIndex leader_commit_;  // The highest that any leader has told.
  Tick image_wish_due_ = 0;
  unsigned image_wishes_ = 0;

  // Volatile state.
  Role role_ = Role::kFollower;
  std::optional<ReplicaId> leader_;
  LogIndex commit_index_;
  LogExecutor executor_;
  ForwardQueue own_;
  std::optional<AppendEntriesReply> ack_;  // For the leader, at the end of the turn.
  // Where all learn from all: how far others have told that they have the log of a term's leader.
  std::array<LogIndex, kReplicasMax> learned_{};
  Term learned_in_;
  LogIndex told_durable_;  // Of a leader.

  // Reads.
  LogReads reads_;
  LeasePromise promise_;  // To a leader.

  // Elections.
  Tick election_due_ = kNever;
  Tick leader_heard_ = 0;
  unsigned attempts_ = 0;  // Elections in a row without a leader.
  AskedInVain asked_in_vain_;
  ReplicaSet votes_;
  BatchNumber vote_batch_ = 0;  // In which a candidate's vote for itself is; 0: it counts.
  Tick patience_us_;
  Tick round_trip_us_ = 0;
  std::uint64_t random_;

  std::vector<Told> heard_;  // By peer.
  Term born_in_;             // What this replica's disk knew when it started.

  // Of a leader.
  std::vector<PeerProgress> peers_;
  OriginTable in_log_;
  ReplicaSet wanting_;  // Proposers to be told what the log lacks.
  std::vector<Wanted> wanted_;
  ReplicaSet told_;            // Peers that this turn has told the commit index.
  bool more_to_send_ = false;  // Something is to be read back for somebody, in the next turn.
  LogIndex commit_told_;
  Tick heartbeat_due_ = kNever;
  Tick quorum_due_ = kNever;
  std::optional<ReplicaId> transfer_to_;
  bool transfer_asked_ = false;
  Tick transfer_until_ = 0;
  bool leaves_ = false;  // It gives the lead away because it is no member any more.
  std::optional<Change> change_;
  std::optional<Confirmation> confirmation_;  // Before the next step of change_.
  std::string given_up_;                      // Why the last change was ...
  bool may_pass_ = false;                     // ... and whether to ask again makes sense.
  // Entries that are about to be sent; those that are not in memory lie in read_back_.
  std::vector<Bytes> pieces_;
  std::size_t pieces_bytes_ = 0;
  std::deque<std::vector<std::byte>> read_back_;
};

/// The protocol as the line-up lists it: "raft", or "raft-all" where every replica counts for
/// itself what is committed.
Protocol raft(const Options& options = {});

}  // namespace epaxos::compare::raft
