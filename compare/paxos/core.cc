#include "compare/paxos/core.h"

#include <algorithm>

namespace epaxos::compare::paxos {
namespace {

/// An attempt waits at most 2^6 times as long as the first one, and a question at most 2^4 times.
constexpr unsigned kAttemptsMax = 6;
constexpr unsigned kQuestionsMax = 4;
constexpr Slot kTheSlot{1};

constexpr const char* kOtherUnderway =
    "this replica is deciding about other commands already, and there is one decision only; the "
    "command was not executed";
constexpr const char* kOtherChosen =
    "other commands were chosen, perhaps the opening of a session, and there is one decision only; "
    "the command was not executed";

}  // namespace

Protocol paxos() {
  return {"paxos", [](const CoreConfig& config) -> std::unique_ptr<Core> {
            return std::make_unique<PaxosCore>(config, Quorums::majorities(config.replica_count));
          }};
}

PaxosCore::PaxosCore(const CoreConfig& config, const Quorums& quorums)
    : config_(config),
      n_(config.replica_count),
      self_(config.self),
      others_(ReplicaSet::all(config.replica_count).without(config.self)),
      quorums_(quorums),
      voting_(config.voting),
      proposer_(config.self, quorums),
      random_(mix64(config.seed + config.self.value())) {
  check(n_ >= 1 && n_ <= kReplicasMax, "a group has 1 .. 9 replicas");
  check(self_.value() < n_, "a replica is a member of its group");
}

// --- The start ---------------------------------------------------------------------------------

Failure PaxosCore::nonsense(const char* what) const {
  return fail(ErrorCode::kCorrupted, std::string("the record of the decision ") + what +
                                         "; replace this replica, or restore its whole directory");
}

Result<void> PaxosCore::restore(const RecordKey& key, Bytes value) {
  if (key.group != config_.group || key.epoch != config_.epoch || key.row != ReplicaId() ||
      key.slot != kTheSlot) {
    return nonsense("belongs to another group, epoch or protocol");
  }
  aligned_.assign(value);
  switch (static_cast<RecordKind>(key.kind)) {
    case RecordKind::kPromise: {
      Prepare record;
      if (!decode(aligned_.bytes(), n_, record)) return nonsense("holds no promise");
      acceptor_.prepare(record.ballot);
      return {};
    }
    case RecordKind::kVote: {
      Accept record;
      if (!decode(aligned_.bytes(), n_, record)) return nonsense("holds no vote");
      // What was promised after the vote stands in the other record.
      acceptor_ = Acceptor<Value>(std::max(acceptor_.promised(), record.ballot),
                                  Vote<Value>{record.ballot, Value(record.value)});
      return {};
    }
    case RecordKind::kChosen: {
      Chosen record;
      if (!decode(aligned_.bytes(), n_, record)) return nonsense("holds no value");
      chosen_.emplace(record.value);
      return {};
    }
    case RecordKind::kMemoryLost:
      memory_lost_ = true;
      if (!config_.unsafe_rejoin) voting_ = false;
      return {};
  }
  return nonsense("is of a kind that this version does not know");
}

void PaxosCore::start(Tick now, Effects& out) {
  heard_ = acceptor_.promised();
  if (wants_to_propose()) propose_due_ = now + patience();
  if (!chosen_ && n_ > 1) ask_due_ = now + config_.question_us;
  send(others_, Ask{}, out, Release::kNow);
}

// --- Commands ----------------------------------------------------------------------------------

void PaxosCore::reject(const CommandId& command, const char* reason, Count count, Effects& out) {
  add(count);
  out.rejections.push_back({command, ErrorCode::kUnavailable, reason});
}

bool PaxosCore::is_in_chosen(const CommandId& command) const {
  std::vector<Command> commands;
  decode_block_commands(chosen_->block, commands);
  return std::ranges::any_of(commands, [&](const Command& each) { return each.id == command; });
}

/// Who retries elsewhere may find that the command is executed although it lost here.
void PaxosCore::settle(const CommandId& command, Effects& out) {
  if (!is_in_chosen(command)) return reject(command, kOtherChosen, Count::kRejectedChosen, out);
  if (executed_) out.superseded.push_back(command);  // Else its execution tells.
}

void PaxosCore::propose(std::span<const Proposal> proposals, Effects& out) {
  if (!voting_) return out.reject(proposals, ErrorCode::kNotVoting, kMayNotPropose);
  std::size_t taken = 0;
  if (!chosen_ && !candidate_ && !proposals.empty()) {
    const auto batch = proposals.first(
        commands_that_fit(proposals, config_.batch_commands_max, config_.batch_bytes_max));
    const Footprint footprint = merged_footprint(batch);
    const std::size_t bytes = block_bytes(batch, footprint);
    if (bytes > kBlockBytesMax || footprint.accesses().size() > kBlockAccessesMax) {
      out.reject(batch, ErrorCode::kTooLarge,
                 "the command exceeds the 512 KiB or 16,384 keys that a decision can carry");
    } else {
      candidate_.emplace();
      candidate_->proposer = self_;
      candidate_->block.resize(bytes);
      encode_block(batch, footprint, candidate_->block);
      if (proposer_.stage() == Proposer<Value>::Stage::kIdle) start_ballot(out);
    }
    taken = batch.size();
  }
  for (const Proposal& each : proposals.subspan(taken)) {
    if (chosen_) {
      settle(each.command.id, out);
    } else {
      reject(each.command.id, kOtherUnderway, Count::kRejectedOther, out);
    }
  }
}

// --- Peers and the disk ------------------------------------------------------------------------

template <class Message, class Handler>
void PaxosCore::dispatch(const net::Frame& frame, Handler handle) {
  Message message;
  if (!decode(frame.body, n_, message)) return add(Count::kMalformedFrame);
  handle(message);
}

void PaxosCore::receive(ReplicaId from, const net::Frame& frame, Effects& out) {
  check(from.value() < n_ && from != self_, "the host lets only peers speak");
  if (frame.group != config_.group) return add(Count::kWrongGroup);
  if (frame.epoch != config_.epoch) return add(Count::kWrongEpoch);
  const auto type = static_cast<MessageType>(frame.type);
  if (forgot_.contains(from) && type != MessageType::kForgot) {
    send(ReplicaSet::only(from), Forgot{}, out, Release::kNow);
    if (type != MessageType::kAsk) return add(Count::kPeerForgot);
  }
  switch (type) {
    case MessageType::kPrepare:
      return dispatch<Prepare>(frame, [&](const Prepare& m) { on_prepare(from, m, out); });
    case MessageType::kPromise:
      return dispatch<Promise>(frame, [&](const Promise& m) { on_promise(from, m, out); });
    case MessageType::kAccept:
      return dispatch<Accept>(frame, [&](const Accept& m) { on_accept(from, m, out); });
    case MessageType::kAccepted:
      return dispatch<Accepted>(frame, [&](const Accepted& m) { on_accepted(from, m, out); });
    case MessageType::kNack:
      return dispatch<Nack>(frame, [&](const Nack& m) { on_nack(m, out.now); });
    case MessageType::kChosen:
      return dispatch<Chosen>(frame, [&](const Chosen& m) { on_chosen(m, out); });
    case MessageType::kAsk:
      return dispatch<Ask>(frame, [&](const Ask&) {
        if (chosen_) send(ReplicaSet::only(from), Chosen{chosen_->view()}, out);
      });
    case MessageType::kForgot:
      return dispatch<Forgot>(frame, [&](const Forgot&) { on_forgot(out); });
  }
  add(Count::kUnknownType);
}

void PaxosCore::durable(BatchNumber batch, Effects& out) {
  while (!awaits_durable_.empty() && awaits_durable_.front().batch <= batch) {
    const AwaitsDurable done = awaits_durable_.front();
    awaits_durable_.pop_front();
    if (chosen_ || acceptor_.promised() != done.ballot) continue;
    if (done.vote) {
      decide_if_chosen(proposer_.on_accepted(self_, done.ballot), out);
    } else {
      open_if_promised(proposer_.on_promise(self_, done.ballot, acceptor_.vote()), out);
    }
  }
}

void PaxosCore::applied(std::uint64_t position, Effects&) {
  check(position <= position_, "the host applied what it was never given");
  if (position > 0) executed_ = true;
}

// --- Time --------------------------------------------------------------------------------------

/// Longer each time, and never the same for two: else two proposers may stop each other for ever.
Tick PaxosCore::patience() {
  const Tick least = config_.recovery_timeout_us << std::min(attempts_, kAttemptsMax);
  random_ = mix64(random_);
  return least + random_ % (least + 1);
}

void PaxosCore::tick(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  if (propose_due_ <= now) propose_due(out);
  if (ask_due_ <= now) ask_due(out);
}

void PaxosCore::propose_due(Effects& out) {
  propose_due_ = kNever;
  if (!wants_to_propose()) return;
  ++attempts_;
  if (storage_full_) {
    propose_due_ = out.now + patience();
  } else if (proposer_.stage() == Proposer<Value>::Stage::kIdle) {
    start_ballot(out);
  } else {
    resend(out);
  }
}

void PaxosCore::ask_due(Effects& out) {
  ask_due_ = kNever;
  if (chosen_) return;
  add(Count::kAsked);
  send(others_, Ask{}, out, Release::kNow);
  asked_ = std::min(asked_ + 1, kQuestionsMax);
  ask_due_ = out.now + (config_.question_us << asked_);
}

Tick PaxosCore::next_deadline() const {
  return std::min(propose_due_, ask_due_);
}

void PaxosCore::end_of_turn(Effects& out) {
  if (!chosen_ || handed_over_ || executed_) return;
  handed_over_ = true;
  out.executions.push_back({++position_,
                            {chosen_->proposer, kTheSlot},
                            out.now,
                            chosen_->block,
                            chosen_->proposer == self_});
  out.ends_component = true;
}

// --- Images: the record of the value stays, so a peer needs none -------------------------------

Result<void> PaxosCore::restore_coverage(Bytes coverage) {
  const auto executed = number_from<std::uint64_t>(coverage);
  if (!executed || *executed > 1) return nonsense("is covered by an image that says nonsense");
  executed_ = *executed == 1;
  return {};
}

void PaxosCore::coverage(std::vector<std::byte>& out) const {
  const std::uint64_t executed = executed_ ? 1 : 0;
  const Bytes bytes = bytes_of(executed);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void PaxosCore::image_durable(Bytes, Effects&) {
}

Result<bool> PaxosCore::coverage_for(ReplicaId, Bytes, std::vector<std::byte>&) {
  return fail(ErrorCode::kUnavailable, "the one value is told as it is; there is no shorter way");
}

Result<void> PaxosCore::may_install(Bytes) const {
  return fail(ErrorCode::kInvalidArgument, "the one value is told as it is; no image is needed");
}

void PaxosCore::install(Bytes, Effects&) {
  check(false, "an image was installed that was refused");
}

// --- What the handlers share -------------------------------------------------------------------

void PaxosCore::put(RecordKind kind, Slice value, Effects& out) const {
  out.put({static_cast<std::uint8_t>(kind), config_.group, config_.epoch, ReplicaId(), kTheSlot},
          value);
}

void PaxosCore::status(CoreStatus& out) const {
  out.role = voting_        ? "voting"
             : memory_lost_ ? "non-voting: peers know more of this replica than its disk does"
                            : "non-voting";
  const Slot known = chosen_ || acceptor_.vote() ? kTheSlot : Slot();
  out.rows.push_back(
      {chosen_ ? kTheSlot : Slot(), executed_ && chosen_ ? kTheSlot : Slot(), known});
  counters_.append_to(out.counters, kCountNames);
}

}  // namespace epaxos::compare::paxos
