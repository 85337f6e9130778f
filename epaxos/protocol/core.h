#pragma once

// The EPaxos core: the owner's and the acceptor's half of the commit path, learning and catch-up,
// and the hand-over to the executor. One file a phase, in the order a command meets them:
// propose.cc, pre_accept.cc, accept.cc, commit.cc, catch_up.cc, recover.cc, validate.cc, pacing.cc,
// truncate.cc, archive.cc, vector_floor.cc, install.cc; core.cc receives, restart.cc restores,
// explain.cc tells afterwards.
// Source: protocol.md 4-7, 10, 12, 13 and 14.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "deps/conflict_index.h"
#include "deps/types/mutant.h"
#include "epaxos/contract/core.h"
#include "epaxos/protocol/archive.h"
#include "epaxos/protocol/counters.h"
#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/histories.h"
#include "epaxos/protocol/instance_table.h"
#include "epaxos/protocol/message.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/nearness.h"
#include "epaxos/protocol/progress.h"
#include "epaxos/protocol/quorum.h"
#include "epaxos/protocol/record.h"
#include "epaxos/protocol/recovery.h"
#include "epaxos/protocol/recovery_rules.h"
#include "executor/dependency_graph.h"

namespace epaxos::protocol {

class EpaxosCore final : public Core {
 public:
  explicit EpaxosCore(const CoreConfig& config);

  Result<void> restore(const RecordKey& key, Bytes value) override;
  void start(Tick now, Effects& out) override;
  void propose(std::span<const Proposal> proposals, Effects& out) override;
  void receive(ReplicaId from, const net::Frame& frame, Effects& out) override;
  void durable(BatchNumber batch, Effects& out) override;
  void applied(std::uint64_t position, Effects& out) override;
  void tick(Tick now, Effects& out) override;
  [[nodiscard]] Tick next_deadline() const override;
  void read_from(RecordReader reader) override;
  Result<void> restore_coverage(Bytes coverage) override;
  void coverage(std::vector<std::byte>& out) const override;
  void image_durable(Bytes coverage, Effects& out) override;
  Result<bool> coverage_for(ReplicaId peer, Bytes image, std::vector<std::byte>& out) override;
  [[nodiscard]] Result<void> may_install(Bytes coverage) const override;
  void install(Bytes coverage, Effects& out) override;
  void end_of_turn(Effects& out) override;
  void storage_full(bool full) override;
  void peer_forgot(ReplicaId peer) override;
  [[nodiscard]] HeldMemory held_memory() const override;
  void status(CoreStatus& out) const override;
  [[nodiscard]] Result<InstanceHistory> history(const InstanceId& id) const override;
  [[nodiscard]] Result<std::vector<InstanceHistory>> slowest(std::size_t most) const override;

  /// For tests and invariant checkers.
  [[nodiscard]] const InstanceTable& instances() const { return instances_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] bool voting() const { return voting_; }

 private:
  /// What becomes possible when a batch is durable.
  enum class DurableStep : std::uint8_t { kProposal, kFastDecision, kVote };
  struct AwaitsDurable {
    BatchNumber batch = 0;
    DurableStep step = DurableStep::kProposal;
    Slot slot;
  };
  /// A question about the first undecided slot of a row.
  struct RowQuestion {
    Slot head;
    Tick due = kNever;
    unsigned attempts = 0;  ///< About this head.
    /// Whom to ask next for a range. It does not begin again with the head: when answers about
    /// heads are all that moves it, whoever was asked for ranges has told none.
    unsigned turn = 0;
    Slot asked_from;      ///< Where the last FetchRange began; an answer goes on only beyond it.
    Tick head_since = 0;  ///< When `head` became the first undecided slot.
    Tick recover_not_before = 0;  ///< Somebody else recovers the row.
  };
  /// A proposal that is put aside; it owns its payload.
  struct Delayed {
    Delayed(const Proposal& from, Tick now, std::optional<Slot> own)
        : payload(from.command.payload.begin(), from.command.payload.end()),
          proposal(from),
          since(now),
          behind(own) {
      proposal.command.payload = payload;
    }
    std::vector<std::byte> payload;
    Proposal proposal;
    unsigned times = 0;          ///< That it waited once more for an own instance.
    Tick since = 0;              ///< Told by history() alone.
    std::optional<Slot> behind;  ///< The own instance that it waits for; none: a fence.
  };
  struct FenceState {
    ReplicaId from;
    std::uint64_t number = 0;
    Footprint footprint;
    Tick until = 0;
  };
  struct OwnFence {
    std::uint64_t number = 0;  ///< 0: none.
    InstanceId around;
    Tick until = 0;
    unsigned attempts = 0;
  };
  struct Peer {
    Tick heard_at = 0;       ///< The last time that anything was heard.
    Tick asked_at = kNever;  ///< A question that nothing was heard after.
    bool votes = true;       ///< By its own word; whoever does not, never finishes what it began.
    unsigned wrongly_suspected = 0;  ///< How often it answered after all, until suspected_at.
    Tick suspected_at = 0;           ///< When that was seen last.
    bool forgot = false;             ///< Its disk has lost promises: it may learn, and no more.
  };

