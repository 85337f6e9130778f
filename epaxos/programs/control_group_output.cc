// What the replicas of a group have to say about each other: who leads, who belongs to it, and
// whether their states are the same.

#include <algorithm>
#include <cstring>
#include <string_view>

#include "epaxos/programs/control_words.h"
#include "epaxos/programs/programs.h"
#include "epaxos/programs/text_table.h"

namespace epaxos {
namespace {

std::string leader_word(const Json& status) {
  if (status.is_null() || !status.value("has_leader", false)) return "-";
  const Json leader = status.value("leader", Json(nullptr));
  return leader.is_null() ? "nobody" : "R" + std::to_string(leader.get<int>());
}

/// How many slots each row has executed; null: its status is none.
Json executed_of(const ReplicaReport& digest, const std::vector<ReplicaReport>& statuses) {
  const auto found = std::ranges::find(statuses, digest.replica, &ReplicaReport::replica);
  if (!digest.answered || found == statuses.end()) return nullptr;
  const Json status = parsed_status(*found);
  if (!status.is_object() || !status.contains("rows")) return nullptr;
  Json executed = Json::array();
  for (const Json& row : status.at("rows")) {
    executed.push_back(row.value("executed_up_to", std::uint64_t{0}));
  }
  return executed;
}

/// Whether some row of this one ends before that of another replica.
bool is_behind(const Json& executed, const std::vector<Json>& all) {
  return std::ranges::any_of(all, [&](const Json& other) {
    for (std::size_t row = 0; row < std::min(executed.size(), other.size()); ++row) {
      if (executed[row].get<std::uint64_t>() < other[row].get<std::uint64_t>()) return true;
    }
    return false;
  });
}

std::vector<ReplicaId> replicas_of(const Json& members, const char* key) {
  std::vector<ReplicaId> out;
  for (const Json& each : members.value(key, Json::array())) {
    out.emplace_back(each.get<std::uint16_t>());
  }
  return out;
}

/// Whether a replica belongs to the group, whoever says so, and what it says of its own vote.
std::string member_word(const MemberFacts& facts, bool somebody_answered, ReplicaId replica,
                        const Json& status) {
  const bool has_forgotten =
      !status.is_null() && status.value("role", "").find("non-voting") != std::string::npos;
  if (facts.is_known && !facts.is_member(replica)) {
    const bool learns = std::ranges::find(facts.learners, replica) != facts.learners.end();
    return std::string(learns ? "learning" : "spare") +
           (has_forgotten ? ", never votes: it has lost its promises" : "");
  }
  if (!status.is_null()) return has_forgotten ? "non-voting" : "voting";
  return somebody_answered ? "member" : "unknown";
}

std::string hexadecimal(std::string_view eight_bytes) {
  std::uint64_t number = 0;
  std::memcpy(&number, eight_bytes.data(), sizeof number);
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

}  // namespace

std::string sentence_about(const Lead& lead, const std::vector<ReplicaReport>& reports) {
  if (lead.protocol.empty()) return "No replica has answered, so it is not known who leads.";
  if (!lead.has_leader) {
    return "There is no leader in " + lead.protocol +
           ": every replica proposes the commands of its own clients.";
  }
  if (lead.leader) return name_of(lead.leader) + " leads.";
  if (lead.named && reports.size() == 1) {
    return name_of(reports.front().replica) + " says that " + name_of(lead.named) +
           " leads; ask it, or leave out --replica.";
  }
  return "Nobody who answered leads at the moment. Ask again after an election.";
}

Lead lead_of(const std::vector<ReplicaReport>& reports) {
  Lead lead;
  std::uint64_t latest_named = 0;
  for (const ReplicaReport& report : reports) {
    const Json status = parsed_status(report);
    if (status.is_null()) continue;
    lead.protocol = status.value("protocol", "this protocol");
    lead.has_leader |= status.value("has_leader", false);
    // One that has not heard of its successor yet has an earlier term.
    const std::uint64_t term = counter(status, "core", "current_term");
    const Json named = status.value("leader", Json(nullptr));
    if (named.is_number() && named != report.replica.value() && term >= latest_named) {
      lead.named = ReplicaId(named.get<std::uint16_t>());
      latest_named = term;
    }
    if (status.value("role", "") != "leader" || (lead.leader && term < lead.term)) continue;
    lead.leader = report.replica;
    lead.term = term;
  }
  return lead;
}

std::optional<ReplicaId> successor_of(ReplicaId leader, const std::vector<ReplicaReport>& reports) {
  for (const ReplicaReport& report : reports) {
    const Json status = parsed_status(report);
    if (report.replica != leader && !status.is_null() && status.value("voting", false)) {
      return report.replica;
    }
  }
  return std::nullopt;
}

int print_lead(const std::vector<ReplicaReport>& reports, OutputFormat format) {
  const Lead lead = lead_of(reports);
  bool complete = true;
  Json list = Json::array();
  TextTable table({"replica", "site", "role", "leader"});
  std::string notes;
  for (const ReplicaReport& report : reports) {
    const Json status = parsed_status(report);
    const std::string name = name_of(report.replica);
    complete = complete && !status.is_null();
    const std::string role = status.is_null() ? "no answer" : status.value("role", "?");
    table.add({name, report.site, role, leader_word(status)});
    if (status.is_null()) notes += name + ": " + report.reason + "\n";
    Json json = {{"replica", report.replica.value()}, {"role", role}};
    json["leader"] = status.is_null() ? Json(nullptr) : status.value("leader", Json(nullptr));
    list.push_back(std::move(json));
  }
  const Json json = {{"protocol", lead.protocol},
                     {"has_leader", lead.has_leader},
                     {"leader", lead.leader ? Json(lead.leader->value()) : Json(nullptr)},
                     {"replicas", list}};
  print_as(format, json, table.text(), notes + sentence_about(lead, reports) + "\n");
  return complete ? kControlExecuted : kControlUnreachable;
}

int print_new_leader(ReplicaId leader, OutputFormat format) {
  print_as(format, {{"leader", leader.value()}}, name_of(leader) + " leads.\n");
  return kControlExecuted;
}

bool MemberFacts::is_member(ReplicaId replica) const {
  return std::ranges::find(voters, replica) != voters.end();
}

MemberFacts member_facts(const std::vector<ReplicaReport>& reports) {
  const Lead lead = lead_of(reports);
  MemberFacts facts;
  std::uint64_t furthest = 0;
  for (const ReplicaReport& report : reports) {
    const Json status = parsed_status(report);
    const Json members = status.is_null() ? Json(nullptr) : status.value("members", Json(nullptr));
    if (!members.is_object()) continue;
    const Json rows = status.value("rows", Json::array());
    const std::uint64_t known = rows.empty() ? 0 : rows[0].value("highest_known", std::uint64_t{0});
    const bool leads = lead.leader == report.replica;
    if (facts.is_known && !leads && known < furthest) continue;
    furthest = known;
    facts = {.is_known = true,
             .of_leader = leads,
             .term = leads ? lead.term : 0,
             .voters = replicas_of(members, "voters"),
             .learners = replicas_of(members, "learners"),
             .change = members.value("change", ""),
             .given_up = members.value("given_up", ""),
             .may_pass = members.value("may_pass", false)};
    if (leads) break;
  }
  return facts;
}

int print_member(ReplicaId replica, bool belongs, OutputFormat format) {
  const Json json = {{"replica", replica.value()}, {"member", belongs}};
  print_as(format, json,
           name_of(replica) + (belongs ? " is a member now.\n" : " is no member any more.\n"));
  return kControlExecuted;
}

int print_members(const std::vector<ReplicaReport>& reports, OutputFormat format) {
  const MemberFacts facts = member_facts(reports);
  const auto answered = [](const ReplicaReport& each) { return !parsed_status(each).is_null(); };
  const bool somebody_answered = std::ranges::any_of(reports, answered);
  Json list = Json::array();
  TextTable table({"replica", "site", "clients at", "peers at", "member", "connected"});
  std::string notes;
  for (const ReplicaReport& report : reports) {
    const Json status = parsed_status(report);
    const bool is_there = !status.is_null();
    const std::string member = member_word(facts, somebody_answered, report.replica, status);
    const std::string peers = is_there ? status.value("peer_address", "-") : "-";
    table.add({name_of(report.replica), report.site, report.address, peers, member,
               is_there ? peers_connected(status) : "no answer"});
    if (!is_there) notes += name_of(report.replica) + ": " + report.reason + "\n";
    list.push_back({{"replica", report.replica.value()},
                    {"site", report.site},
                    {"client_address", report.address},
                    {"peer_address", is_there ? Json(peers) : Json(nullptr)},
                    {"member", member},
                    {"answered", is_there},
                    {"connected", is_there ? Json(peers_connected(status)) : Json(nullptr)}});
  }
  if (!facts.change.empty()) notes += "A change is under way: " + facts.change + ".\n";
  if (!facts.given_up.empty()) notes += "The last change was given up: " + facts.given_up + "\n";
  const Json json = {{"change", facts.change}, {"given_up", facts.given_up}, {"replicas", list}};
  print_as(format, json, table.text(), notes);
  return std::ranges::all_of(reports, answered) ? kControlExecuted : kControlUnreachable;
}

int print_digests(const std::vector<ReplicaReport>& digests,
                  const std::vector<ReplicaReport>& statuses, OutputFormat format) {
  std::vector<Json> executed;
  for (const ReplicaReport& each : digests) executed.push_back(executed_of(each, statuses));
  bool complete = true;
  TextTable table({"replica", "site", "digest", "executed"});
  std::string notes;
  Json list = Json::array();
  for (std::size_t i = 0; i < digests.size(); ++i) {
    const ReplicaReport& report = digests[i];
    const std::string name = name_of(report.replica);
    const bool answered = report.status.size() == sizeof(std::uint64_t);
    complete = complete && answered;
    const std::string digest = answered ? hexadecimal(report.status) : "no answer";
    std::string frontier;
    for (const Json& row : executed[i]) frontier += (frontier.empty() ? "" : "/") + row.dump();
    table.add({name, report.site, digest, frontier.empty() ? "-" : frontier});
    if (!answered) {
      notes += name + " (" + report.address + "): " + report.reason + "\n";
    } else if (is_behind(executed[i], executed)) {
      notes += name +
               " is behind: others have executed what it has not, so its digest may differ. "
               "Ask again when nothing runs and it has caught up.\n";
    }
    Json json = {{"replica", report.replica.value()}};
    json["digest"] = answered ? Json(digest) : Json(nullptr);
    json["executed"] = executed[i];
    list.push_back(std::move(json));
  }
  print_as(format, list, table.text(), notes);
  return complete ? kControlExecuted : kControlUnreachable;
}

}  // namespace epaxos
