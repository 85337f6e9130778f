#pragma once

// Paxos itself behind the contract of a core: one decision, once and for all. The first batch of
// commands that is chosen is executed; every other command is rejected, as it certainly never will
// be. The classes that it is made of (Acceptor, Proposer, Learner) decide each slot of Multi-Paxos
// too. core.cc is the contract, decide.cc the two phases. Source: Lamport, "Paxos Made Simple", 2.

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "compare/paxos/acceptor.h"
#include "compare/paxos/counters.h"
#include "compare/paxos/message.h"
#include "compare/paxos/proposer.h"
#include "compare/paxos/quorums.h"
#include "epaxos/contract/core.h"

namespace epaxos::compare::paxos {

/// What is decided, kept.
struct Value {
  ReplicaId proposer;
  std::vector<std::byte> block;

  Value() = default;
  explicit Value(const ValueView& view)
      : proposer(view.proposer), block(view.block.begin(), view.block.end()) {}
  [[nodiscard]] ValueView view() const { return {proposer, block}; }
  friend bool operator==(const Value&, const Value&) = default;
};

class PaxosCore final : public Core {
 public:
  PaxosCore(const CoreConfig& config, const Quorums& quorums);

  void read_from(RecordReader) override {}  // All is in memory.
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
  void storage_full(bool full) override { storage_full_ = full; }
  void peer_forgot(ReplicaId peer) override { forgot_.add(peer); }
  [[nodiscard]] HeldMemory held_memory() const override { return {}; }
  void status(CoreStatus& out) const override;

 private:
  /// What becomes possible when a batch is durable.
  struct AwaitsDurable {
    BatchNumber batch = 0;
    bool vote = false;  ///< Else a promise.
    Ballot ballot;
  };

  // decide.cc: the two phases.
  void start_ballot(Effects& out);
  void open_if_promised(bool open, Effects& out);
  void on_prepare(ReplicaId from, const Prepare& message, Effects& out);
  void on_promise(ReplicaId from, const Promise& message, Effects& out);
  void on_accept(ReplicaId from, const Accept& message, Effects& out);
  void on_accepted(ReplicaId from, const Accepted& message, Effects& out);
  void decide_if_chosen(bool chosen, Effects& out);
  void on_nack(const Nack& message, Tick now);
  void on_chosen(const Chosen& message, Effects& out);
  void decide(const Value& value, Effects& out);
  void settle_candidate(Effects& out);
  void resend(Effects& out);
  void on_forgot(Effects& out);
  void give_way(Ballot to, Tick now);
  /// Whether this replica may promise to `from`, or vote for what it proposes.
  [[nodiscard]] bool may_answer(ReplicaId from, Ballot ballot, Effects& out);

  // core.cc
  template <class Message, class Handler>
  void dispatch(const net::Frame& frame, Handler handle);
  void propose_due(Effects& out);
  void ask_due(Effects& out);
  void reject(const CommandId& command, const char* reason, Count count, Effects& out);
  /// What becomes of a command when the value is known.
  void settle(const CommandId& command, Effects& out);
  [[nodiscard]] bool is_in_chosen(const CommandId& command) const;
  [[nodiscard]] bool wants_to_propose() const {
    return voting_ && !chosen_ && (candidate_ || acceptor_.vote());
  }
  [[nodiscard]] Tick patience();
  template <class Message>
  void send(ReplicaSet to, const Message& message, Effects& out,
            Release release = Release::kGated) const;
  void put(RecordKind kind, Slice value, Effects& out) const;
  [[nodiscard]] Failure nonsense(const char* what) const;
  void add(Count what) { counters_.add(what); }

  const CoreConfig config_;
  const int n_;
  const ReplicaId self_;
  const ReplicaSet others_;
  const Quorums quorums_;
  bool voting_;
  bool memory_lost_ = false;
  bool storage_full_ = false;
  ReplicaSet forgot_;  // Whoever is in it has lost promises: its word is worth nothing.

  Acceptor<Value> acceptor_;
  Proposer<Value> proposer_;
  std::optional<Value> candidate_;  // What this replica's clients want.
  std::optional<Value> chosen_;
  Ballot heard_;  // The highest that anybody mentioned.
  std::deque<AwaitsDurable> awaits_durable_;
  AlignedBytes aligned_;  // A record's bytes while they are restored.

  bool handed_over_ = false;  // The value, to be executed.
  bool executed_ = false;
  std::uint64_t position_ = 0;

  Tick propose_due_ = kNever;  // To send again what was not answered, or to begin anew.
  unsigned attempts_ = 0;
  Tick ask_due_ = kNever;
  unsigned asked_ = 0;
  std::uint64_t random_;
  Counters counters_;
};

/// The protocol as the line-up lists it: "paxos".
Protocol paxos();

template <class Message>
void PaxosCore::send(ReplicaSet to, const Message& message, Effects& out, Release release) const {
  if (to.size() == 0) return;
  out.sends.push_back({to.bits(), release, static_cast<net::FrameType>(Message::kType),
                       config_.group, config_.epoch, encode(message, out)});
}

}  // namespace epaxos::compare::paxos