  // propose.cc: the owner submits. protocol.md 6.1
  [[nodiscard]] Dependencies dependencies_of(const Footprint& footprint) const;
  [[nodiscard]] std::size_t batch_of(std::span<const Proposal> proposals,
                                     Dependencies& initial) const;
  Slot submit(std::span<const Proposal> batch, const Footprint& footprint,
              const Dependencies& initial, Effects& out);
  [[nodiscard]] Slot allocate_slot();
  void resubmit_nops(Effects& out);

  // pre_accept.cc: the first round. 6.2 and 6.3
  void on_pre_accept(ReplicaId from, const PreAccept& message, Bytes body, Effects& out);
  void on_pre_accept_ok(ReplicaId from, const PreAcceptOk& message, Effects& out);
  void vote_pre_accept(const InstanceId& id, Instance& instance, bool newly_recorded, Bytes body,
                       Effects& out);
  /// As a known bug would have it: what is decided to come after the instance is left out.
  void prune_decided(const InstanceId& id, const Footprint& footprint, const Dependencies& initial,
                     Dependencies& dependencies) const;
  void evaluate(const InstanceId& id, Instance& instance, Effects& out);
  [[nodiscard]] SlowReason reason_of_slow_path(const Instance& instance,
                                               const Progress& progress) const;
  void decide_fast(const InstanceId& id, Instance& instance, Effects& out);

  // accept.cc: the second round. 6.3 (slow), 6.4 and 6.5
  void start_accept(const InstanceId& id, Instance& instance, Effects& out);
  void on_accept(ReplicaId from, const Accept& message, Effects& out);
  void on_accept_ok(ReplicaId from, const AcceptOk& message, Effects& out);
  void on_nack(ReplicaId from, const Nack& message, Effects& out);
  void evaluate_accept(const InstanceId& id, Instance& instance, Effects& out);
  void log_vote(const InstanceId& id, const Instance& instance, Effects& out) const;

  // commit.cc: the decision, and its execution. 6.6 and 10
  void on_commit(ReplicaId from, const Commit& message, Effects& out);
  void learn_decision(const InstanceId& id, Instance& instance, const Dependencies* dependencies,
                      bool log, Effects& out);
  void log_decision(const InstanceId& id, const Instance& instance, Effects& out) const;
  [[nodiscard]] bool matches_decision(const Instance& instance, const Commit& message) const;
  [[nodiscard]] Commit full_commit(const InstanceId& id, const Instance& instance) const;
  void tell_at_commit(const Instance& instance, Effects& out) const;
  void walk_executor(Effects& out);
  /// Whether nothing undecided conflicts with an instance; only a known bug asks.
  [[nodiscard]] bool is_quiet(const Instance& instance) const;

  // catch_up.cc: no hole stays open. 7.1 (1)-(2), 14.1 and 14.6
  void on_status(ReplicaId from, const Status& message, Effects& out);
  void on_fetch_range(ReplicaId from, const FetchRange& message, Effects& out);
  void on_range_end(ReplicaId from, const RangeEnd& message, Effects& out);
  void on_learn(ReplicaId from, const Learn& message, Bytes body, Effects& out);
  void on_frontier(ReplicaId from, const Frontier& message, Effects& out);
  void ask_about_holes(Effects& out);
  void ask_about(ReplicaId row, Effects& out);
  void ask_range(ReplicaId row, Slot from, ReplicaId whom, Effects& out);
  void gossip(ReplicaSet to, Effects& out);
  [[nodiscard]] bool lags(ReplicaId row) const;
  [[nodiscard]] Dependencies executed_frontier() const;
  [[nodiscard]] Dependencies applied_frontier() const;
  [[nodiscard]] Dependencies known_frontier() const;
  void note_known(const InstanceId& id);
  void note_dependencies(const Dependencies& dependencies);

