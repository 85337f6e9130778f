#pragma once

// What a protocol is: a pure state machine that a host feeds with inputs and whose effects the host
// carries out. The same core runs over ZeroMQ and LMDB and in the simulator. It has no clock, no
// thread, no randomness but its seed, and no way to fail: whatever a peer sends is an ordinary
// case.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/replica_set.h"
#include "epaxos/contract/counters.h"
#include "epaxos/contract/effects.h"
#include "epaxos/contract/history.h"
#include "net/frame.h"

namespace epaxos {

/// How commands that only read are served by a protocol with a leader.
enum class Reads : std::uint8_t {
  kLog,    ///< As all others: by an entry of the log.
  kIndex,  ///< Without one: the leader makes sure that it still leads, and says how far to execute.
  kLease,  ///< The same, and while its lease runs the leader need not ask. Needs clocks that agree
           ///< about how long a time is (docs/raft.md).
};

/// What a core must know about its place in the world. Times in microseconds.
struct CoreConfig {
  ReplicaId self;
  int replica_count = 0;  ///< 1 .. kReplicasMax.
  /// Those who do not belong to the group at its beginning; only in a protocol whose members can
  /// change.
  ReplicaSet spares;
  GroupId group;
  Epoch epoch;
  std::uint64_t seed = 0;  ///< Of all chance in the core.
  /// Of this replica; every start has a higher one than all before it, whatever the disk forgot.
  std::uint64_t life = 1;
  /// False: this replica lost what it had promised; it learns and serves, but neither votes nor
  /// proposes.
  bool voting = true;
  /// Vote even when others turn out to remember more of this replica than it does. Agreement may
  /// break; for experiments.
  bool unsafe_rejoin = false;

  std::size_t batch_commands_max = 1;       ///< Commands of one turn that share an instance.
  std::size_t batch_bytes_max = 64 * 1024;  ///< Payload bytes of one instance, roughly.
  std::size_t held_undecided_max = std::size_t{1} << 20;  ///< A row; beyond it a frame is refused.
  std::size_t in_flight_max = 64 * 1024;  ///< Own undecided instances; then: overloaded.

  Tick retransmit_us = 300'000;  ///< First re-send of an unanswered request; doubles each time.
  Tick retransmit_max_us = 5'000'000;
  Tick fast_wait_us = 50'000;       ///< After a slow quorum: how long a fast one is waited for.
  bool wait_for_fast_path = false;  ///< Wait out fast_wait_us even when a fast quorum has answered.
  /// Proposals go to the nearest peers that can decide, to the others when these do not answer.
  bool thrifty = false;
  Tick gossip_us = 200'000;     ///< Between Frontier messages.
  Tick question_us = 200'000;   ///< Before a hole or an undecided instance is asked about.
  bool limit_hot_keys = true;   ///< One undecided own instance on a key that others contend for.
  Tick stall_us = 1'000'000;    ///< Decided for so long and not executed: ask for a fence.
  Tick fence_us = 1'000'000;    ///< How long a fence lasts at first; doubles each time.
  Tick suspicion_us = 300'000;  ///< A replica that answers nothing for so long counts as gone.
  Tick recovery_stagger_us = 200'000;  ///< Between the replicas that may recover a row.
  Tick recovery_timeout_us = 500'000;  ///< Of one attempt at first; doubles each time.
  std::size_t recoveries_max = 1024;   ///< At once.
  // Of protocols with a leader:
  Tick election_us = 300'000;  ///< Without a leader's word for so long or up to twice: an election.
  /// On top of that after a start, unless a leader or a candidate is heard: for who is not to lead.
  Tick first_election_us = 0;
  Tick heartbeat_us = 50'000;  ///< Between the words of a leader that has nothing to say.
  Reads reads = Reads::kLog;   ///< Of commands that only read.
  /// So many known instances that are not executed make the image of a peer worth a question.
  std::uint64_t image_lag_instances = 200'000;
  /// Executed instances that some member has not executed: beyond so many, they are kept on disk
  /// only, and the conflict index forgets their keys.
  std::uint64_t held_executed_max = 200'000;
  /// Bytes of instances and of the conflict index. Beyond half of them as much as possible is put
  /// away, as above; when nearly all are needed for a member that is away, the host refuses
  /// proposals.
  std::uint64_t held_bytes_max = std::uint64_t{2} << 30;
  /// Of so many own instances, the last ones, Core::history() can tell what happened when; 0: of
  /// none.
  std::uint64_t history_instances = 4096;
};

/// What a core reads its records back with.
struct RecordReader {
  /// Replaces the value with that of a record; false: there is none.
  std::function<bool(const RecordKey& key, std::vector<std::byte>& value)> read;
  /// Every batch up to this one can be read. Ascending; at durability "async" it may be behind what
  /// Core::durable() was told.
  std::function<BatchNumber()> readable;
};

/// What a core keeps in memory, and why.
struct HeldMemory {
  std::uint64_t bytes = 0;
  std::uint64_t limit_bytes = 0;
  /// Most of it is kept for this member, which has not executed it. Known only when there is reason
  /// to ask: above three quarters of the limit.
  std::optional<ReplicaId> behind = {};
  /// Of the bytes, those of own commands that are not decided: too few replicas answer, or too
  /// late.
  std::uint64_t undecided_bytes = 0;

