#include "epaxos/protocol/core.h"

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {
namespace {

/// Executions that one turn hands to its host; the rest follows in the next turn.
constexpr std::size_t kExecutionsPerTurn = 8192;
/// Bytes of effects after which a turn takes no more: far beyond what peers that follow the
/// protocol cause, and far below what an arena can hold.
constexpr std::size_t kTurnBytesMax = std::size_t{64} * 1024 * 1024;

/// Executed instances that peers have not heard of, in all rows.
constexpr std::uint64_t kUntoldMax = 8192;

/// Whether a message promises nothing, and asks or tells only what is known.
bool is_a_question(net::FrameType type) {
  const auto message = static_cast<MessageType>(type);
  return message == MessageType::kStatus || message == MessageType::kFetchRange ||
         message == MessageType::kFrontier;
}

}  // namespace

std::unique_ptr<Core> make_core(const CoreConfig& config) {
  return std::make_unique<EpaxosCore>(config);
}

Protocol epaxos() {
  Protocol protocol{"epaxos", make_core};
  protocol.can_be_thrifty = true;
  return protocol;
}

EpaxosCore::EpaxosCore(const CoreConfig& config)
    : config_(config),
      n_(config.replica_count),
      self_(config.self),
      others_(ReplicaSet::all(config.replica_count).without(config.self)),
      voting_(config.voting),
      instances_(config.replica_count),
      conflicts_(config.replica_count),
      graph_(config.replica_count),
      histories_(config.self, config.history_instances),
      retransmit_(config.retransmit_us, config.retransmit_max_us),
      nearness_(others_),
      floor_(config.replica_count),
      next_floor_(config.replica_count),
      heard_floor_(config.replica_count),
      vector_floor_(config.replica_count),
      next_vector_floor_(config.replica_count),
      image_(config.replica_count),
      dropped_(config.replica_count),
      erased_(config.replica_count),
      questions_(static_cast<std::size_t>(config.replica_count)),
      peers_(static_cast<std::size_t>(config.replica_count)),
      peers_executed_(static_cast<std::size_t>(config.replica_count),
                      Dependencies(config.replica_count)),
      peers_executed_ever_(peers_executed_),
      peers_floor_(peers_executed_),
      peers_vector_floor_(peers_executed_),
      gossip_interval_(config.gossip_us),
      gossiped_executed_(config.replica_count),
      gossiped_known_(config.replica_count),
      gossiped_floor_(config.replica_count),
      gossiped_vector_floor_(config.replica_count),
      random_(mix64(config.seed + config.self.value())) {
  check(n_ >= 1 && n_ <= kReplicasMax, "a group has 1 .. 9 replicas");
  check(self_.value() < n_, "a replica is a member of its group");
  if (histories_.keep() > 0) graph_.watch(&histories_);
}

template <class Message, class Handler>
void EpaxosCore::dispatch(const net::Frame& frame, Handler handle) {
  Message message;
  if (!decode(frame.body, n_, message)) return counters_.add(Count::kMalformedFrame);
  handle(message);
}

void EpaxosCore::receive(ReplicaId from, const net::Frame& frame, Effects& out) {
  check(from.value() < n_ && from != self_, "the host lets only peers speak");
  if (frame.group != config_.group) return counters_.add(Count::kWrongGroup);
  if (frame.epoch != config_.epoch) return counters_.add(Count::kWrongEpoch);
  note_heard(from, out.now);
  if (is_full(out)) return counters_.add(Count::kTurnFull);  // A lost message, no more.
  if (peers_[from.value()].forgot && !is_a_question(frame.type)) {
    return counters_.add(Count::kPeerForgot);
  }
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kPreAccept:
      return dispatch<PreAccept>(
          frame, [&](const PreAccept& m) { on_pre_accept(from, m, frame.body, out); });
    case MessageType::kPreAcceptOk:
      return dispatch<PreAcceptOk>(frame,
                                   [&](const PreAcceptOk& m) { on_pre_accept_ok(from, m, out); });
    case MessageType::kAccept:
      return dispatch<Accept>(frame, [&](const Accept& m) { on_accept(from, m, out); });
    case MessageType::kAcceptOk:
      return dispatch<AcceptOk>(frame, [&](const AcceptOk& m) { on_accept_ok(from, m, out); });
    case MessageType::kCommit:
      return dispatch<Commit>(frame, [&](const Commit& m) { on_commit(from, m, out); });
    case MessageType::kNack:
      return dispatch<Nack>(frame, [&](const Nack& m) { on_nack(from, m, out); });
    case MessageType::kRecover:
      return dispatch<Recover>(frame, [&](const Recover& m) { on_recover(from, m, out); });
    case MessageType::kRecoverOk:
      return dispatch<RecoverOk>(frame, [&](const RecoverOk& m) { on_recover_ok(from, m, out); });
    case MessageType::kValidate:
      return dispatch<Validate>(frame, [&](const Validate& m) { on_validate(from, m, out); });
    case MessageType::kValidateOk:
      return dispatch<ValidateOk>(frame,
                                  [&](const ValidateOk& m) { on_validate_ok(from, m, out); });
    case MessageType::kWaiting:
      return dispatch<Waiting>(frame, [&](const Waiting& m) { on_waiting(from, m, out); });
    case MessageType::kFence:
      return dispatch<Fence>(frame, [&](const Fence& m) { on_fence(from, m, out.now); });
    case MessageType::kUnfence:
      return dispatch<Unfence>(frame, [&](const Unfence& m) { on_unfence(from, m); });
    case MessageType::kVectorFloor:
      return dispatch<VectorFloor>(
          frame, [&](const VectorFloor& m) { on_vector_floor(from, m, out.now); });
    case MessageType::kStatus:
      return dispatch<Status>(frame, [&](const Status& m) { on_status(from, m, out); });
    case MessageType::kFetchRange:
      return dispatch<FetchRange>(frame,
                                  [&](const FetchRange& m) { on_fetch_range(from, m, out); });
    case MessageType::kRangeEnd:
      return dispatch<RangeEnd>(frame, [&](const RangeEnd& m) { on_range_end(from, m, out); });
    case MessageType::kLearn:
      return dispatch<Learn>(frame, [&](const Learn& m) { on_learn(from, m, frame.body, out); });
    case MessageType::kFrontier:
      return dispatch<Frontier>(frame, [&](const Frontier& m) { on_frontier(from, m, out); });
    case MessageType::kTruncated:
      return dispatch<Truncated>(frame, [&](const Truncated& m) { on_truncated(m); });
  }
  counters_.add(Count::kUnknownType);
}

