#include "epaxos/programs/watch.h"

#include <algorithm>

#include "epaxos/programs/status_json.h"
#include "epaxos/programs/text_table.h"

namespace epaxos {
namespace {

std::uint64_t instances_behind(const NodeStatus& status) {
  std::uint64_t behind = 0;
  for (const RowStatus& row : status.rows) {
    if (row.highest_known > row.executed_up_to) {
      behind += row.highest_known.value() - row.executed_up_to.value();
    }
  }
  return behind;
}

std::uint64_t instances_executed(const NodeStatus& status) {
  std::uint64_t executed = 0;
  for (const RowStatus& row : status.rows) executed += row.executed_up_to.value();
  return executed;
}

bool has_executed(const NodeStatus& status, const std::vector<Slot>& up_to) {
  for (std::size_t row = 0; row < std::min(up_to.size(), status.rows.size()); ++row) {
    if (status.rows[row].executed_up_to < up_to[row]) return false;
  }
  return true;
}

bool has_own_line(std::string_view counter) {
  return counter == "refused_connections" || counter == "no_descriptor_left";
}

}  // namespace

std::vector<Remark> Watch::look(const NodeStatus& status, Tick now) {
  std::vector<Remark> out;
  look_at_vote(status, out);
  look_at_store(status, now, out);
  look_at_peers(status, now, out);
  look_for_unreached(status, now, out);
  look_at_leader(status, now, out);
  look_at_members(status, out);
  look_at_timers(status, now, out);
  look_at_catch_up(status, out);
  look_at_refusals(status, now, out);
  look_at_open_files(status, now, out);
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
    if (at >= peers_.size()) peers_.resize(at + 1);
    peers_[at].reached |= peer.connected || peer.is_stranger;
    if (peer.is_stranger && !peers_[at].is_stranger) {
      out.push_back({Severity::kWarning,
                     to_string(peer.replica) +
                         " runs with another cluster file or protocol, so nothing that it says is "
                         "taken: its file must have the same name or id, the same number of "
                         "replicas and the same spares, and its --protocol must be " +
                         status.protocol + " too"});
    }
    peers_[at].is_stranger = peer.is_stranger;
    const std::string state = peer.connected ? "connected" : "not connected";
    std::string suffix;
    if (!changed(peers_[at].connection, state, now, suffix)) continue;
    out.push_back({peer.connected ? Severity::kInfo : Severity::kWarning,
                   "replica " + std::to_string(at) + " is " + state + suffix});
  }
}

/// Who is not connected from the start never changes, so nothing else would tell of him.
void Watch::look_for_unreached(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  if (status.uptime_us < kUnreachedUs) return;
  for (std::size_t at = 0; at < peers_.size(); ++at) {
    Peer& peer = peers_[at];
    if (peer.reached || at == status.self.value()) continue;
    if (peer.unreached_told_at != 0 && now - peer.unreached_told_at < kUnreachedAgainUs) continue;
    peer.unreached_told_at = now;
    const std::string address =
        at < peer_addresses_.size() ? " (" + peer_addresses_[at] + ")" : std::string();
    out.push_back({Severity::kWarning, "replica " + std::to_string(at) + address +
                                           " was never reached; check its address and whether it "
                                           "runs"});
  }
}

void Watch::look_at_leader(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  // During an election nobody leads: that ends with a change, or with none.
  if (!status.has_leader) return;
  const std::string leader =
      status.leader ? "R" + std::to_string(status.leader->value()) : leader_.state;
  std::string suffix;
  if (!changed(leader_, leader, now, suffix)) return;
  out.push_back({Severity::kInfo, leader + " leads now" + suffix});
}

/// Told by whoever leads, one line a step; the others would only repeat it.
void Watch::look_at_members(const NodeStatus& status, std::vector<Remark>& out) {
  if (!status.members) return;
  const MemberStatus& members = *status.members;
  const MemberStatus before = members_.value_or(members);
  members_ = members;
  if (status.leader != status.self) return;
  const auto tell = [&out](ReplicaSet replicas, const char* what) {
    for (; replicas.first(); replicas = replicas.without(*replicas.first())) {
      out.push_back({Severity::kInfo, to_string(*replicas.first()) + what});
    }
  };
  tell(members.learners.without(before.learners), " learns, and then becomes a member");
  if (members.old_voters.size() == 0) {
    const ReplicaSet old = before.old_voters.size() > 0 ? before.old_voters : before.voters;
    tell(members.voters.without(old), " is a member now");
    tell(old.without(members.voters), " is no member any more");
  }
  if (!members.given_up.empty() && members.given_up != before.given_up) {
    out.push_back({Severity::kWarning, "gave up a change of the members: " + members.given_up});
  }
}

