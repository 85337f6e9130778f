#pragma once

// The one place that carries out a core's effects, in the one legal order: submit the records of a
// turn as a batch, hold everything that rests on them until the batch is durable, then send, apply
// and reply. ZeroMQ's event loop and the simulator drive the same host. Source: protocol.md 13.1.

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/result.h"
#include "deps/types/session.h"
#include "epaxos/contract/core.h"
#include "epaxos/runtime/images.h"
#include "epaxos/runtime/pending.h"
#include "epaxos/runtime/prefix_gate.h"
#include "epaxos/runtime/session_calls.h"
#include "epaxos/storage/store.h"
#include "executor/session_table.h"
#include "executor/state_machine.h"
#include "net/bundle.h"

namespace epaxos::runtime {

/// Where bundles leave. Never blocks; false means dropped (and counted by the sender).
class PeerSink {
 public:
  PeerSink() = default;
  PeerSink(const PeerSink&) = delete;
  PeerSink& operator=(const PeerSink&) = delete;
  virtual ~PeerSink() = default;

  /// `bundle` lives as long as the call, which must not call the host back.
  virtual bool send(ReplicaId to, Bytes bundle) = 0;
};

struct HostConfig {
  net::BundleIdentity identity;  ///< Cluster, self, incarnation, configuration hash.
  int replica_count = 0;
  Durability durability = Durability::kSync;
  std::size_t pending_max = 64 * 1024;  ///< Proposals without an outcome; beyond: overloaded.
  /// Empty: this replica votes. Otherwise why it must not, as a sentence for those who propose;
  /// CoreConfig::voting is false then.
  std::string not_voting_reason;
  /// Peers are to believe this replica although they remember more of it than its disk does.
  bool unsafe_rejoin = false;
  /// A session that nobody used for so long is forgotten.
  Tick session_ttl_us = 3'600'000'000;
  /// Bytes of records after which an image of the state is made, so that older ones may go; more
  /// when the state is larger.
  std::uint64_t image_log_bytes = std::uint64_t{64} << 20;
  /// What one turn reads of the state for an image: a fraction of a millisecond.
  std::size_t image_turn_bytes = 128 * 1024;
  Tick image_pause_us = 0;  ///< Between two such turns.
  /// Microseconds that all replicas agree on roughly, for commands to carry. Empty: the ticks that
  /// turns begin with.
  std::function<std::uint64_t()> wall_clock_us;
};

/// What a host has done and refused since its start. Counters never go back.
struct HostCounters {
  static constexpr std::size_t kFrameTypes = 32;