void EpaxosCore::durable(BatchNumber batch, Effects& out) {
  durable_batch_ = batch;
  while (!nops_to_disk_.empty() && nops_to_disk_.front().first <= batch) nops_to_disk_.pop_front();
  while (!awaits_durable_.empty() && awaits_durable_.front().batch <= batch) {
    const AwaitsDurable done = awaits_durable_.front();
    awaits_durable_.pop_front();
    const InstanceId id{self_, done.slot};
    Instance* const instance = instances_.find(id);
    Progress* const progress = instance == nullptr ? nullptr : progress_of(*instance);
    if (progress == nullptr) continue;  // Decided or superseded meanwhile, or even dropped.
    switch (done.step) {
      case DurableStep::kProposal:
        progress->own_vote_durable = true;
        histories_.sent(id, out.now);
        evaluate(id, *instance, out);
        break;
      case DurableStep::kFastDecision:
        decide_fast(id, *instance, out);
        break;
      case DurableStep::kVote:
        progress->accepted.add(self_);
        histories_.accept_sent(id, out.now);
        evaluate_accept(id, *instance, out);
        break;
    }
  }
}

void EpaxosCore::applied(std::uint64_t position, Effects& out) {
  check(position <= position_, "the host applied what it was never given");
  for (; applied_ < position; ++applied_) {
    histories_.executed(handed_over_.front(), out.now);
    handed_over_.pop_front();
  }
}

void EpaxosCore::tick(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  if (retransmit_.next() <= now) retransmit_due(out);
  if (fast_wait_.next() <= now) fast_wait_due(out);
  if (recovery_due_ <= now) recoveries_due(out);
  if (question_due_ <= now) ask_about_holes(out);
  if (gossip_due_ <= now) gossip(others_, out);
  if (fence_due_ <= now) expire_fences(now);
  if (stall_due_ <= now) fence_if_stalled(out);
}

