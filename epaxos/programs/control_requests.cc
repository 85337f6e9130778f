#include "epaxos/programs/control_requests.h"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

#include "epaxos/programs/control_words.h"
#include "epaxos/programs/duration.h"
#include "epaxos/programs/programs.h"

namespace epaxos {
namespace {

using Clock = std::chrono::steady_clock;

ReplicaReport unasked(const ReplicaReport& report) {
  return {report.replica, report.address, report.site, false, "", ""};
}

/// Those who have answered, to be asked something else: nobody waits twice for a replica that is
/// down.
std::vector<ReplicaReport> again(const std::vector<ReplicaReport>& reports) {
  std::vector<ReplicaReport> out;
  for (const ReplicaReport& each : reports) {
    if (each.answered) out.push_back(unasked(each));
  }
  return out;
}

/// What one more status says. A replica that is silent for a moment may yet answer.
void note_image(const ReplicaReport& before, const ReplicaReport& now, SnapshotReport& report) {
  const std::optional<ImageFacts> then = image_facts(before.status);
  const std::optional<ImageFacts> facts = image_facts(now.status);
  if (!then || !facts) {
    if (now.answered) report.reason = "its status does not tell about images";
    return;
  }
  if (facts->number != then->number && facts->number > 0) {
    report.state = SnapshotReport::State::kMade;
    report.number = facts->number;
    report.bytes = facts->bytes;
  } else if (facts->failed > then->failed) {
    report.state = SnapshotReport::State::kFailed;
    report.reason = facts->trouble;
  }
}

std::string why_not_yet(const std::string& status, const std::string& timeout) {
  const std::optional<ImageFacts> facts = image_facts(status);
  const std::string made = facts && !facts->on_disk ? "made" : "on disk";
  const std::string why =
      facts && facts->waits_for_peer
          ? ", as another replica fetches the last one, which is kept for 10 s after that"
          : "";
  return "its image was not " + made + " within " + timeout + why +
         "; it is made all the same: \"epaxosctl status\" shows when, and --timeout waits longer";
}

Tick left_until(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now());
  return left.count() > 0 ? static_cast<Tick>(left.count()) : 1;
}

}  // namespace

Control::Control(const ControlOptions& options, ClusterConfig cluster)
    : options_(options), cluster_(std::move(cluster)) {
}

Result<void> Control::open() {
  net::ClientOptions client;
  for (const ReplicaSettings& replica : cluster_.replicas) {
    if (replica.client.empty()) continue;
    client.addresses.push_back(replica.client);
    ids_.push_back(static_cast<int>(&replica - cluster_.replicas.data()));
  }
  if (client.addresses.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "No replica of the file has a client address. Add one: client = "
                "\"tcp://HOST:PORT\".");
  }
  client.cluster = cluster_.id;
  client.request_timeout_us = *duration_from(options_.timeout);
  client.exactly_once = !options_.no_session;
  auto opened = net::Client::open(client);
  if (!opened) return fail(opened.error());
  client_ = *std::move(opened);
  return {};
}

int Control::run(const kv::Payload& payload, bool reads_only,
                 const std::vector<std::string>& keys) {
  net::SubmitOptions how;
  how.reads_only = reads_only;
  if (options_.replica) {
    const auto place = place_of(*options_.replica);
    if (!place) return no_such_replica();
    how.replica = place;
  }
  const auto kind = options_.stale ? net::RequestKind::kQuery : net::RequestKind::kPropose;
  net::CallOutcome outcome = client_->call(kind, payload, how);
  if (outcome.replica) outcome.replica = id_of(*outcome.replica);
  if (outcome.kind == OutcomeKind::kUnknown && !options_.stale) {
    if (!outcome.reason.ends_with('.')) outcome.reason += '.';
    outcome.reason += reads_only ? " Reads, but with --stale, need more than half of the members"
                                 : " Commands need more than half of the members";
    outcome.reason += ": check that they run with \"epaxosctl status\".";
  }
  return print_outcome(outcome, options_.format(), keys);
}

int Control::tell(const std::function<int(const std::vector<ReplicaReport>&)>& print) {
  std::vector<ReplicaReport> reports = all_asked();
  if (reports.empty()) return no_such_replica();
  ask(net::RequestKind::kStatus, reports, deadline());
  return print(reports);
}

int Control::status() {
  return tell([this](const std::vector<ReplicaReport>& reports) {
    return print_status(reports, options_.format(), options_.all);
  });
}

int Control::leader() {
  return tell([this](const std::vector<ReplicaReport>& reports) {
    return print_lead(reports, options_.format());
  });
}

int Control::members() {
  return tell([this](const std::vector<ReplicaReport>& reports) {
    return print_members(reports, options_.format());
  });
}