  std::uint64_t turns = 0;
  std::uint64_t batches = 0;  ///< Submitted to the store.
  std::uint64_t records = 0;
  std::uint64_t record_bytes = 0;  ///< Their values only.
  std::uint64_t bundles_in = 0;    ///< Accepted; the others are counted by their refusal.
  std::uint64_t bundles_out = 0;
  std::uint64_t bundles_dropped = 0;  ///< The sink could not take them.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t instances_executed = 0;
  std::uint64_t commands_executed = 0;
  std::uint64_t commands_completed = 0;   ///< Executed for a client of this replica.
  std::uint64_t commands_late = 0;        ///< Of this replica, executed after their outcome.
  std::uint64_t reads_run = 0;            ///< Without a place in the final order.
  std::uint64_t rejected_by_core = 0;     ///< For reasons that the core counts.
  std::uint64_t rejected_overloaded = 0;  ///< The others: by the host itself.
  std::uint64_t rejected_too_large = 0;
  std::uint64_t rejected_deadline = 0;
  std::uint64_t rejected_storage_full = 0;
  std::uint64_t rejected_memory_short = 0;  ///< Too much is held that must stay.
  std::uint64_t rejected_not_voting = 0;
  std::uint64_t rejected_stopped = 0;
  std::uint64_t rejected_bad_session = 0;  ///< An id that no client may have, or the number 0.
  std::uint64_t unknown_deadline = 0;
  std::uint64_t unknown_stopped = 0;
  std::uint64_t unknown_superseded = 0;     ///< Covered by the image of a peer.
  std::uint64_t session_duplicates = 0;     ///< Not run again: the table held the reply.
  std::uint64_t session_stale = 0;          ///< Acknowledged before; nobody waited for an answer.
  std::uint64_t session_beyond_window = 0;  ///< Too many numbers were not acknowledged.
  std::uint64_t session_unknown = 0;        ///< Of sessions that were not open.
  std::uint64_t session_expired = 0;        ///< Sessions that were forgotten.
  std::uint64_t session_malformed = 0;      ///< Commands about sessions that make no sense.
  std::array<std::uint64_t, kFrameTypes> frames_in{};   ///< By type; the last for all others.
  std::array<std::uint64_t, kFrameTypes> frames_out{};  ///< A broadcast: one a receiver.
};

struct HostStatus {
  HostCounters counters;
  net::RefusalCounters refusals;  ///< Of bundles, by reason.
  ReplicaSet strangers;           ///< Peers that run with another cluster file or protocol.
  CoreStatus core;
  storage::StoreState store = storage::StoreState::kReady;
  bool stopped = false;
  std::uint64_t pending = 0;         ///< Proposals without an outcome.
  std::uint64_t held_turns = 0;      ///< Turns whose effects wait for the disk.
  BatchNumber submitted_batch = 0;   ///< The last one.
  BatchNumber durable_batch = 0;     ///< Up to this one effects may leave.
  std::uint64_t applied_up_to = 0;   ///< The position of the last execution that was applied.
  std::uint64_t machine_digest = 0;  ///< StateMachine::digest().
  std::uint64_t sessions_open = 0;
  std::uint64_t session_replies = 0;  ///< Kept for requests that may be repeated.
  ImageStatus image;
};

/// A turn: begin_turn(now), any number of inputs, end_turn(). Outcomes are told only inside
/// begin_turn(), end_turn() and stop(), never inside propose().
class Host {
 public:
  /// Everything must outlive the host.
  Host(const HostConfig& config, Core& core, storage::Store& store, StateMachine& machine,
       PeerSink& peers);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  /// Streams the store into the core and starts it; a turn of its own.
  /// Errors: corrupted - what the store held cannot be; the host must not be used.
  Result<void> start(Tick now);

  void begin_turn(Tick now);
  /// A bundle from the network, of any alignment. Checked; refusals are counted by reason.
  void receive_bundle(Bytes bundle);
  /// A command whose footprint the machine has given; the payload is copied. `deadline` in ticks of
  /// the host's clock (kNever: none): past it, the outcome is rejected if the core never got the
  /// command, else unknown. May be called between turns and from a completion; then the next turn
  /// is due at once.
  ///
  /// A request of a session takes effect once, however often and wherever it is proposed; a
  /// command that only reads needs no session, and its one is ignored.
  ///
  /// Returns the id that the command got, or session 0 when it was refused or answered at once.
  CommandId propose(Bytes payload, const Footprint& footprint, Tick deadline, Completion done,
                    const SessionRequest& request = {});
  /// Opens, touches or closes a session of a client; the outcome's reply is empty. As propose().
  CommandId control_session(SessionOperation operation, std::uint64_t session, Tick deadline,
                            Completion done);
  void end_turn();

  /// Makes an image of the state as soon as possible, whatever was logged since the last one.
  void request_image() { images_.request(); }

  /// As Core::transfer_leadership(). Within a turn.
  Result<void> transfer_leadership(ReplicaId to) {
    return core_.transfer_leadership(to, *effects_);
  }

  /// As Core::change_members(). Within a turn.
  Result<void> change_members(MemberChange change, ReplicaId replica) {
    return core_.change_members(change, replica, *effects_);
  }

  /// As Core::history(), with the time of the last turn.
  [[nodiscard]] Result<InstanceHistory> history(const InstanceId& id) const;
  /// As Core::slowest(), likewise.
  [[nodiscard]] Result<std::vector<InstanceHistory>> slowest(std::size_t most) const;