Tick EpaxosCore::next_deadline() const {
  if (ready_next_ < ready_.size() && !mutant(Mutant::kWaitsForQuiet)) return 0;
  // Nobody may propose, so nothing else makes turns: the conflict index shrinks nevertheless.
  const bool is_short = sweep_left_ > 0 && held_memory().is_short();
  const bool drops = more_to_drop_ || (more_to_erase_ && durable_batch_ >= erase_batch_);
  const bool goes_on = !resubmit_.empty() || !released_.empty() || drops || is_short;
  if (goes_on && !storage_full_) return 0;
  Tick next = std::min({retransmit_.next(), fast_wait_.next(), question_due_, recovery_due_,
                        fence_due_, stall_due_});
  if (others_.size() > 0) next = std::min(next, gossip_due_);
  return next;
}

void EpaxosCore::end_of_turn(Effects& out) {
  log_memory_loss(out);
  evaluate_waiting(out);
  resubmit_nops(out);
  propose_released(out);
  walk_executor(out);
  if (n_ == 1 && floor_due_ <= out.now) {
    raise_floor(out);
    floor_due_ = out.now + config_.gossip_us;
  }
  drop_some(out);
  archive_some(out);
  wish_for_image(out);
  if (own_fence_.number != 0 && graph_.executed(own_fence_.around)) lift_own_fence(out);
  const bool something_waits = graph_.waiting() > 0 || own_fence_.number != 0;
  if (!something_waits || n_ == 1) stall_due_ = kNever;
  if (something_waits && stall_due_ == kNever && n_ > 1)
    stall_due_ = out.now + config_.stall_us / 2;
  const auto is_over = [this](Slot slot) {
    const Instance* const instance = instances_.find({self_, slot});
    return instance == nullptr || instance->progress == Instance::kNoProgress;
  };
  retransmit_.trim(is_over);
  fast_wait_.trim(is_over);
  if (question_due_ == kNever) {
    for (int row = 0; row < n_; ++row) {
      if (!lags(ReplicaId(static_cast<std::uint16_t>(row)))) continue;
      question_due_ = out.now + config_.question_us / 2;
      break;
    }
  }
  // Peers drop what they hear that all have executed, so a busy replica tells it more often.
  if (executed_frontier().count_above(gossiped_executed_) > kUntoldMax) {
    gossip_due_ = std::min(gossip_due_, last_gossip_ + config_.gossip_us / 8);
  }
  // News shortens the wait for the next gossip, which grows while nothing happens.
  if (gossip_interval_ > config_.gossip_us && known_frontier() != gossiped_known_) {
    gossip_interval_ = config_.gossip_us;
    gossip_due_ = std::min(gossip_due_, out.now + gossip_interval_);
  }
}

void EpaxosCore::walk_executor(Effects& out) {
  if (ready_next_ == ready_.size()) {
    ready_.clear();
    ready_next_ = 0;
    if (!frozen_) graph_.take_ready(ready_);
  }
  const std::size_t end = std::min(ready_.size(), ready_next_ + kExecutionsPerTurn);
  for (; ready_next_ < end; ++ready_next_) {
    const InstanceId id = ready_[ready_next_];
    const Instance* const instance = instances_.find(id);
    check(instance != nullptr && instance->decided() && !instance->decided_nop(),
          "the executor ran what is not decided");
    if (mutant(Mutant::kWaitsForQuiet) && !is_quiet(*instance)) return;
    counters_.add(Count::kExecutedInstances);
    note_ready(id, out.now);
    out.executions.push_back(
        {++position_, id, instance->committed_at, instance->block(), is_of_this_life(id)});
    handed_over_.push_back(id);
  }
  out.ends_component = ready_next_ == ready_.size();
}

bool EpaxosCore::is_quiet(const Instance& instance) const {
  Dependencies highest(n_);
  conflicts_.merge_conflicts(kept_footprint(instance), highest);
  for (std::uint16_t index = 0; index < n_; ++index) {
    const InstanceId latest{ReplicaId(index), highest[ReplicaId(index)]};
    const Instance* const other = instances_.find(latest);
    if (latest.slot > Slot() && other != nullptr && !other->decided()) return false;
  }
  return true;
}