/// Said once, and not because of a single moment: how long a round trip is changes all the time.
void Watch::look_at_timers(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  const std::uint64_t configured = status.counter("core", "election_configured_us");
  const std::uint64_t needed = kRoundTripsOfElection * status.counter("core", "round_trip_us");
  if (needed <= configured) {
    timers_short_since_.reset();
    return;
  }
  if (!timers_short_since_) timers_short_since_ = now;
  if (timers_told_ || now - *timers_short_since_ < kTimersUs) return;
  timers_told_ = true;
  const std::uint64_t advised = (needed + kAdviceUs - 1) / kAdviceUs * kAdviceUs;
  out.push_back(
      {Severity::kWarning,
       "timers.election_us = " + grouped(configured) +
           " is too short for this network: an answer of a peer takes up to " +
           grouped(status.counter("core", "round_trip_us")) + " us, and an election waits for " +
           grouped(status.counter("core", "election_timeout_us")) + " us therefore; set it to " +
           grouped(advised) + " or more in the cluster file"});
}

void Watch::look_at_catch_up(const NodeStatus& status, std::vector<Remark>& out) {
  const std::uint64_t installed = status.counter("images", "installed");
  if (installed > images_installed_) {
    out.push_back({Severity::kInfo, "took over an image of the state from another replica"});
  }
  images_installed_ = installed;
  const std::uint64_t executed = instances_executed(status);
  const std::uint64_t behind = instances_behind(status);
  const bool far = behind > kFarBehind;
  if (!joined_ && !executed_before_) executed_before_ = executed;
  // A second after its start gossip has told how far the others are; only then is there a goal.
  const bool heard =
      status.uptime_us >= kHeardUs &&
      std::ranges::any_of(status.peers, [](const PeerStatus& p) { return p.connected; });
  if (catches_up_to_.empty() && (far || (!joined_ && heard))) {
    for (const RowStatus& row : status.rows) catches_up_to_.push_back(row.highest_known);
    if (!executed_before_) executed_before_ = executed;
  }
  if (far && !far_) {
    out.push_back({Severity::kInfo, "catches up: " + grouped(behind) +
                                        " instances that it knows of are not executed here yet"});
  }
  far_ = far_ || far;
  if (catches_up_to_.empty() || far || !has_executed(status, catches_up_to_)) return;
  const std::uint64_t meanwhile = executed - *executed_before_;
  if (meanwhile > 0) {
    out.push_back({Severity::kInfo, "has caught up: executed " + grouped(meanwhile) +
                                        (meanwhile == 1 ? " instance" : " instances") +
                                        " meanwhile"});
  }
  joined_ = true;
  far_ = false;
  executed_before_.reset();
  catches_up_to_.clear();
}

void Watch::look_at_refusals(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  if (refusals_told_at_ != 0 && now - refusals_told_at_ < kRefusalsUs) return;
  std::string grown;
  const auto look_at = [&](const std::string& group, const std::vector<Counter>& counters) {
    for (const Counter& counter : counters) {
      if (!tells_refusal(counter.name) || has_own_line(counter.name)) continue;
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

/// How much a counter has grown since it was last told, when that is to be told now; 0 otherwise.
std::uint64_t Watch::grown(Told& told, std::uint64_t value, Tick now) {
  if (value <= told.value || (told.at != 0 && now - told.at < kRefusalsUs)) return 0;
  told.at = now;
  return value - std::exchange(told.value, value);
}

void Watch::look_at_open_files(const NodeStatus& status, Tick now, std::vector<Remark>& out) {
  const std::string limit = grouped(status.counter("node", "open_files_max"));
  const std::string advice =
      " Close connections that nobody needs, or raise the limit (ulimit -n, LimitNOFILE) and "
      "restart.";
  if (grown(no_descriptor_left_, status.counter("node", "no_descriptor_left"), now) > 0) {
    out.push_back({Severity::kWarning,
                   "no file descriptor is left: the limit is " + limit +
                       " open files. Who is connected is served, but nobody new can connect, no "
                       "replica either." +
                       advice});
  }
  const std::uint64_t refused =
      grown(refused_connections_, status.counter("client_plane", "refused_connections"), now);
  if (refused > 0) {
    out.push_back({Severity::kWarning,
                   "too many clients are connected: " + grouped(refused) +
                       (refused == 1 ? " connection was" : " connections were") +
                       " closed again. The limit of " + limit + " open files leaves room for " +
                       grouped(status.counter("client_plane", "connections_max")) + "." + advice});
  }
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
