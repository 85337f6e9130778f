#include "epaxos/programs/watch.h"

#include "epaxos/programs/status_json.h"
#include "epaxos/programs/text_table.h"

namespace epaxos {
std::vector<Remark> Watch::look(const NodeStatus& status, Tick now) {
  std::vector<Remark> out;
  look_at_vote(status, out);
  look_at_store(status, now, out);
  look_at_peers(status, now, out);
  look_at_refusals(status, now, out);
  look_at_progress(status, now, out);
  return out;
}

bool Watch::changed(Subject& subject, const std::string& state, Tick now, std::string& suffix) {
  if (state != subject.state) ++subject.changes;
  subject.state = state;
  if (subject.changes == 0) return false;
  if (subject.told_at != 0 && now - subject.told_at < kChangesUs) return false;
  if (subject.changes > 1) {
    suffix = " (changed " + grouped(subject.changes) + " times since the last line about it)";
  }
  subject.told_at = now;
  subject.changes = 0;
  return true;
}

void Watch::look_at_vote(const NodeStatus& status, std::vector<Remark>& out) {
  if (status.voting == voting_ && status.non_voting_reason == non_voting_reason_) return;
  voting_ = status.voting;
  non_voting_reason_ = status.non_voting_reason;
  if (voting_) {
    out.push_back({Severity::kInfo, "votes"});
  } else {
    out.push_back({Severity::kWarning, "does not vote: " + non_voting_reason_});
  }
}

void Watch::look_at_store(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  // A store in memory is always ready.
  const std::string state = status.store.state == "memory" ? "ready" : status.store.state;
  std::string suffix;
  if (!changed(store_, state, now, suffix)) return;
  if (state == "full") {
    out.push_back({Severity::kWarning, "refuses commands: " + status.store.error + suffix});
  } else if (state == "ready") {
    out.push_back({Severity::kInfo, "there is room on the disk again" + suffix});
  }  // A failed one stops the node, which is told then.
}

void Watch::look_at_peers(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  for (const PeerStatus& peer : status.peers) {
    const std::size_t at = peer.replica.value();
    if (at >= peers_.size()) peers_.resize(at + 1, {.state = "not connected"});
    const std::string state = peer.connected ? "connected" : "not connected";
    std::string suffix;
    if (!changed(peers_[at], state, now, suffix)) continue;
    out.push_back({peer.connected ? Severity::kInfo : Severity::kWarning,
                   "replica " + std::to_string(at) + " is " + state + suffix});
  }
}

void Watch::look_at_refusals(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  if (refusals_told_at_ != 0 && now - refusals_told_at_ < kRefusalsUs) return;
  std::string grown;
  const auto look_at = [&](const std::string& group, const std::vector<Counter>& counters) {
    for (const Counter& counter : counters) {
      if (!tells_refusal(counter.name)) continue;
      const std::string name = group + "." + std::string(counter.name);
      std::uint64_t& before = refusals_[name];
      if (counter.value > before) {
        grown += (grown.empty() ? "" : ", ") + name + " " + grouped(counter.value - before);
      }
      before = counter.value;
    }
  };
  for (const CounterGroup& group : status.counters) {
    look_at(std::string(group.name), group.counters);
  }
  for (const PeerStatus& peer : status.peers) {
    look_at("to R" + std::to_string(peer.replica.value()), peer.counters);
  }
  if (grown.empty()) return;
  refusals_told_at_ = now;
  out.push_back({Severity::kWarning, "refused or dropped since the last line about it: " + grown});
}

void Watch::look_at_progress(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  if (progress_told_at_ != 0 && now - progress_told_at_ < kProgressUs) return;
  const std::uint64_t executed = status.counter("host", "commands_executed");
  const bool first = progress_told_at_ == 0;
  progress_told_at_ = now;
  if (!first) {
    out.push_back({Severity::kDebug, "executed " + grouped(executed - executed_) +
                                         " commands since the last line about it, " +
                                         grouped(status.queues.pending) + " pending"});
  }
  executed_ = executed;
}

}  // namespace epaxos