/// What the graph has released may still wait for the disk or the state machine.
Dependencies EpaxosCore::applied_frontier() const {
  Dependencies frontier = executed_frontier();
  const auto waits = [&frontier](const InstanceId& id) {
    if (id.slot <= frontier[id.row]) frontier[id.row] = Slot(id.slot.value() - 1);
  };
  for (const InstanceId& id : handed_over_) waits(id);
  for (std::size_t i = ready_next_; i < ready_.size(); ++i) waits(ready_[i]);
  return frontier;
}

void EpaxosCore::storage_full(bool full) {
  storage_full_ = full;
}

void EpaxosCore::peer_forgot(ReplicaId peer) {
  peers_[peer.value()].forgot = true;
  peers_[peer.value()].votes = false;
  gossip_due_ = 0;  // It hears of it.
}

void EpaxosCore::status(CoreStatus& out) const {
  if (voting_) {
    out.role = "voting";
  } else {
    out.role = memory_lost_ ? "non-voting: peers know instances of this replica that it forgot"
                            : "non-voting";
  }
  const Dependencies applied = applied_frontier();
  for (int row = 0; row < n_; ++row) {
    const ReplicaId id(static_cast<std::uint16_t>(row));
    const RowState& state = instances_.row(id);
    out.rows.push_back({state.committed_up_to, applied[id], state.highest_known, floor_[id]});
  }
  for (int other = 0; other < n_; ++other) {
    const bool is_self = replica_at(other) == self_;
    const Dependencies& there = peers_executed_[static_cast<std::size_t>(other)];
    out.lacking.push_back(is_self ? 0 : applied.count_above(there));
  }
  out.memory = held_memory();
  counters_.append_to(out.counters, kCountNames);
  out.counters.push_back({"in_flight_instances", progress_.in_flight()});
  out.counters.push_back({"delayed_proposals", delayed_});
  out.counters.push_back({"largest_component", graph_.largest_component()});
  out.counters.push_back({"components_of_three", graph_.components_of_three()});
  out.counters.push_back(
      {"waiting_to_execute", graph_.waiting() + ready_.size() - ready_next_ + handed_over_.size()});
  out.counters.push_back({"held_executed_instances", executed_since(dropped_)});
  out.counters.push_back({"conflict_index_keys", conflicts_.keys()});
  out.counters.push_back({"conflict_index_bytes", conflicts_.memory_bytes()});
  out.counters.push_back({"instance_table_bytes", instances_.memory_bytes()});
}

// --- What the handlers share -----------------------------------------------------------------

Instance* EpaxosCore::admit(const InstanceId& id) {
  note_known(id);
  Instance* const instance = instances_.find_or_add(id);
  if (instance == nullptr) counters_.add(Count::kHeldUndecidedFull);
  return instance;
}

bool EpaxosCore::learn_payload(const InstanceId& id, Instance& instance, Bytes block,
                               const Footprint& footprint) {
  if (instance.payload_known()) return std::ranges::equal(instance.block(), block);
  instance.set_payload(instances_.keep(id, block), n_);
  instances_.note_recorded(id);
  if (!mutant(Mutant::kNoIndexUntilCommit)) conflicts_.insert(id, footprint);
  graph_.record(id, footprint);
  return true;
}

void EpaxosCore::rebuild_conflicts(bool (*stays)(const Instance&)) {
  conflicts_ = deps::ConflictIndex(n_);
  for (std::uint16_t row = 0; row < n_; ++row) {
    const RowState& state = instances_.row(ReplicaId(row));
    for (Slot slot = instances_.next_held(ReplicaId(row), Slot(1)); slot <= state.highest_recorded;
         slot = instances_.next_held(ReplicaId(row), slot.next())) {
      const InstanceId id{ReplicaId(row), slot};
      const Instance* const instance = instances_.find(id);
      if (!instance->payload_known() || !stays(*instance)) continue;
      conflicts_.insert(id, kept_footprint(*instance));
    }
  }
}

bool EpaxosCore::agrees(const Instance& instance, const Dependencies& initial) {
  // An owner proposes once (I1), and every value includes its proposal (lemma 4).
  if (instance.recorded()) return instance.is_initial(initial);
  const Vote* const vote = instance.vote();
  return vote == nullptr || vote->nop || vote->dependencies.includes(initial);
}

bool EpaxosCore::is_full(const Effects& turn) {
  return turn.bytes() > kTurnBytesMax;
}

