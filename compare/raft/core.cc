#include "compare/raft/core.h"

#include <algorithm>

namespace epaxos::compare::raft {
namespace {

/// Bytes of effects after which a turn takes no more.
constexpr std::size_t kTurnBytesMax = std::size_t{64} * 1024 * 1024;

ForwardLimits forward_limits(const CoreConfig& config) {
  return {.resend_us = config.retransmit_us, .resend_max_us = config.retransmit_max_us};
}

}  // namespace

Protocol raft(const Options& options) {
  return {options.learn_from_all ? "raft-all" : "raft",
          [options](const CoreConfig& config) -> std::unique_ptr<Core> {
            return std::make_unique<RaftCore>(config, options);
          },
          Reads::kIndex, /*changes_members=*/true};
}

RaftCore::RaftCore(const CoreConfig& config, const Options& options)
    : config_(config),
      options_(options),
      configuration_{config.epoch, config.replica_count},
      n_(config.replica_count),
      self_(config.self),
      others_(ReplicaSet::all(config.replica_count).without(config.self)),
      voting_(config.voting),
      configurations_({ReplicaSet::all(config.replica_count).without(config.spares), {}, {}}),
      records_(static_cast<std::uint8_t>(RecordKind::kEntry), config),
      own_(config.self, config.life, forward_limits(config)),
      reads_(config),
      patience_us_(config.election_us),
      random_(mix64(config.seed + config.self.value())),
      heard_(static_cast<std::size_t>(config.replica_count)),
      peers_(static_cast<std::size_t>(config.replica_count)) {
  check(n_ >= 1 && n_ <= kReplicasMax, "a group has 1 .. 9 replicas");
  check(self_.value() < n_, "a replica is a member of its group");
  check(configurations_.latest().voters.size() > 0, "a group begins with a member");
  check(config.life > 0, "lives are counted from 1");
  check(config.election_us > config.heartbeat_us, "a leader is heard before it counts as gone");
}

template <class Message, class Handler>
void RaftCore::dispatch(const net::Frame& frame, Handler handle) {
  Message message;
  if (!decode(frame.body, n_, message)) return counters_.add(Count::kMalformedFrame);
  handle(message);
}

void RaftCore::receive(ReplicaId from, const net::Frame& frame, Effects& out) {
  check(from.value() < n_ && from != self_, "the host lets only peers speak");
  if (frame.group != config_.group) return counters_.add(Count::kWrongGroup);
  if (frame.epoch != config_.epoch) return counters_.add(Count::kWrongEpoch);
  if (is_full(out)) return counters_.add(Count::kTurnFull);  // A lost message, no more.
  note_heard(from, out.now);
  if (peers_[from.value()].forgot &&
      frame.type != static_cast<net::FrameType>(MessageType::kForgot)) {
    counters_.add(Count::kForgotTold);
    send(ReplicaSet::only(from), Forgot{current_term_}, out, Release::kNow);
  }
  switch (static_cast<LogMessage>(frame.type)) {
    case LogMessage::kForward:
      return dispatch<Forward>(frame, [&](const Forward& m) { on_forward(from, m, out); });
    case LogMessage::kWanted:
      return dispatch<Wanted>(frame, [&](const Wanted& m) { on_wanted(from, m, out.now); });
    case LogMessage::kReadIndex:
      return dispatch<ReadIndex>(frame, [&](const ReadIndex& m) { on_read_index(from, m); });
    case LogMessage::kReadIndexReply:
      return dispatch<ReadIndexReply>(frame,
                                      [&](const ReadIndexReply& m) { on_read_index_reply(m); });
  }
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kRequestVote:
      return dispatch<RequestVote>(frame,
                                   [&](const RequestVote& m) { on_request_vote(from, m, out); });
    case MessageType::kRequestVoteReply:
      return dispatch<RequestVoteReply>(
          frame, [&](const RequestVoteReply& m) { on_request_vote_reply(from, m, out); });
    case MessageType::kAppendEntries:
      return dispatch<AppendEntries>(
          frame, [&](const AppendEntries& m) { on_append_entries(from, m, out); });
    case MessageType::kAppendEntriesReply:
      return dispatch<AppendEntriesReply>(
          frame, [&](const AppendEntriesReply& m) { on_append_entries_reply(from, m, out); });
    case MessageType::kTruncated:
      return dispatch<Truncated>(frame, [&](const Truncated& m) { on_truncated(from, m, out); });
    case MessageType::kTimeoutNow:
      return dispatch<TimeoutNow>(frame,
                                  [&](const TimeoutNow& m) { on_timeout_now(from, m, out); });
    case MessageType::kHello:
      return dispatch<Hello>(frame, [&](const Hello& m) { on_hello(from, m, out); });
    case MessageType::kForgot:
      return dispatch<Forgot>(frame, [&](const Forgot&) { on_forgot(out); });
  }
  counters_.add(Count::kUnknownType);
}