  // archive.cc: what is executed may stand on disk alone. 14.2
  [[nodiscard]] bool is_archived(const InstanceId& id) const;
  bool read_archived(RecordKind kind, const InstanceId& id, AlignedBytes& out) const;
  [[nodiscard]] std::optional<ArchivedInstance> archived(const InstanceId& id) const;
  void archive_some(const Effects& turn);
  Result<void> restore_archived(const InstanceId& id, RecordKind kind, Bytes value);

  // vector_floor.cc: what those who are not away have executed stands in every vector. 14.2
  [[nodiscard]] std::uint64_t executed_since(const Dependencies& frontier) const;
  [[nodiscard]] std::uint64_t most_held_executed() const;
  void raise_vector_floor(Tick now);
  void include_floors();
  void on_vector_floor(ReplicaId from, const VectorFloor& message, Tick now);
  void ask_who_is_behind(Effects& out);
  [[nodiscard]] std::optional<ReplicaId> furthest_behind() const;

  // truncate.cc: what all have executed is forgotten. 14.1-14.3
  [[nodiscard]] bool is_gone(const InstanceId& id) const;
  [[nodiscard]] bool is_over(const InstanceId& id) const;
  void answer_truncated(ReplicaId to, const InstanceId& id, Effects& out);
  void on_truncated(const Truncated& message);
  void note_floor(const Dependencies& floor);
  void note_progress(ReplicaId from, const Frontier& message);
  void raise_floor(Effects& out);
  void settle_blockers(const InstanceId& id, Recovery& recovery) const;
  void drop_some(Effects& out);
  void drop_row(ReplicaId row, Slot executed, Effects& out);
  void drop_through(ReplicaId row, Slot slot);
  void erase_through(ReplicaId row, Slot erased, Effects& out);
  void lose_memory();
  void wish_for_image(Effects& out);

  // install.cc: an image of the state machine takes the place of executions. 14.4 and 14.5
  [[nodiscard]] std::set<InstanceId> not_applied() const;
  [[nodiscard]] std::optional<CoveredInstance> covered_instance(const InstanceId& id) const;
  void cover(const CoveredInstance& covered);
  [[nodiscard]] bool lacks_covered(const Coverage& coverage) const;
  void end_covered(const Coverage& coverage, Effects& out);
  void supersede(const Instance& instance, Effects& out) const;
  void reject_nops(Effects& out);
  void rebuild_graph(const Coverage& coverage);

  // peer_coverage.cc: what a peer must be told to install an image. 14.4
  [[nodiscard]] Result<Dependencies> floor_for(ReplicaId peer, const Dependencies& executed) const;
  Result<void> begin_listing(ReplicaId peer, Bytes image);
  Result<bool> list_some(PeerCoverage& listing) const;
  static void list_above(PeerCoverage& listing, std::vector<CoveredInstance>& part);