void EpaxosCore::release_progress(Instance& instance) {
  if (instance.progress == Instance::kNoProgress) return;
  progress_.release(instance.progress);
  instance.progress = Instance::kNoProgress;
}

bool EpaxosCore::answered_by_decision(ReplicaId to, const InstanceId& id, Effects& out) {
  const Instance* const instance = instances_.find(id);
  if (is_gone(id)) {  // G2
    answer_truncated(to, id, out);
    return true;
  }
  if (is_archived(id)) {
    counters_.add(Count::kReadBack);
    if (const auto known = archived(id)) send(ReplicaSet::only(to), known->commit(), out);
    return true;  // What cannot be read stops its host.
  }
  if (instance == nullptr || !instance->decided()) return false;
  if (!mutant(Mutant::kDecidedKeepsSilent)) answer_commit(to, id, *instance, out);  // G3
  return true;
}

void EpaxosCore::answer_commit(ReplicaId to, const InstanceId& id, const Instance& instance,
                               Effects& out) {
  send(ReplicaSet::only(to), full_commit(id, instance), out);
}

void EpaxosCore::send_body(ReplicaSet to, MessageType type, Slice body, Effects& out,
                           Release release) const {
  check(!to.contains(self_), "a replica does not write to itself");
  out.sends.push_back(
      {to.bits(), release, static_cast<net::FrameType>(type), config_.group, config_.epoch, body});
}

void EpaxosCore::put(RecordKind kind, const InstanceId& id, Slice value, Effects& out) const {
  out.put({static_cast<std::uint8_t>(kind), config_.group, config_.epoch, id.row, id.slot}, value);
}

void EpaxosCore::resend_open(const InstanceId& id, const Instance& instance, ReplicaSet to,
                             Effects& out) {
  if (!voting_) return;  // It has forgotten votes, so its own no longer count.
  Progress& progress = progress_[instance.progress];
  progress.tally.not_asked = progress.tally.not_asked.without(to);
  if (progress.stage == Stage::kPreAccepting) {
    send(to.without(progress.tally.answered),
         PreAccept{id, instance.initial_dependencies(), instance.block()}, out);
  } else if (progress.stage == Stage::kAccepting) {
    const Vote& vote = *instance.vote();
    send(to.without(progress.accepted),
         Accept{id, kInitialBallot, false, vote.dependencies, instance.block()}, out);
  }
}

/// Whoever was cut off and is heard again may answer at last what was sent in vain, and again ever
/// later. Without this a command would wait for up to retransmit_max_us after a partition's end.
void EpaxosCore::note_heard(ReplicaId peer, Tick now) {
  Peer& state = peers_[peer.value()];
  if (now - state.heard_at >= config_.retransmit_us) retransmit_.hasten(now);
  nearness_.note_heard(peer);
  state.heard_at = now;
  state.asked_at = kNever;
}

void EpaxosCore::retransmit_due(Effects& out) {
  while (retransmit_.next() <= out.now && !is_full(out)) {
    const auto [slot, attempt] = retransmit_.pop(out.now);
    const InstanceId id{self_, slot};
    const Instance* const instance = instances_.find(id);
    if (instance == nullptr || instance->progress == Instance::kNoProgress) continue;
    retransmit_.push(out.now, slot, attempt);
    if (storage_full_) continue;  // It would only wait in line until there is room.
    counters_.add(Count::kRetransmissions);
    histories_.resent(id);
    const Progress& progress = progress_[instance->progress];
    if (progress.stage == Stage::kPreAccepting) {
      const ReplicaSet asked = others_.without(progress.tally.not_asked);
      nearness_.note_silence(asked.without(progress.tally.answered));
    }
    resend_open(id, *instance, others_, out);
  }
}

void EpaxosCore::fast_wait_due(Effects& out) {
  while (fast_wait_.next() <= out.now) {
    const InstanceId id{self_, fast_wait_.pop()};
    Instance* const instance = instances_.find(id);
    Progress* const progress = instance == nullptr ? nullptr : progress_of(*instance);
    if (progress == nullptr || progress->stage != Stage::kPreAccepting) continue;
    progress->waited = true;
    evaluate(id, *instance, out);
  }
}

}  // namespace epaxos::protocol