  /// A warning is due: there is time to do something.
  [[nodiscard]] bool runs_out() const { return is_kept() && bytes > limit_bytes / 4 * 3; }
  /// What is left is for what was proposed already.
  [[nodiscard]] bool is_short() const { return is_kept() && bytes > limit_bytes / 16 * 15; }

 private:
  /// Whether it stays for as long as something else lasts. The rest makes room by itself.
  [[nodiscard]] bool is_kept() const { return behind || undecided_bytes > limit_bytes / 4; }
};

struct RowStatus {
  Slot committed_up_to;  ///< Every slot up to this one is decided here.
  Slot executed_up_to;   ///< Every slot up to this one is applied here or decided Nop.
  Slot highest_known;    ///< The highest slot that anybody mentioned.
  Slot floor{};          ///< What is at or below it is executed everywhere, and forgotten.
};

/// Who belongs to the group.
struct MemberStatus {
  ReplicaSet voters;
  ReplicaSet old_voters;  ///< Of the configuration that is being left; empty: none is.
  ReplicaSet learners;    ///< They are given everything, and count for nothing yet.
  std::string change;     ///< What is under way; empty: nothing.
  std::string given_up;   ///< Why this leader gave up its last change; empty: it did not.
  bool may_pass = false;  ///< With given_up: nothing was begun, and the wish may be granted later.

  [[nodiscard]] bool votes(ReplicaId replica) const {
    return voters.contains(replica) || old_voters.contains(replica);
  }
};

enum class MemberChange : std::uint8_t { kAdd, kRemove };

struct CoreStatus {
  std::string role;         ///< "voting", "non-voting"; "leader", ... where a protocol has them.
  bool has_leader = false;  ///< Whether one replica of this protocol leads the others.
  std::optional<ReplicaId> leader;  ///< Who does, as far as this replica knows.
  /// Where the members can change: who they are, as far as this replica knows.
  std::optional<MemberStatus> members;
  HeldMemory memory;
  std::vector<RowStatus> rows;  ///< One a row (one in all for log protocols).
  /// One a replica: instances that are executed here and, as far as is known, not there.
  std::vector<std::uint64_t> lacking;
  std::vector<Counter> counters;
};

/// The calls come from one thread. In every turn: tick first, then inputs, then end_of_turn.
/// Every call but restore() and the const ones appends to `out`.
class Core {
 public:
  Core() = default;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  virtual ~Core() = default;

  /// Records can be read back from now on. Before everything else, if at all.
  virtual void read_from(RecordReader reader) = 0;

  /// One durable record, in the order of their keys. Before start(). The record passed the store's
  /// checksum; an error says that its content makes no sense, and the replica must not run.
  virtual Result<void> restore(const RecordKey& key, Bytes value) = 0;

  /// After the last restore(); once.
  virtual void start(Tick now, Effects& out) = 0;

  /// Commands of this replica's clients. Payloads are copied. Each ends as an execution, a read or
  /// a rejection (or neither, when this replica stops first).
  virtual void propose(std::span<const Proposal> proposals, Effects& out) = 0;

  /// A peer speaks. Any bytes are legal; malformed ones are counted and dropped.
  virtual void receive(ReplicaId from, const net::Frame& frame, Effects& out) = 0;

  /// Every batch up to `batch` is on disk (or counts as such at this durability level).
  virtual void durable(BatchNumber batch, Effects& out) = 0;

  /// The host has applied every execution up to `position`: their blocks may go.
  virtual void applied(std::uint64_t position, Effects& out) = 0;

  /// Time passes. Cost when nothing is due: O(1).
  virtual void tick(Tick now, Effects& out) = 0;
  /// When tick() has something to do next; kNever if nothing is scheduled.
  [[nodiscard]] virtual Tick next_deadline() const = 0;

  // Images. The host keeps images of the state machine and gives them to peers. What one covers is
  // the protocol's to say, in bytes of its own: the coverage of an image.