  // recover.cc: the owner is gone, somebody else finishes. 7.1-7.4
  [[nodiscard]] unsigned wrong_suspicions(ReplicaId replica, Tick now) const;
  [[nodiscard]] Tick suspicion_us(ReplicaId replica, Tick now) const;
  void note_wrong_suspicion(ReplicaId replica, Tick now);
  [[nodiscard]] bool suspected(ReplicaId replica, Tick now) const;
  void consider_recovery(ReplicaId row, const RowQuestion& question, Effects& out);
  void recover_row(ReplicaId row, Effects& out);
  [[nodiscard]] Tick random_below(Tick limit);
  [[nodiscard]] Tick recovery_patience(unsigned attempts);
  void recoveries_due(Effects& out);
  void back_off(Recovery& recovery, Tick now);
  void resend_recovery(const InstanceId& id, const Recovery& recovery, Effects& out);
  void start_recovery(const InstanceId& id, Instance& instance, Recovery& recovery, Effects& out);
  [[nodiscard]] RecoverOk promise_of(const InstanceId& id, const Instance& instance,
                                     Ballot ballot) const;
  void on_recover(ReplicaId from, const Recover& message, Effects& out);
  static void add_promise(ReplicaId from, const RecoverOk& message, Recovery& recovery);
  bool learn_promise(const InstanceId& id, Instance& instance, const RecoverOk& message,
                     Effects& out);
  void on_recover_ok(ReplicaId from, const RecoverOk& message, Effects& out);
  void perform(const RecoveryStep& step, const InstanceId& id, Instance& instance,
               Recovery& recovery, Effects& out);
  void propose_recovered(const InstanceId& id, Instance& instance, Recovery& recovery, bool nop,
                         const Dependencies& dependencies, Effects& out);
  void send_recovered(const InstanceId& id, const Instance& instance, ReplicaSet to,
                      Effects& out) const;
  void on_recovered_accept_ok(ReplicaId from, const AcceptOk& message, Effects& out);
  void give_way(const InstanceId& id, Ballot to, Tick now);
  void on_recovery_nack(ReplicaId from, const Nack& message, Tick now);
  void end_recovery(const InstanceId& id);

  // validate.cc: could it have been decided fast? 7.5 and 7.6
  void record_learned(const InstanceId& id, Instance& instance, const Dependencies& initial,
                      Bytes block, Effects& out);
  [[nodiscard]] bool find_blockers(const InstanceId& id, const Footprint& footprint,
                                   const Dependencies& initial,
                                   std::vector<ValidationBlocker>& blockers);
  enum class ArchiveScan : std::uint8_t { kNothing, kFound, kNotOver };
  ArchiveScan find_archived_blocker(const InstanceId& id, const Footprint& footprint,
                                    const Dependencies& initial, const Dependencies& highest,
                                    std::vector<ValidationBlocker>& blockers);
  void start_validation(const InstanceId& id, Instance& instance, Recovery& recovery, Effects& out);
  void on_validate(ReplicaId from, const Validate& message, Effects& out);
  void on_validate_ok(ReplicaId from, const ValidateOk& message, Effects& out);
  void take_validation(ReplicaId from, std::span<const ValidationBlocker> blockers,
                       const InstanceId& id, Instance& instance, Recovery& recovery, Effects& out);
  void evaluate_validation(const InstanceId& id, Instance& instance, Recovery& recovery,
                           Effects& out);
  void wait_for_blockers(const InstanceId& id, Recovery& recovery, Effects& out);
  void tell_waiting(const InstanceId& id, const Recovery& recovery, Effects& out) const;
  void on_waiting(ReplicaId from, const Waiting& message, Effects& out);
  void note_matches(const InstanceId& id, std::uint16_t replicas);
  void evaluate_waiting(Effects& out);

  // pacing.cc: proposals that would keep others waiting are put aside. 12
  [[nodiscard]] std::optional<Slot> hot_behind(const Dependencies& dependencies) const;
  [[nodiscard]] bool fenced(const Footprint& footprint) const;
  void put_aside(Delayed delayed, std::vector<Delayed>& to);
  bool delay(const Proposal& proposal, const Dependencies& dependencies, Tick since);
  bool delay_again(Delayed& delayed);
  void release_behind(Slot slot);
  void propose_released(Effects& out);
  [[nodiscard]] std::optional<InstanceId> stalled(Tick now) const;
  [[nodiscard]] Footprint closure_footprint(const InstanceId& root) const;
  void fence_if_stalled(Effects& out);
  void lift_own_fence(Effects& out);
  void put_fence(FenceState fence);
  void drop_fence(ReplicaId from, std::uint64_t number);
  void expire_fences(Tick now);
  void release_fenced();
  void on_fence(ReplicaId from, const Fence& message, Tick now);
  void on_unfence(ReplicaId from, const Unfence& message);