int Control::digest() {
  std::vector<ReplicaReport> digests = all_asked();
  if (digests.empty()) return no_such_replica();
  ask(net::RequestKind::kDigest, digests, half_way());
  std::vector<ReplicaReport> statuses = again(digests);
  ask(net::RequestKind::kStatus, statuses, deadline());
  return print_digests(digests, statuses, options_.format());
}

int Control::snapshot() {
  std::vector<ReplicaReport> answers = all_asked();
  if (answers.empty()) return no_such_replica();
  std::vector<ReplicaReport> before;
  if (options_.wait) {
    ask(net::RequestKind::kStatus, answers, half_way());
    before = answers;
    for (ReplicaReport& each : answers) each = each.answered ? unasked(each) : each;
  }
  std::vector<SnapshotReport> reports;
  ask(net::RequestKind::kSnapshot, answers, deadline());
  for (const ReplicaReport& answer : answers) {
    SnapshotReport& report = reports.emplace_back();
    report.replica = answer.replica;
    report.site = answer.site;
    report.reason = answer.reason;
    if (answer.answered) report.state = SnapshotReport::State::kRequested;
  }
  if (options_.wait) wait_for_images(before, reports);
  return print_snapshots(reports, options_.format());
}

Control::Deadline Control::deadline() const {
  return begin_ + std::chrono::microseconds(*duration_from(options_.timeout));
}

Control::Deadline Control::half_way() const {
  return begin_ + std::chrono::microseconds(*duration_from(options_.timeout) / 2);
}

void Control::wait_for_images(const std::vector<ReplicaReport>& before,
                              std::vector<SnapshotReport>& reports) {
  using State = SnapshotReport::State;
  while (true) {
    std::vector<ReplicaReport> now;  // Of those that are waited for.
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < reports.size(); ++i) {
      if (reports[i].state != State::kRequested) continue;
      places.push_back(i);
      now.push_back(unasked(before[i]));
    }
    if (now.empty()) return;
    ask(net::RequestKind::kStatus, now, deadline());
    const bool over = Clock::now() >= deadline();
    for (std::size_t i = 0; i < now.size(); ++i) {
      SnapshotReport& report = reports[places[i]];
      note_image(before[places[i]], now[i], report);
      if (!over || report.state != State::kRequested) continue;
      report.state = State::kNotYet;
      if (!report.reason.empty()) continue;
      report.reason = why_not_yet(now[i].status, options_.timeout);
    }
    if (!over) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

std::optional<ReplicaId> Control::place_of(int replica) const {
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] == replica) return ReplicaId(static_cast<std::uint16_t>(i));
  }
  return std::nullopt;
}

ReplicaId Control::id_of(ReplicaId place) const {
  return ReplicaId(static_cast<std::uint16_t>(ids_[place.value()]));
}

int Control::no_such_replica() const {
  std::string there;
  for (const int id : ids_) there += (there.empty() ? "" : ", ") + std::to_string(id);
  std::fprintf(stderr,
               "epaxosctl: the file lists no replica %d with a client address. Choose one of "
               "these: %s.\n",
               *options_.replica, there.c_str());
  return kControlBadUsage;
}

std::vector<ReplicaReport> Control::all_asked() const {
  std::vector<ReplicaReport> reports;
  for (const int id : ids_) {
    if (options_.replica.value_or(id) != id) continue;
    const ReplicaSettings& settings = cluster_.replicas[static_cast<std::size_t>(id)];
    reports.push_back(
        {ReplicaId(static_cast<std::uint16_t>(id)), settings.client, settings.site, false, "", ""});
  }
  return reports;
}

void Control::ask(net::RequestKind kind, std::vector<ReplicaReport>& reports, Deadline deadline) {
  const Tick left = left_until(deadline);
  std::size_t open = 0;
  for (ReplicaReport& report : reports) {
    if (!report.reason.empty()) continue;  // It did not answer to an earlier question.
    net::SubmitOptions how;
    how.reads_only = true;
    how.replica = place_of(report.replica.value());
    how.deadline_us = left;
    ++open;
    const auto submitted =
        client_->submit(kind, {}, how, [&report, &open](const net::ClientOutcome& outcome) {
          --open;
          if (outcome.kind != OutcomeKind::kExecuted) {
            report.reason = std::string(outcome.reason);
            report.refused = outcome.kind == OutcomeKind::kRejected && outcome.answered;
            return;
          }
          report.answered = true;
          report.status.assign(reinterpret_cast<const char*>(outcome.reply.data()),
                               outcome.reply.size());
        });
    if (!submitted) {
      report.reason = submitted.error().message;
      --open;
    }
  }
  while (open > 0) client_->poll(100'000);
}

}  // namespace epaxos
