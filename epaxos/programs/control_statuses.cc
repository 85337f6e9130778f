#include "epaxos/programs/control_statuses.h"

#include <string>
#include <utility>

namespace epaxos {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause{20};  // Between two questions to one replica.

}  // namespace

Statuses::Statuses(net::Client& client, Reports asked, const std::vector<ReplicaId>& places,
                   Deadline deadline)
    : client_(client), deadline_(deadline), reports_(std::move(asked)) {
  for (const ReplicaId place : places) questions_.push_back({.place = place, .due = {}});
}

bool Statuses::wait_until(const std::function<bool(const Reports&)>& enough) {
  while (true) {
    for (std::size_t i = 0; i < questions_.size(); ++i) {
      if (!questions_[i].is_open && Clock::now() >= questions_[i].due) ask(i);
    }
    client_.poll(static_cast<Tick>(std::chrono::microseconds(kPause).count()));
    if (enough(reports_)) return true;
    if (is_over()) return false;
  }
}

void Statuses::forget() {
  ++round_;
  for (ReplicaReport& report : reports_) {
    report.answered = false;
    report.status.clear();
  }
}

Tick Statuses::left_us() const {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline_ - Clock::now());
  return left.count() > 0 ? static_cast<Tick>(left.count()) : 1;
}

void Statuses::ask(std::size_t index) {
  Question& question = questions_[index];
  question.round = round_;
  question.due = Clock::now() + kPause;
  net::SubmitOptions how;
  how.reads_only = true;
  how.replica = question.place;
  how.deadline_us = left_us();
  const auto submitted =
      client_.submit(net::RequestKind::kStatus, {}, how,
                     [this, index](const net::ClientOutcome& outcome) { take(index, outcome); });
  question.is_open = submitted.has_value();
  if (!submitted) reports_[index].reason = submitted.error().message;
}

void Statuses::take(std::size_t index, const net::ClientOutcome& outcome) {
  Question& question = questions_[index];
  question.is_open = false;
  if (question.round != round_) return;
  ReplicaReport& report = reports_[index];
  report.answered = outcome.kind == OutcomeKind::kExecuted;
  report.reason = report.answered ? std::string() : std::string(outcome.reason);
  report.status.clear();
  if (!report.answered) return;
  report.status.assign(reinterpret_cast<const char*>(outcome.reply.data()), outcome.reply.size());
}

}  // namespace epaxos