  // explain.cc: what a person may ask afterwards; decides nothing.
  void note_waits(const InstanceId& id, const Dependencies& decided);
  void note_ready(const InstanceId& id, Tick now);
  void fill_in(const InstanceId& id, const Instance& instance, InstanceHistory& out) const;
  [[nodiscard]] std::string why_not_kept(const InstanceId& id) const;
  [[nodiscard]] std::string why_unknown(const InstanceId& id) const;
  [[nodiscard]] std::string no_steps() const;

  // core.cc
  template <class Message, class Handler>
  void dispatch(const net::Frame& frame, Handler handle);
  void resend_open(const InstanceId& id, const Instance& instance, ReplicaSet to, Effects& out);
  void note_heard(ReplicaId peer, Tick now);
  void tell_decision(const InstanceId& id, const Instance& instance, const Commit& commit,
                     ReplicaSet not_asked, Effects& out) const;
  void retransmit_due(Effects& out);
  void fast_wait_due(Effects& out);
  Instance* admit(const InstanceId& id);
  /// Keeps a payload that was not known. False: a different one is known.
  bool learn_payload(const InstanceId& id, Instance& instance, Bytes block,
                     const Footprint& footprint);
  /// As a known bug would have it: whatever does not stay leaves the index.
  void rebuild_conflicts(bool (*stays)(const Instance&));
  Progress* progress_of(const Instance& instance) {
    return instance.progress == Instance::kNoProgress ? nullptr : &progress_[instance.progress];
  }
  /// Whether an own fast decision is on its way to the disk. The instance is settled, and nobody
  /// may be told yet (G6).
  [[nodiscard]] bool decides_fast(const Instance& instance) {
    const Progress* const progress = progress_of(instance);
    return progress != nullptr && progress->stage == Stage::kDecidingFast;
  }
  /// Whether an owner's proposal fits what is known of the instance.
  [[nodiscard]] static bool agrees(const Instance& instance, const Dependencies& initial);
  /// Whether the turn has gathered so much that further work waits for the next one.
  [[nodiscard]] static bool is_full(const Effects& turn);
  void release_progress(Instance& instance);
  void answer_commit(ReplicaId to, const InstanceId& id, const Instance& instance, Effects& out);
  bool answered_by_decision(ReplicaId to, const InstanceId& id, Effects& out);
  template <class Message>
  void send(ReplicaSet to, const Message& message, Effects& out,
            Release release = Release::kGated) const;
  void send_body(ReplicaSet to, MessageType type, Slice body, Effects& out,
                 Release release = Release::kGated) const;
  /// When the disk has it, but with a known bug.
  [[nodiscard]] static Release gated_without(Mutant bug) {
    return mutant(bug) ? Release::kNow : Release::kGated;
  }
  void put(RecordKind kind, const InstanceId& id, Slice value, Effects& out) const;

  // restart.cc: 13.2
  Result<void> restore_payload(const InstanceId& id, Bytes value, bool pre_accepted);
  Result<void> restore_vote(const InstanceId& id, Bytes value);
  Result<void> restore_decision(const InstanceId& id, Bytes value);
  Result<void> restore_floor(const InstanceId& id, Bytes value);
  Result<void> restore_block(const InstanceId& id, Instance& instance, Bytes block);
  void log_memory_loss(Effects& out);
  void continue_own_instances(Effects& out);

  /// Whether it was proposed here since the start.
  [[nodiscard]] bool is_of_this_life(const InstanceId& id) const {
    return id.row == self_ && id.slot >= first_slot_of_this_run_;
  }

  const CoreConfig config_;
  const int n_;
  const ReplicaId self_;
  const ReplicaSet others_;
  bool voting_;
  bool memory_lost_ = false;
  bool memory_loss_logged_ = false;
  std::optional<RecordKey> last_restored_;
  bool storage_full_ = false;
  RecordReader reader_;

  InstanceTable instances_;
  deps::ConflictIndex conflicts_;
  executor::DependencyGraph graph_;
  Counters counters_;
  Histories histories_;

  // Up to this frontier everything can be read back when that batch can.
  std::optional<std::pair<BatchNumber, Dependencies>> to_archive_;

  Slot next_slot_{1};
  Slot first_slot_of_this_run_{1};
  ProgressPool progress_;
  std::deque<AwaitsDurable> awaits_durable_;
  RetransmitQueue retransmit_;
  Nearness nearness_;
  DueQueue fast_wait_;
  std::deque<InstanceId> resubmit_;

