#include "epaxos/programs/control_requests.h"

#include <algorithm>
#include <cstdio>
#include <span>
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
    outcome.reason += reads_only ? " Reads, but with --stale, need more than half of the replicas"
                                 : " Commands need more than half of the replicas";
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

int Control::transfer_leadership() {
  std::vector<ReplicaReport> reports = all_asked();
  if (reports.empty()) return no_such_replica();
  ask(net::RequestKind::kStatus, reports, half_way());
  const Lead lead = lead_of(reports);
  if (!lead.leader) {
    const int exit_status = print_lead(reports, options_.format());
    return exit_status == kControlExecuted ? kControlRejected : exit_status;
  }
  const auto to = options_.to ? ReplicaId(static_cast<std::uint16_t>(*options_.to))
                              : successor_of(*lead.leader, reports);
  if (!to) return refused("no other replica has answered that may vote, so nobody can lead.");
  if (to == lead.leader) return refused(to_string(*to) + " leads already.");
  const std::uint16_t number = to->value();
  net::SubmitOptions how;
  how.replica = place_of(lead.leader->value());
  how.deadline_us = left_until(deadline());
  const net::CallOutcome outcome = client_->call(net::RequestKind::kTransferLeadership,
                                                 std::as_bytes(std::span(&number, 1)), how);
  if (outcome.kind == OutcomeKind::kRejected) return refused(outcome.reason);
  return wait_for_leader(*to, std::move(reports));
}

int Control::change_members(MemberChange change) {
  std::vector<ReplicaReport> reports = all_asked();
  if (reports.empty()) return no_such_replica();
  ask(net::RequestKind::kStatus, reports, half_way());
  const Lead lead = lead_of(reports);
  if (!lead.leader && !lead.has_leader && !lead.protocol.empty()) {
    return refused("the members cannot change in " + lead.protocol +
                   ": they are the replicas of the cluster file. A replica whose machine is lost "
                   "comes back under its own number with an empty directory; for another number of "
                   "replicas start a new cluster.");
  }
  if (!lead.leader) {
    const int exit_status = print_lead(reports, options_.format());
    return exit_status == kControlExecuted ? kControlRejected : exit_status;
  }
  const ReplicaId replica(static_cast<std::uint16_t>(options_.member));
  const std::uint32_t wish = static_cast<std::uint32_t>(change) << 16 | replica.value();
  net::SubmitOptions how;
  how.replica = place_of(lead.leader->value());
  how.deadline_us = left_until(deadline());
  const net::CallOutcome outcome =
      client_->call(net::RequestKind::kChangeMembers, std::as_bytes(std::span(&wish, 1)), how);
  if (outcome.kind == OutcomeKind::kRejected) return refused(outcome.reason);
  return wait_for_members(change, replica, std::move(reports));
}

Control::Deadline Control::deadline() const {
  return begin_ + std::chrono::microseconds(*duration_from(options_.timeout));
}

Control::Deadline Control::half_way() const {
  return begin_ + std::chrono::microseconds(*duration_from(options_.timeout) / 2);
}

void Control::ask_again(std::vector<ReplicaReport>& reports) {
  std::vector<ReplicaReport> now = again(reports);
  ask(net::RequestKind::kStatus, now, deadline());
  for (ReplicaReport& report : reports) {
    const auto same = std::ranges::find(now, report.replica, &ReplicaReport::replica);
    if (same != now.end() && same->answered) report = *same;
  }
}

int Control::wait_for_leader(ReplicaId to, std::vector<ReplicaReport> reports) {
  while (true) {
    ask_again(reports);
    if (lead_of(reports).leader == to) return print_lead(reports, options_.format());
    if (Clock::now() >= deadline()) {
      std::fprintf(stderr,
                   "epaxosctl: %s does not lead yet. The leader gives up after an election "
                   "timeout; see \"epaxosctl leader show\" and try again.\n",
                   to_string(to).c_str());
      return kControlUnknown;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

int Control::wait_for_members(MemberChange change, ReplicaId replica,
                              std::vector<ReplicaReport> reports) {
  const bool adds = change == MemberChange::kAdd;
  while (true) {
    ask_again(reports);
    const MemberFacts facts = member_facts(reports);
    if (facts.is_settled && facts.is_member(replica) == adds) {
      return print_member(replica, adds, options_.format());
    }
    if (facts.is_settled) {
      return refused(!facts.given_up.empty() ? facts.given_up
                                             : "the replica that led is gone, and the change that "
                                               "it had begun with it; try again.");
    }
    if (Clock::now() >= deadline()) {
      std::fprintf(stderr,
                   "epaxosctl: %s is not %s yet. The change goes on; \"epaxosctl member list\" "
                   "shows how far it is, and --timeout waits longer.\n",
                   to_string(replica).c_str(), adds ? "a member" : "removed");
      return kControlUnknown;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
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
      report.reason = "its image was not on disk within " + options_.timeout +
                      "; it is made all the same: \"epaxosctl status\" shows when, and --timeout "
                      "waits longer";
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
