#include "epaxos/node/session.h"

#include <utility>

#include "deps/types/check.h"
#include "executor/session_table.h"

namespace epaxos {

Session::~Session() {
  {
    const std::scoped_lock lock(mutex_);
    check(under_way_ == 0, "a session was destroyed before its proposals had their outcome");
    if (last_ == 0) return;
  }
  node_.tell_about_session(SessionOperation::kClose, id_);
}

Result<CommandId> Session::propose(Bytes payload, Tick timeout_us, OutcomeCallback done) {
  CommandId id{id_, 0};
  {
    const std::scoped_lock lock(mutex_);
    if (last_ - acknowledged_up_to() >= executor::SessionTable::kWindow) {
      return fail(ErrorCode::kOverloaded,
                  "1,024 numbers of the session have no certain outcome. Wait for some, propose "
                  "again what is unknown, or give it up.");
    }
    id.number = ++last_;
    numbers_[id.number].under_way = 1;
    ++under_way_;
  }
  const Result<void> submitted = submit(node_, id, payload, timeout_us, std::move(done));
  if (submitted) return id;
  const std::scoped_lock lock(mutex_);
  --under_way_;
  numbers_.erase(id.number);
  return fail(submitted.error());
}

Result<void> Session::propose_again(Node& node, CommandId id, Bytes payload, Tick timeout_us,
                                    OutcomeCallback done) {
  {
    const std::scoped_lock lock(mutex_);
    const auto number = numbers_.find(id.number);
    if (id.session != id_ || number == numbers_.end()) {
      return fail(ErrorCode::kInvalidArgument,
                  "The command is not of this session, or its outcome is certain already.");
    }
    ++number->second.under_way;
    ++under_way_;
  }
  const Result<void> submitted = submit(node, id, payload, timeout_us, std::move(done));
  if (submitted) return {};
  const std::scoped_lock lock(mutex_);
  --under_way_;
  const auto number = numbers_.find(id.number);
  if (number != numbers_.end()) --number->second.under_way;
  return submitted;
}

void Session::give_up(CommandId id) {
  const std::scoped_lock lock(mutex_);
  const auto number = numbers_.find(id.number);
  if (id.session != id_ || number == numbers_.end()) return;
  // While proposals are under way their outcomes still come.
  if (number->second.under_way == 0) numbers_.erase(number);
}

/// Until the session is known to be open, an opening goes ahead of every command: both are of one
/// replica, which keeps their order.
Result<void> Session::submit(Node& node, CommandId id, Bytes payload, Tick timeout_us,
                             OutcomeCallback done) {
  bool opens = false;
  SessionRequest request{id, 0};
  {
    const std::scoped_lock lock(mutex_);
    opens = !open_;
    request.acknowledged_up_to = acknowledged_up_to();
  }
  return node.propose_in_session(request, opens, payload, timeout_us,
                                 [this, id, done = std::move(done)](const Outcome& outcome) {
                                   on_outcome(id, outcome);
                                   done(outcome);
                                 });
}

void Session::on_outcome(CommandId id, const Outcome& outcome) {
  const std::scoped_lock lock(mutex_);
  --under_way_;
  open_ = open_ || outcome.kind == OutcomeKind::kExecuted;
  const auto number = numbers_.find(id.number);
  if (number == numbers_.end()) return;  // An earlier proposal was executed.
  Number& state = number->second;
  --state.under_way;
  state.unknown = state.unknown || outcome.kind == OutcomeKind::kUnknown;
  const bool executed = outcome.kind == OutcomeKind::kExecuted;
  if (executed || (state.under_way == 0 && !state.unknown)) numbers_.erase(number);
}

std::uint64_t Session::acknowledged_up_to() const {
  return numbers_.empty() ? last_ : numbers_.begin()->first - 1;
}

}  // namespace epaxos