  /// When the next turn is due although nothing arrives; the time of the last turn, or 0: at once.
  [[nodiscard]] Tick next_deadline() const;

  /// Ends every pending proposal: rejected when the core never got it, otherwise unknown.
  /// Afterwards no effect leaves any more and proposals are refused.
  void stop(std::string_view reason);
  /// Whether the host stopped, by itself (an I/O error) or by stop(), and why.
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] const std::string& stop_reason() const { return stop_reason_; }

  [[nodiscard]] const HostCounters& counters() const { return counters_; }
  [[nodiscard]] const net::RefusalCounters& refusals() const { return refusals_; }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  [[nodiscard]] std::size_t held_turns() const { return gate_.held(); }
  /// How many batches were ever durable at a peer, as far as it has told this host in this life.
  [[nodiscard]] std::uint64_t durable_heard(ReplicaId peer) const {
    return lives_[peer.value()].durable;
  }
  [[nodiscard]] const Core& core() const { return core_; }
  [[nodiscard]] const executor::SessionTable& sessions() const { return sessions_; }
  /// A fingerprint of the state machine and the sessions between two turns: the machine's own while
  /// no session was ever opened.
  [[nodiscard]] std::uint64_t digest() const { return machine_.digest() + sessions_.digest(); }
  /// Everything at once. Cost: that of the core's status and of the digest.
  void status(HostStatus& out) const;

 private:
  struct Outgoing {
    net::BundleWriter writer;
    bool open = false;
  };
  /// A proposal that is refused, until its proposer is told at the end of the turn.
  struct Refused {
    Completion done;
    ErrorCode code = ErrorCode::kOverloaded;
    const char* reason = "";  // Empty: stop_reason_ or not_voting_reason, by the code.
  };
  /// A request whose reply the session table held.
  struct Answered {
    Completion done;
    std::vector<std::byte> reply;
  };
  /// Beside the proposal of the same index.
  struct Queued {
    std::size_t payload_offset = 0;
    std::uint64_t ticket = 0;
  };
  /// A command of this host, or of a session, in the batch that is being applied.
  struct Own {
    std::size_t index = 0;
    Tick committed_at = 0;
    bool proposed_here = false;  // In this life.
  };

  // The steps of a turn.
  bool follow_store();
  void expire_deadlines();
  void give_proposals();
  void close_step();
  void log_count();
  Result<void> restore_count(const RecordKey& key, Bytes value);
  bool read_back(const RecordKey& key, std::vector<std::byte>& value);
  bool release_open();
  void flush_all();
  void execute_ready();
  void care_for_images();
  [[nodiscard]] BatchNumber durable() const;

  // Sends.
  void send_frames(const Effects& turn, Release release);
  void send_frame(const SendEffect& send, Bytes body);
  void flush(ReplicaId to);

  // Executions.
  void execute(const Effects& turn);
  void cut(const ExecutionEffect& execution);
  void apply_commands();
  void run(std::span<const Command> commands);
  void take_reads(const Effects& turn);
  void run_reads();
  void tell_own(CommandId id, Bytes reply, Tick committed_at);
  void tell_executed(const Completion& done, Bytes reply, Tick committed_at);

  // Sessions: host_sessions.cc.
  CommandId propose_in_session(Bytes payload, const Footprint& footprint, Tick deadline,
                               Completion done, const SessionRequest& request);
  CommandId propose_control(const SessionControl& control, Tick deadline, Completion done);
  void apply_with_sessions();
  void run_what_waits();
  void apply_in_session(const Command& command, const Own& own);
  void apply_control(const Command& command, Tick committed_at);
  void propose_behind_opening(const Command& command);
  void tell_call(CommandId id, Bytes reply, Tick committed_at);
  void reject_call(CommandId id, ErrorCode code, std::string_view reason);
  void end_call(CommandId id, OutcomeKind kind, ErrorCode code, std::string_view reason);
  void care_for_sessions();
  void care_for(const executor::SessionTable::Look& session, std::uint64_t clock_us);
  [[nodiscard]] std::uint64_t clock_us() const;