  std::map<Slot, std::vector<Delayed>> behind_;  // By the own instance that they wait for.
  std::vector<Delayed> fenced_;
  std::deque<Delayed> released_;
  std::size_t delayed_ = 0;        // In all three.
  std::size_t delayed_bytes_ = 0;  // Of their commands.
  std::vector<FenceState> fences_;
  OwnFence own_fence_;
  std::uint64_t fence_numbers_ = 0;
  Tick fence_due_ = kNever;
  Tick stall_due_ = kNever;

  Dependencies floor_;        // What is dropped, or may be: durable, and in every vector (14.2).
  Dependencies next_floor_;   // What all are known to have executed: in this owner's proposals.
  Dependencies heard_floor_;  // The highest that peers have named.
  // What need not be in the conflict index, as every vote has it: at least floor_, and executed
  // here.
  Dependencies vector_floor_;
  Dependencies next_vector_floor_;  // The same of this owner's proposals: never less.
  Dependencies image_;    // The executed prefixes of the image that the next start begins with.
  Dependencies dropped_;  // Up to these no instance is left ...
  Dependencies erased_;   // ... and up to these no record.
  Dependencies covered_ = Dependencies(n_);        // Nothing beyond these is known by images alone.
  std::vector<CoveredInstance> covered_at_start_;  // Until its records are restored.
  bool frozen_ = false;  // Executes nothing that is new: it lacks what others may have dropped.
  bool covered_elsewhere_ = false;  // A peer knows only that something missing here is executed.
  Tick image_wish_due_ = 0;
  unsigned image_wishes_ = 0;
  bool more_to_drop_ = false;
  bool more_to_erase_ = false;
  BatchNumber erase_batch_ = 0;  // The last one that erases.
  BatchNumber durable_batch_ = 0;
  std::size_t sweep_left_ = 0;  // Entries of the conflict index that no floor was held against.
  Tick floor_due_ = 0;          // Of a group of one.
  std::vector<RowQuestion> questions_;
  std::vector<Peer> peers_;
  Tick question_due_ = kNever;
  std::vector<Dependencies> peers_executed_;
  std::vector<Dependencies> peers_executed_ever_;  // The most, in all lives of a peer.
  std::vector<Dependencies> peers_floor_;          // What their proposals include ...
  std::vector<Dependencies> peers_vector_floor_;   // ... as floors, and whatever it is.
  Tick gossip_due_ = 0;
  Tick gossip_interval_;
  Tick last_gossip_ = 0;
  Dependencies gossiped_executed_;
  Dependencies gossiped_known_;
  Dependencies gossiped_floor_;
  Dependencies gossiped_vector_floor_;

  std::map<InstanceId, Recovery> recoveries_;
  /// Who voted for the initial dependencies of an undecided instance, as far as told.
  std::map<InstanceId, ReplicaSet> matches_;
  /// Up to where validations have looked through what is on disk only.
  std::map<InstanceId, Dependencies> archive_scans_;
  std::optional<PeerCoverage> listing_;
  Tick recovery_due_ = kNever;
  bool waiting_changed_ = false;  // Something that a waiting recovery may look at.
  std::uint64_t random_;

  std::vector<InstanceId> ready_;  // In final order; from ready_next_ on not handed over yet.
  std::size_t ready_next_ = 0;
  std::deque<InstanceId> handed_over_;  // To the host, which has not applied them yet.
  /// Decided Nops whose record is on its way to the disk: nothing is executed that would wait for
  /// it, but an image that covers one may outlive the record.
  std::deque<std::pair<BatchNumber, InstanceId>> nops_to_disk_;
  std::uint64_t position_ = 0;
  std::uint64_t applied_ = 0;
  AlignedBytes aligned_;  // A record's bytes while they are restored.
};

/// Makes the core of one replica.
std::unique_ptr<Core> make_core(const CoreConfig& config);

/// The protocol as the line-up lists it: "epaxos".
Protocol epaxos();

template <class Message>
void EpaxosCore::send(ReplicaSet to, const Message& message, Effects& out, Release release) const {
  if (to.size() > 0) send_body(to, Message::kType, encode(message, out), out, release);
}

}  // namespace epaxos::protocol
