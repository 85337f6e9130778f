// `epaxosctl explain`: why the commands of an instance took as long as they did.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "epaxos/programs/control_requests.h"
#include "epaxos/programs/control_words.h"
#include "epaxos/programs/explain_text.h"
#include "epaxos/programs/programs.h"

namespace epaxos {
namespace {

/// What the request carries: 2 bytes, the row, and 8 bytes, the slot.
std::array<std::byte, 10> wish_for(const InstanceId& id) {
  std::array<std::byte, 10> wish{};
  const std::uint16_t row = id.row.value();
  const std::uint64_t slot = id.slot.value();
  std::memcpy(wish.data(), &row, sizeof row);
  std::memcpy(wish.data() + sizeof row, &slot, sizeof slot);
  return wish;
}

}  // namespace

int Control::explain() {
  if (options_.slowest) return explain_slowest();
  const InstanceId id = *instance_from(options_.instance);
  const int whom = options_.replica.value_or(id.row.value());
  net::SubmitOptions how;
  how.reads_only = true;
  how.replica = place_of(whom);
  if (!how.replica && options_.replica) return no_such_replica();
  if (!how.replica) {
    std::fprintf(stderr,
                 "epaxosctl: the file lists no replica %d with a client address, which would own "
                 "%s. Check the name, or ask another one with --replica.\n",
                 whom, options_.instance.c_str());
    return kControlBadUsage;
  }
  const auto wish = wish_for(id);
  const net::CallOutcome outcome = client_->call(net::RequestKind::kExplain, wish, how);
  if (outcome.kind == OutcomeKind::kRejected && outcome.answered) {
    return refused(outcome.reason);
  }
  if (outcome.kind != OutcomeKind::kExecuted) {
    std::fprintf(stderr,
                 "epaxosctl: R%d does not answer: %s Another replica knows what it learned or "
                 "recovered: ask it with --replica.\n",
                 whom, outcome.reason.c_str());
    return kControlUnreachable;
  }
  const std::string answer(reinterpret_cast<const char*>(outcome.reply.data()),
                           outcome.reply.size());
  if (options_.format() == OutputFormat::kJson) {
    print_line(answer);
  } else {
    std::fputs(explain_text(answer).c_str(), stdout);
  }
  return kControlExecuted;
}

int Control::explain_slowest() {
  std::vector<ReplicaReport> reports = all_asked();
  if (reports.empty()) return no_such_replica();
  ask(net::RequestKind::kExplain, reports, deadline());
  // All run one protocol, and what one of them cannot do none can.
  const auto unable = std::ranges::find(reports, true, &ReplicaReport::refused);
  const bool any_can = std::ranges::find(reports, true, &ReplicaReport::answered) != reports.end();
  if (unable != reports.end() && !any_can) return refused(unable->reason);
  Json all = Json::array();
  bool everybody = true;
  for (const ReplicaReport& report : reports) {
    everybody = everybody && report.answered;
    if (!report.answered) {
      std::fprintf(stderr, "epaxosctl: %s: %s\n", to_string(report.replica).c_str(),
                   report.reason.c_str());
      continue;
    }
    const Json said = Json::parse(report.status, nullptr, /*allow_exceptions=*/false);
    if (!said.is_array()) continue;
    for (const Json& each : said) all.push_back(each);
  }
  if (options_.format() == OutputFormat::kJson) {
    print_line(text_of(all));
  } else {
    std::fputs(slowest_text(text_of(all)).c_str(), stdout);
  }
  return everybody ? kControlExecuted : kControlUnreachable;
}

}  // namespace epaxos