  // Outcomes.
  bool refused(Bytes payload, Completion& done, bool writes = true);
  [[nodiscard]] bool needs_disk(bool writes) const {
    return writes || !core_.reads_write_nothing();
  }
  void enqueue(const Command& command, const Footprint& footprint, std::uint64_t ticket);
  bool is_wanted(CommandId id, std::uint64_t ticket);
  void refuse_queued(CommandId id, std::uint64_t ticket);
  Completion take(std::uint64_t ticket);
  CommandId refuse(Completion done, ErrorCode code, const char* reason, std::uint64_t& counter);
  void tell_refused();
  void tell_rejections(const Effects& turn);
  void tell_superseded(const Effects& turn);
  void tell(const Completion& done, OutcomeKind kind, ErrorCode code,
            std::string_view reason) const;
  [[nodiscard]] bool is_queued(std::uint64_t ticket) const;
  /// Whether this host named the command.
  [[nodiscard]] bool is_own(CommandId id) const {
    return (id.session & ~kControlSessionBit) == session_;
  }

  const HostConfig config_;
  Core& core_;
  storage::Store& store_;
  StateMachine& machine_;
  PeerSink& peers_;
  const std::uint64_t session_;

  PrefixGate gate_;
  std::unique_ptr<Effects> effects_;
  std::vector<std::unique_ptr<Effects>> ready_;  // Sent; still to be applied, in order.
  Tick now_ = 0;
  BatchNumber submitted_ = 0;
  BatchNumber told_durable_ = 0;
  BatchNumber start_batch_ = ~BatchNumber{0};  // What start() wrote; above all until it has.
  bool in_turn_ = false;
  bool unfinished_ = false;  // The steps of a turn are bounded; there is more to do.
  bool storage_full_ = false;
  bool stopped_ = false;
  std::string stop_reason_;
  std::string unreadable_;  // Why a record could not be read back.

  net::BundleReader reader_;
  std::vector<Outgoing> outgoing_;
  /// What a peer has said of itself: its life, and how many batches were ever durable there. A disk
  /// that comes back with fewer has lost what it promised (protocol.md 13.5).
  struct PeerLife {
    std::uint64_t incarnation = 0;
    std::uint64_t durable = 0;         // The most, in all lives.
    std::uint64_t durable_before = 0;  // The most, in earlier lives.
    bool forgot = false;
  };
  void note_stranger(net::Refusal refusal);
  void note_life(const net::BundleHeader& header);
  std::vector<PeerLife> lives_;
  std::uint64_t durable_before_ = 0;                 // Batches of this replica's own earlier lives.
  net::BundleIdentity identity_ = config_.identity;  // With that number, from the start on.
  net::RefusalCounters refusals_;
  ReplicaSet strangers_;

  // Proposals that the next end_turn() gives to the core; payloads lie in `payloads_`.
  std::vector<Proposal> proposals_;
  std::vector<Queued> queued_;
  std::vector<std::byte> payloads_;
  std::vector<Refused> refused_;
  std::vector<Answered> answered_;
  std::vector<std::uint64_t> expired_;
  Pending pending_;
  SessionCalls calls_;
  std::multiset<std::uint64_t> openings_;  // Sessions that this host is opening.

  /// Commands that only read and may be run at any time from here on.
  struct Read {
    CommandId id;
    std::vector<std::byte> payload;
  };
  std::deque<Read> reads_;

  // The batch that is being applied.
  std::vector<Command> commands_;
  std::vector<Own> own_;
  bool any_session_ = false;  // Whether one of them asks the session table.
  std::vector<Command> to_run_;
  std::vector<Tick> to_run_committed_at_;
  Replies replies_;
  std::uint64_t applied_ = 0;

  executor::SessionTable sessions_;
  Images images_;
  bool at_boundary_ = true;  // What is applied ends a component.
  Tick next_care_ = kNever;
  std::size_t care_cursor_ = 0;
  std::size_t care_pending_ = 0;  // Proposals of this host's own about sessions.

  HostCounters counters_;
};

}  // namespace epaxos::runtime