void RaftCore::durable(BatchNumber batch, Effects& out) {
  durable_batch_ = batch;
  records_.durable(batch);
  while (!appended_.empty() && appended_.front().batch <= batch) {
    durable_index_ = std::max(durable_index_, appended_.front().index);
    appended_.pop_front();
  }
  check(durable_index_ <= last_log_index(), "more is durable than the log holds");
  if (role_ == Role::kCandidate && vote_batch_ != 0 && vote_batch_ <= batch) {
    vote_batch_ = 0;
    votes_.add(self_);
    wait_for_leader(out.now);
    count_votes(out);
  }
  if (role_ == Role::kLeader) advance_commit();
}

void RaftCore::applied(std::uint64_t position, Effects& out) {
  executor_.applied(position);
  serve_reads(out);
}

void RaftCore::tick(Tick now, Effects& out) {
  check(now == out.now, "the host's clock and its effects disagree");
  promise_.tick(now);
  if (own_.due() <= now) own_.resend_if_due(now);
  if (role_ == Role::kLeader) {
    if (quorum_due_ <= now) check_quorum(out);
    pursue_transfer(out);
  }
  use_lease(out);
  if (role_ != Role::kLeader && election_due_ <= now) election_due(out);
}

Tick RaftCore::next_deadline() const {
  if (executor_.executed_up_to() < commit_index_) return 0;
  if (more_to_drop_ && records_.has_erased() && !storage_full_) return 0;
  if (promise_.is_new() || round_is_due()) return 0;
  if (role_ == Role::kLeader && more_to_send_) return 0;
  Tick next = own_.due();
  if (leader_) next = std::min(next, reads_.due());
  if (role_ == Role::kLeader) {
    next = std::min({next, heartbeat_due_, quorum_due_});
  } else {
    next = std::min(next, election_due_);
  }
  return next;
}

void RaftCore::end_of_turn(Effects& out) {
  pump_own(out);
  if (role_ == Role::kLeader) pursue_change(out);
  ask_for_reads(out);
  if (role_ == Role::kLeader) {
    tell_wanted(out);
    begin_read_round(out);
    replicate(out);
    tell_own_match(out);
    if (heartbeat_due_ <= out.now) beat(out);
  }
  flush_ack(out);
  learn_commit();
  walk_executor(out);
  serve_reads(out);
  drop_some(out);
  wish_for_image(out);
}

void RaftCore::storage_full(bool full) {
  storage_full_ = full;
  if (!full || role_ != Role::kLeader) return;
  // Somebody else can take commands; who has the most of the log gets the lead soonest.
  if (const std::optional<ReplicaId> best = best_successor()) {
    transfer_to_ = best;
    transfer_asked_ = false;
    transfer_until_ = 0;  // It begins with the next turn.
  }
}

void RaftCore::status(CoreStatus& out) const {
  switch (role_) {
    case Role::kFollower:
      out.role = voting_        ? "follower"
                 : memory_lost_ ? "non-voting: peers know more of this replica than its disk does"
                                : "non-voting";
      if (!voting_ || configurations_.latest().votes(self_)) break;
      out.role = configurations_.latest().learners.contains(self_) ? "learner" : "spare";
      break;
    case Role::kPreCandidate:
    case Role::kCandidate:
      out.role = "candidate";
      break;
    case Role::kLeader:
      out.role = "leader";
      break;
  }
  out.has_leader = true;
  out.leader = leader_;
  out.members = member_status();
  out.rows.push_back({commit_index_, executor_.applied_up_to(), last_log_index(), floor_});
  out.memory = held_memory();
  counters_.append_to(out.counters, kCountNames);
  out.counters.push_back({"current_term", current_term_.value()});
  out.counters.push_back({"own_blocks_waiting", own_.size()});
  out.counters.push_back({"own_reads_waiting", reads_.size()});
  out.counters.push_back({"round_trip_us", round_trip_us_});
  out.counters.push_back({"election_timeout_us", patience_us_});
  out.counters.push_back({"election_configured_us", config_.election_us});
  out.counters.push_back({"log_bytes", log_.memory_bytes()});
}

bool RaftCore::is_full(const Effects& turn) {
  return turn.bytes() > kTurnBytesMax;
}

void RaftCore::send_body(ReplicaSet to, net::FrameType type, Slice body, Effects& out,
                         Release release) const {
  check(!to.contains(self_), "a replica does not write to itself");
  out.sends.push_back({to.bits(), release, type, config_.group, config_.epoch, body});
}

}  // namespace epaxos::compare::raft
