#include "compare/log/log_reads.h"

#include <algorithm>
#include <optional>

#include "deps/types/mutant.h"

namespace epaxos::compare {

LogReads::LogReads(const CoreConfig& config)
    : self_(config.self),
      group_(config.group),
      epoch_(config.epoch),
      uses_lease_(config.reads == Reads::kLease),
      queue_(config) {
}

/// At once: no crash makes a question or an answer false.
template <class Message>
void LogReads::send(ReplicaId to, const Message& message, Effects& out) const {
  out.sends.push_back({ReplicaSet::only(to).bits(), Release::kNow,
                       static_cast<net::FrameType>(Message::kType), group_, epoch_,
                       encode(message, out)});
}

void LogReads::ask(ReplicaId leader, Effects& out) {
  const std::optional<std::uint64_t> number = queue_.ask(out.now);
  if (!number) return;
  const ReadIndex question{queue_.life(), *number};
  if (leader == self_) return on_question(self_, question);
  send(leader, question, out);
}

LogReads::Reply LogReads::on_reply(const ReadIndexReply& message) {
  if (!queue_.may_have_asked(message.life, message.number)) return Reply::kNeverAsked;
  const bool is_news = queue_.answered(message.life, message.number, message.index);
  return is_news ? Reply::kNews : Reply::kStale;
}

void LogReads::tell(ReplicaId to, const ReadIndexReply& reply, Effects& out) {
  if (to != self_) return send(to, reply, out);
  static_cast<void>(queue_.answered(reply.life, reply.number, reply.index));
}

void LogReads::begin() {
  rounds_.clear();
  lease_.begin();
  confirmed_at_.fill(0);
  leased_until_.fill(0);
}

/// "The leader saves its current commit index in a local variable readIndex [and] needs to make
/// sure it has not been superseded by a newer leader of which it is unaware. It issues a new round
/// of heartbeats and waits for their acknowledgments from a majority" (6.4). All questions of a
/// turn share a round, and for a heartbeat that is lost the next one stands in.
bool LogReads::begin_round(Slot index, Effects& out) {
  const bool leased = is_leased(out.now);
  if (mutant(Mutant::kRaftReadsWithoutQuorum) ||
      (leased && mutant(Mutant::kRaftLeaseIgnoresPause))) {
    rounds_.answer_fresh(index, answer(out));
    return false;
  }
  // The time of this turn is older than the questions that came in it: the next turn's is not.
  if (leased) return false;
  // What left before the questions came must not be taken for what leaves now.
  if (question_sent_at_ == out.now) return false;
  rounds_.begin(out.now, index);
  return true;
}

/// All questions have come before the clock was read that says that the lease runs.
bool LogReads::use_lease(Slot index, Effects& out) {
  if (!is_leased(out.now)) return false;
  rounds_.answer_fresh(index, answer(out));
  return true;
}

void LogReads::note_answer(ReplicaId from, Tick sent_at, Tick promised_us) {
  Tick& confirmed = confirmed_at_[from.value()];
  confirmed = std::max(confirmed, sent_at);
  if (promised_us == 0) return;
  Tick& leased = leased_until_[from.value()];
  leased = std::max(leased, lease_end(sent_at, promised_us));
}

}  // namespace epaxos::compare
