#include "compare/multipaxos/core.h"

#include <algorithm>

namespace epaxos::compare::multipaxos {
namespace {

/// Bytes of effects after which a turn takes no more: far beyond what peers that follow the
/// protocol cause, and far below what an arena can hold.
constexpr std::size_t kTurnBytesMax = std::size_t{64} * 1024 * 1024;

/// Whoever has forgotten what it promised may still ask, and bring commands.
bool promises_nothing(net::FrameType type) {
  return type == static_cast<net::FrameType>(MessageType::kFetch) ||
         type == static_cast<net::FrameType>(LogMessage::kForward) ||
         type == static_cast<net::FrameType>(LogMessage::kReadIndex);
}

}  // namespace

Protocol multipaxos(const Options& options) {
  const char* const name = options.learn_from_all ? "multipaxos-all" : "multipaxos";
  return {name,
          [options](const CoreConfig& config) -> std::unique_ptr<Core> {
            return std::make_unique<MultiPaxosCore>(config, options);
          },
          Reads::kIndex};
}

MultiPaxosCore::MultiPaxosCore(const CoreConfig& config, const Options& options)
    : config_(config),
      options_(options),
      n_(config.replica_count),
      self_(config.self),
      others_(ReplicaSet::all(config.replica_count).without(config.self)),
      quorums_(quorums_of(options, config.replica_count).value()),
      voting_(config.voting),
      records_(static_cast<std::uint8_t>(RecordKind::kEntry), config),
      own_(config.self, config.life,
           {.resend_us = config.retransmit_us, .resend_max_us = config.retransmit_max_us}),
      reports_(static_cast<std::size_t>(config.replica_count)),
      reads_(config),
      random_(mix64(config.seed + config.self.value())) {
  check(n_ >= 1 && n_ <= kReplicasMax, "a group has 1 .. 9 replicas");
  check(self_.value() < n_, "a replica is a member of its group");
}

// --- Peers and the disk ------------------------------------------------------------------------

void MultiPaxosCore::receive(ReplicaId from, const net::Frame& frame, Effects& out) {
  check(from.value() < n_ && from != self_, "the host lets only peers speak");
  if (frame.group != config_.group) return add(Count::kWrongGroup);
  if (frame.epoch != config_.epoch) return add(Count::kWrongEpoch);
  if (out.bytes() > kTurnBytesMax) return add(Count::kTurnFull);  // A lost message, no more.
  note_heard(from, out.now);
  if (forgot_.contains(from) && frame.type != static_cast<net::FrameType>(MessageType::kForgot)) {
    send(ReplicaSet::only(from), Forgot{}, out, Release::kNow);
    if (!promises_nothing(frame.type)) return add(Count::kPeerForgot);
  }
  dispatch(from, frame, out);
}

template <class Message, class Handler>
void MultiPaxosCore::decoded(const net::Frame& frame, Handler handle) {
  Message message;
  if (!decode(frame.body, n_, message)) return add(Count::kMalformedFrame);
  handle(message);
}

void MultiPaxosCore::dispatch(ReplicaId from, const net::Frame& frame, Effects& out) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kPrepare:
      return decoded<Prepare>(frame, [&](const Prepare& m) { on_prepare(from, m, out); });
    case MessageType::kPromise:
      return decoded<Promise>(frame, [&](const Promise& m) { on_promise(from, m, out); });
    case MessageType::kAccept:
      return decoded<Accept>(frame, [&](const Accept& m) { on_accept(from, m, out); });
    case MessageType::kAccepted:
      return decoded<Accepted>(frame, [&](const Accepted& m) { on_accepted(from, m, out); });
    case MessageType::kNack:
      return decoded<Nack>(frame, [&](const Nack& m) { on_nack(m, out); });
    case MessageType::kHeartbeat:
      return decoded<Heartbeat>(frame, [&](const Heartbeat& m) { on_heartbeat(from, m, out); });
    case MessageType::kHeartbeatOk:
      return decoded<HeartbeatOk>(frame,
                                  [&](const HeartbeatOk& m) { on_heartbeat_ok(from, m, out); });
    case MessageType::kPreVote:
      return decoded<PreVote>(frame, [&](const PreVote& m) { on_pre_vote(from, m, out); });
    case MessageType::kPreVoteOk:
      return decoded<PreVoteOk>(frame, [&](const PreVoteOk& m) { on_pre_vote_ok(from, m, out); });
    case MessageType::kFetch:
      return decoded<Fetch>(frame, [&](const Fetch& m) { on_fetch(from, m, out); });
    case MessageType::kLearn:
      return decoded<Learn>(frame, [&](const Learn& m) { on_learn(from, m, out); });
    case MessageType::kTruncated:
      return decoded<Truncated>(frame, [&](const Truncated& m) { on_truncated(from, m, out); });
    case MessageType::kForgot:
      return decoded<Forgot>(frame, [&](const Forgot&) { on_forgot(out); });
  }
  switch (static_cast<LogMessage>(frame.type)) {
    case LogMessage::kForward:
      return decoded<Forward>(frame, [&](const Forward& m) { on_forward(from, m, out); });
    case LogMessage::kReadIndex:
      return decoded<ReadIndex>(frame, [&](const ReadIndex& m) { on_read_index(from, m); });
    case LogMessage::kReadIndexReply:
      return decoded<ReadIndexReply>(frame,
                                     [&](const ReadIndexReply& m) { on_read_index_reply(m); });
    case LogMessage::kWanted:
      return decoded<Wanted>(frame, [&](const Wanted& m) { on_wanted(from, m, out.now); });
  }
  add(Count::kUnknownType);
}