  /// The host starts from an image with this coverage. Before the first restore(), at most once.
  /// Errors: corrupted.
  virtual Result<void> restore_coverage(Bytes coverage) = 0;
  /// What the state machine has got: everything up to the last position that applied() was told.
  /// Precondition: that position ended a component.
  virtual void coverage(std::vector<std::byte>& out) const = 0;
  /// An image of this replica with this coverage is on disk: what it covers need not be kept for
  /// the next start.
  virtual void image_durable(Bytes coverage, Effects& out) = 0;
  /// What a peer must be told about an image with this coverage to install it, in place of what
  /// `out` holds. False: there is more to do; to be called again with the same arguments, once a
  /// turn, and with others only to begin something else.
  /// Errors: unavailable - it would not do for this peer; a later one may; too large - none would,
  /// as there is too much to be told.
  virtual Result<bool> coverage_for(ReplicaId peer, Bytes coverage,
                                    std::vector<std::byte>& out) = 0;
  /// Whether an image of a peer may take the place of the state machine.
  /// Errors: malformed; invalid_argument - it lacks what is executed here.
  [[nodiscard]] virtual Result<void> may_install(Bytes coverage) const = 0;
  /// It has taken its place, on disk too. Precondition: may_install() said so, and since then the
  /// core was neither ticked nor given proposals or messages, nor did a turn end; all its
  /// executions are applied.
  virtual void install(Bytes coverage, Effects& out) = 0;

  /// Once a turn, after its inputs: form batches, walk the executor, coalesce.
  virtual void end_of_turn(Effects& out) = 0;

  /// The disk is full (true), or has room again: while full, propose() is called for reads alone,
  /// and only if they write nothing; inputs that need a vote must be dropped and counted.
  virtual void storage_full(bool full) = 0;
  /// Whether commands that only read cost no record, at whoever proposes them.
  [[nodiscard]] virtual bool reads_write_nothing() const { return false; }

  /// What `peer` says shows that its disk has lost something it had told others. Whatever it
  /// promises from now on is worth nothing; it may still learn.
  virtual void peer_forgot(ReplicaId peer) = 0;

  /// Another replica is to lead in place of this one, once it has what it needs for that; nothing
  /// is lost when it does not work out. May be called where propose() may. Errors: unsupported -
  /// nobody leads in this protocol, or the lead is not given away; unavailable - this replica does
  /// not lead, or that one cannot.
  virtual Result<void> transfer_leadership(ReplicaId /*to*/, Effects& /*out*/) {
    return fail(
        ErrorCode::kUnsupported,
        "There is no leader in this protocol: every replica proposes the commands of its own "
        "clients, so there is no lead to give away.");
  }

  /// A replica of the cluster file joins the members of the group, or leaves them; status() tells
  /// how far that is, also that it came to nothing because too few answered what was sent since
  /// this call. May be called where propose() may. Errors: unsupported - the members cannot
  /// change in this protocol; invalid argument - that one is a member, or is none, or nobody would
  /// be left; unavailable - this replica does not lead, another change is under way, or too few of
  /// those who would be members answer.
  virtual Result<void> change_members(MemberChange /*change*/, ReplicaId /*replica*/,
                                      Effects& /*out*/) {
    return fail(ErrorCode::kUnsupported,
                "The members cannot change in this protocol: they are the replicas of the cluster "
                "file. In raft and raft-all they can.");
  }

  /// Cheap: it is asked about with every proposal.
  [[nodiscard]] virtual HeldMemory held_memory() const = 0;

  virtual void status(CoreStatus& out) const = 0;

  /// What is known of the life of one instance; `now` is the asker's to fill in. Errors:
  /// unsupported - there are no instances in this protocol; invalid argument - no such row;
  /// unavailable - nothing is known of it here. The sentence says what to do.
  [[nodiscard]] virtual Result<InstanceHistory> history(const InstanceId& /*id*/) const {
    return fail(ErrorCode::kUnsupported,
                "Only epaxos has instances with dependencies. In this protocol a command waits "
                "for the leader, where there is one, for more than half of the replicas, and for "
                "all that was decided before it: \"epaxosctl status\" shows how far each replica "
                "is, and \"epaxosctl leader show\" who leads.");
  }
  /// Of those own instances whose steps are kept, up to `most`: first those that are not executed
  /// yet, the oldest first, then those that took longest. Errors: unsupported, as history();
  /// unavailable - no steps are kept.
  [[nodiscard]] virtual Result<std::vector<InstanceHistory>> slowest(std::size_t /*most*/) const {
    return fail(history({}).error());
  }
};

/// A protocol of the line-up.
struct Protocol {
  std::string name;  ///< "epaxos", "raft", ...; what --protocol takes.
  std::function<std::unique_ptr<Core>(const CoreConfig&)> make_core;
  Reads reads = Reads::kLog;     ///< Unless somebody wishes otherwise; kLog: there is no other way.
  bool changes_members = false;  ///< Core::change_members() is there, and spares are.
  bool can_be_thrifty = false;   ///< Heeds CoreConfig::thrifty.
};

}  // namespace epaxos
