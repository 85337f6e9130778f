// Wishes about the group: who leads, and who belongs to it. Whoever leads is asked as soon as it
// has said that it does; a wish that it cannot fulfil yet is repeated until --timeout.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <span>
#include <utility>

#include "epaxos/programs/control_requests.h"
#include "epaxos/programs/control_statuses.h"
#include "epaxos/programs/control_words.h"
#include "epaxos/programs/programs.h"

namespace epaxos {
namespace {

constexpr Tick kWishMaxUs = 1'000'000;             // Then the statuses tell what became of a wish.
constexpr std::chrono::seconds kTransferAgain{2};  // Several election timeouts.

int ended_with(int exit_status, const std::string& why) {
  std::fprintf(stderr, "epaxosctl: %s\n", why.c_str());
  return exit_status;
}

/// Whether the same wish may be granted later, or by the next leader.
bool may_pass(const net::CallOutcome& outcome) {
  return outcome.code == ErrorCode::kUnavailable || outcome.code == ErrorCode::kStopped;
}

bool is_leaderless(const Lead& lead) {
  return !lead.protocol.empty() && !lead.has_leader;
}

/// By its own word, or by that of the only one who is asked.
bool leads(ReplicaId replica, const std::vector<ReplicaReport>& reports) {
  const Lead lead = lead_of(reports);
  return lead.leader ? lead.leader == replica : reports.size() == 1 && lead.named == replica;
}

/// Whoever was asked may have begun the change, and what became of it nobody has said.
int not_known(ReplicaId replica, const std::string& why) {
  return ended_with(
      kControlUnknown,
      "it is not known whether " + to_string(replica) + " is a member now: " + why +
          "\nepaxosctl: \"epaxosctl member list\" shows who is, and what is under way. "
          "Whatever it shows, the same command may be given again.");
}

std::string members_are_fixed(const std::string& protocol) {
  return "the members cannot change in " + protocol +
         ": they are the replicas of the cluster file. A replica whose disk is lost may come back "
         "under its own number with an empty directory, but it only learns and never votes again. "
         "To have its vote again, or another number of replicas, start a new cluster; "
         "docs/operation.md, \"A disk is lost\". In raft and raft-all the members can change.";
}

}  // namespace

Statuses Control::statuses() {
  std::vector<ReplicaReport> asked = all_asked();
  std::vector<ReplicaId> places;
  for (const ReplicaReport& each : asked) places.push_back(*place_of(each.replica.value()));
  return {*client_, std::move(asked), places, deadline()};
}

std::optional<ReplicaId> Control::leader_for(Statuses& statuses, std::string& why_none,
                                             std::uint64_t least_term) {
  const bool one_alone = statuses.reports().size() == 1;
  const auto knows_leader = [least_term](const Lead& lead) {
    return lead.leader && lead.term >= least_term;
  };
  statuses.wait_until([&](const std::vector<ReplicaReport>& reports) {
    const Lead lead = lead_of(reports);
    return knows_leader(lead) || is_leaderless(lead) || (one_alone && lead.named);
  });
  const Lead lead = lead_of(statuses.reports());
  if (knows_leader(lead)) return lead.leader;
  why_none = lead.leader
                 ? to_string(*lead.leader) + " does not know yet that another one led since."
                 : sentence_about(lead, statuses.reports());
  for (const ReplicaReport& report : statuses.reports()) {
    if (report.reason.empty()) continue;
    why_none += "\nepaxosctl: " + to_string(report.replica) + ": " + report.reason;
  }
  return std::nullopt;
}

net::CallOutcome Control::wish_of(ReplicaId leader, net::RequestKind kind, Bytes payload,
                                  const Statuses& statuses) {
  net::SubmitOptions how;
  how.replica = place_of(leader.value());
  how.deadline_us = std::min(statuses.left_us(), kWishMaxUs);
  return client_->call(kind, payload, how);
}

int Control::transfer_leadership() {
  if (all_asked().empty()) return no_such_replica();
  Statuses all = statuses();
  std::optional<ReplicaId> to;
  if (options_.to) to = ReplicaId(static_cast<std::uint16_t>(*options_.to));
  bool begun = false;
  std::string trouble;  // Why the last try came to nothing.
  while (true) {
    std::string why_none;
    const std::optional<ReplicaId> leader = leader_for(all, why_none);
    if (begun && leads(*to, all.reports())) return print_new_leader(*to, options_.format());
    if (!leader && !begun) return refused(trouble.empty() ? why_none : trouble);
    if (leader && !to) {
      all.wait_until([&](const auto& now) { return successor_of(*leader, now).has_value(); });
      to = successor_of(*leader, all.reports());
      if (!to) return refused("no other replica has answered that may vote, so nobody can lead.");
    }
    if (leader && to == leader) {
      return trouble.empty() ? refused(to_string(*to) + " leads already.")
                             : print_new_leader(*to, options_.format());
    }
    if (!leader || (begun && all.is_over())) {
      return ended_with(kControlUnknown,
                        to_string(*to) +
                            " does not lead yet. A leader gives up after an election "
                            "timeout, and was asked again; see \"epaxosctl leader "
                            "show\" and try again.");
    }
    const std::uint16_t number = to->value();
    const net::CallOutcome outcome = wish_of(*leader, net::RequestKind::kTransferLeadership,
                                             std::as_bytes(std::span(&number, 1)), all);
    all.forget();
    if (outcome.kind != OutcomeKind::kRejected) {
      begun = true;
      const Statuses::Deadline again = std::chrono::steady_clock::now() + kTransferAgain;
      all.wait_until([&](const auto& now) {
        return leads(*to, now) || std::chrono::steady_clock::now() >= again;
      });
    } else if (!may_pass(outcome) || all.is_over()) {
      return ended_with(begun ? kControlUnknown : kControlRejected, outcome.reason);
    } else {
      trouble = outcome.reason;
    }
  }
}

/// A wish may have been granted although its answer was lost, or whoever granted it is gone: from
/// then on only what a leader says that is not older than that one tells how it ended.
int Control::change_members(MemberChange change) {
  if (all_asked().empty()) return no_such_replica();
  Statuses all = statuses();
  const ReplicaId replica(static_cast<std::uint16_t>(options_.member));
  const bool adds = change == MemberChange::kAdd;
  const std::uint32_t wish = static_cast<std::uint32_t>(change) << 16 | replica.value();
  std::string trouble;     // Why the last try came to nothing.
  bool begun = false;      // Somebody may have.
  std::uint64_t term = 0;  // Of the latest leader that was asked.
  while (true) {
    std::string why_none;
    const std::optional<ReplicaId> leader = leader_for(all, why_none, term);
    const Lead lead = lead_of(all.reports());
    if (is_leaderless(lead)) return refused(members_are_fixed(lead.protocol));
    if (!leader && begun) return not_known(replica, why_none);
    if (!leader) return refused(trouble.empty() ? why_none : trouble);
    term = lead.term;
    const net::CallOutcome outcome =
        wish_of(*leader, net::RequestKind::kChangeMembers, std::as_bytes(std::span(&wish, 1)), all);
    all.forget();
    const bool is_rejected = outcome.kind == OutcomeKind::kRejected;
    if (is_rejected && may_pass(outcome) && !all.is_over()) {
      trouble = outcome.reason;
      continue;
    }
    if (is_rejected && !begun) return refused(outcome.reason);
    begun = true;
    const bool is_settled = all.wait_until(
        [term](const auto& now) { return member_facts(now).is_settled_since(term); });
    const MemberFacts facts = member_facts(all.reports());
    // Whoever is refused as it is a member already may be one by the wish before this one.
    if (is_settled && facts.is_member(replica) == adds) {
      return print_member(replica, adds, options_.format());
    }
    if (is_rejected) {
      const bool is_certain = is_settled && !may_pass(outcome);
      return is_certain ? refused(outcome.reason) : not_known(replica, outcome.reason);
    }
    if (!is_settled && facts.of_leader && facts.term >= term) {
      return ended_with(kControlUnknown,
                        to_string(replica) + " is not " + (adds ? "a member" : "removed") +
                            " yet. The change goes on; \"epaxosctl member list\" shows how far it "
                            "is, and --timeout waits longer.");
    }
    if (!is_settled) {
      return not_known(replica, "no leader has answered since it was asked" +
                                    (trouble.empty() ? "." : "; before: " + trouble));
    }
    trouble = "the replica that led is gone, and the change that it had begun with it; try again.";
    // Whose wish has not arrived is not told why it was given up, but why another one was.
    if (outcome.kind == OutcomeKind::kExecuted &&
        facts.given_up.starts_with(to_string(replica) + " ")) {
      if (!facts.may_pass || all.is_over()) return refused(facts.given_up);
      trouble = facts.given_up;
      begun = false;
    }
    if (all.is_over()) return not_known(replica, trouble);
  }
}

}  // namespace epaxos