void MultiPaxosCore::durable(BatchNumber batch, Effects& out) {
  records_.durable(batch);
  while (!awaits_durable_.empty() && awaits_durable_.front().batch <= batch) {
    const AwaitsDurable done = awaits_durable_.front();
    awaits_durable_.pop_front();
    if (done.first == Slot()) {
      if (role_ != Role::kPreparing || done.ballot != ballot_) continue;
      prepared_.add(self_);
      reports_[self_.value()].complete = true;
      open_if_promised(out);
      continue;
    }
    const bool is_own = done.ballot.replica == self_;
    if (options_.learn_from_all && is_own) {
      send(others_, Accepted{done.ballot, done.first, done.last}, out, Release::kNow);
    }
    note_vote(self_, done.ballot, done.first, done.last);
  }
  advance();
}

void MultiPaxosCore::applied(std::uint64_t position, Effects& out) {
  executor_.applied(position);
  serve_reads(out);
}

// --- A turn ------------------------------------------------------------------------------------

void MultiPaxosCore::tick(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  promise_.tick(now);
  use_lease(out);
  if (quorum_due_ <= now) check_quorum(now);
  if (election_due_ <= now) election_due(out);
  if (resend_due_ <= now) resend_due(out);
  if (ask_due_ <= now) ask(out);
  own_.resend_if_due(now);
}

Tick MultiPaxosCore::next_deadline() const {
  if (executor_.executed_up_to() < decided_up_to_) return 0;
  if (image_before_ > erased_ && records_.has_erased() && !storage_full_) return 0;
  if (promise_.is_new() || round_is_due()) return 0;
  Tick next = std::min({election_due_, heartbeat_due_, resend_due_, ask_due_, quorum_due_});
  // Without a leader to send to there is nothing to send again.
  if (leader()) next = std::min(next, own_.due());
  if (leader() && role_ != Role::kPreparing) next = std::min(next, reads_.due());
  return next;
}

void MultiPaxosCore::end_of_turn(Effects& out) {
  add(Count::kSkipped, executor_.walk(log_, decided_up_to_, self_, own_, out));
  drain_own(out);
  ask_for_reads(out);
  flush_accepts(out);
  answer_wanted(out);
  begin_read_round(out);
  // After a read round has begun, whose heartbeat may stand in for this one.
  const bool beats = has_news_ || heartbeat_due_ == kNever || heartbeat_due_ <= out.now;
  if (role_ == Role::kLeader && beats) send_heartbeat(out);
  serve_reads(out);
  drop_some(out);
  log_decided(out);
  follow_up(out);
  wish_for_image(out);
}

void MultiPaxosCore::storage_full(bool full) {
  storage_full_ = full;
  // Whoever cannot vote does not lead. Its followers miss its word.
  if (full && role_ != Role::kFollower) {
    add(Count::kSteppedDown);
    role_ = Role::kFollower;
    adopted_.clear();
    wants_.fill(0);
    reads_.begin();
    heartbeat_due_ = resend_due_ = quorum_due_ = kNever;
    election_due_ = 0;  // The next tick says when.
  }
}

// --- What the handlers share -------------------------------------------------------------------

std::optional<ReplicaId> MultiPaxosCore::leader() const {
  if (role_ == Role::kLeader) return self_;
  if (told_.ballot == kInitialBallot || told_.ballot.replica == self_) return std::nullopt;
  return told_.ballot.replica;
}

std::optional<paxos::Vote<Value>> MultiPaxosCore::vote_at(Slot slot) const {
  if (!log_.holds(slot)) return std::nullopt;
  const Entry entry = log_.entry(slot);
  return paxos::Vote<Value>{Ballot::from_packed(entry.round), {entry.origin, entry.block}};
}

/// So far above what is decided here slots are voted for and counted.
std::uint64_t MultiPaxosCore::span() const {
  const std::uint64_t held = decided_up_to_.value() - log_.base().value();
  return std::min<std::uint64_t>(config_.held_undecided_max, LogWindow::kSpanMax - held);
}

void MultiPaxosCore::put(RecordKind kind, Slice value, Effects& out) const {
  out.put({static_cast<std::uint8_t>(kind), config_.group, config_.epoch, ReplicaId(), Slot(1)},
          value);
}

Result<void> MultiPaxosCore::transfer_leadership(ReplicaId, Effects&) {
  return fail(ErrorCode::kUnsupported,
              "Multi-Paxos does not give the lead away: another replica takes over when the leader "
              "is silent. Stop the leader for that.");
}

void MultiPaxosCore::status(CoreStatus& out) const {
  if (!voting_) {
    out.role = memory_lost_ ? "non-voting: peers know more of this replica than its disk does"
                            : "non-voting";
  } else if (role_ == Role::kLeader) {
    out.role = "leader";
  } else {
    out.role = role_ == Role::kPreparing ? "candidate" : "follower";
  }
  out.has_leader = true;
  if (role_ == Role::kLeader) {
    out.leader = self_;
  } else if (told_.ballot != kInitialBallot) {
    out.leader = told_.ballot.replica;
  }
  Slot known = std::max(decided_up_to_, told_.decided_up_to);
  if (role_ == Role::kLeader) {
    known = std::max(known, Slot(next_slot_.value() - 1));
  } else {
    known = std::max(known, told_.ballot == kInitialBallot ? log_.last() : told_.last);
  }
  out.rows.push_back({decided_up_to_, executor_.applied_up_to(), known, floor()});
  out.memory = held_memory();
  counters_.append_to(out.counters, kCountNames);
  out.counters.push_back({"own_blocks", own_.size()});
  out.counters.push_back({"own_reads_waiting", reads_.size()});
  out.counters.push_back({"log_window_bytes", log_.memory_bytes()});
}

}  // namespace epaxos::compare::multipaxos
