#include "epaxos/node/node_status.h"

#include <utility>

#include "net/client_plane.h"
#include "net/peer_plane.h"

namespace epaxos {
namespace {

std::string_view store_state(storage::StoreState state) {
  switch (state) {
    case storage::StoreState::kReady:
      return "ready";
    case storage::StoreState::kFull:
      return "full";
    case storage::StoreState::kFailed:
      return "failed";
  }
  return "unknown";
}

/// Names of the refusals, with the prefix that marks them as such, for as long as the process
/// lives.
std::string_view refusal_name(net::Refusal refusal) {
  static const auto names = [] {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < net::kRefusals; ++i) {
      all.push_back("refused_" + std::string(to_string(static_cast<net::Refusal>(i))));
    }
    return all;
  }();
  return names[static_cast<std::size_t>(refusal)];
}

void add_refusals(const net::RefusalCounters& refusals, std::vector<Counter>& out) {
  for (std::size_t i = 0; i < net::kRefusals; ++i) {
    const auto refusal = static_cast<net::Refusal>(i);
    out.push_back({refusal_name(refusal), refusals[refusal]});
  }
}

CounterGroup host_counters(const runtime::HostStatus& host) {
  const runtime::HostCounters& c = host.counters;
  CounterGroup group{"host",
                     {{"turns", c.turns},
                      {"batches", c.batches},
                      {"records", c.records},
                      {"bundles_in", c.bundles_in},
                      {"bundles_out", c.bundles_out},
                      {"bundles_dropped", c.bundles_dropped},
                      {"bytes_in", c.bytes_in},
                      {"bytes_out", c.bytes_out},
                      {"instances_executed", c.instances_executed},
                      {"commands_executed", c.commands_executed},
                      {"commands_completed", c.commands_completed},
                      {"commands_late", c.commands_late},
                      {"reads_run", c.reads_run},
                      {"rejected_by_core", c.rejected_by_core},
                      {"rejected_overloaded", c.rejected_overloaded},
                      {"rejected_too_large", c.rejected_too_large},
                      {"rejected_deadline", c.rejected_deadline},
                      {"rejected_storage_full", c.rejected_storage_full},
                      {"rejected_memory_short", c.rejected_memory_short},
                      {"rejected_not_voting", c.rejected_not_voting},
                      {"rejected_stopped", c.rejected_stopped},
                      {"rejected_bad_session", c.rejected_bad_session},
                      {"unknown_deadline", c.unknown_deadline},
                      {"unknown_stopped", c.unknown_stopped},
                      {"unknown_superseded", c.unknown_superseded},
                      {"session_open", host.sessions_open},
                      {"session_replies", host.session_replies},
                      {"session_duplicates", c.session_duplicates},
                      {"session_stale", c.session_stale},
                      {"session_beyond_window", c.session_beyond_window},
                      {"session_unknown", c.session_unknown},
                      {"session_expired", c.session_expired},
                      {"session_malformed", c.session_malformed},
                      {"held_turns", host.held_turns}}};
  std::uint64_t frames_in = 0;
  std::uint64_t frames_out = 0;
  for (const std::uint64_t frames : c.frames_in) frames_in += frames;
  for (const std::uint64_t frames : c.frames_out) frames_out += frames;
  group.counters.push_back({"frames_in", frames_in});
  group.counters.push_back({"frames_out", frames_out});
  add_refusals(host.refusals, group.counters);
  return group;
}

CounterGroup image_counters(const runtime::ImageCounters& c) {
  return {"images",
          {{"made", c.made},
           {"kept", c.kept},
           {"failed", c.failed},
           {"requests", c.requests},
           {"pieces_sent", c.pieces_sent},
           {"pieces_received", c.pieces_received},
           {"fetches", c.fetches},
           {"fetches_given_up", c.fetches_given_up},
           {"refused_offers", c.refused_offers},
           {"refused_damaged", c.refused_damaged},
           {"refused_malformed", c.refused_malformed},
           {"installed", c.installed}}};
}

CounterGroup request_counters(const runtime::RequestCounters& r,
                              const runtime::OpenFileCounters& files) {
  return {"node",
          {{"proposals", r.proposals},
           {"queries", r.queries},
           {"status_requests", r.status_requests},
           {"digests", r.digests},
           {"snapshots", r.snapshots},
           {"transfers", r.transfers},
           {"member_changes", r.member_changes},
           {"explanations", r.explanations},
           {"refused_not_a_command", r.refused_not_a_command},
           {"refused_too_large", r.refused_too_large},
           {"refused_stopping", r.refused_stopping},
           {"refused_unsupported", r.refused_unsupported},
           {"refused_query", r.refused_query},
           {"refused_transfers", r.refused_transfers},
           {"refused_member_changes", r.refused_member_changes},
           {"refused_explanations", r.refused_explanations},
           {"local_refused_not_a_command", r.local_refused_not_a_command},
           {"open_files_max", files.open_files_max},
           {"no_descriptor_left", files.no_descriptor_left}}};
}

CounterGroup client_plane_counters(const net::ClientPlaneCounters& c) {
  CounterGroup group{"client_plane",
                     {{"messages_in", c.messages_in},
                      {"bytes_in", c.bytes_in},
                      {"requests_in", c.requests_in},
                      {"pings_in", c.pings_in},
                      {"messages_out", c.messages_out},
                      {"bytes_out", c.bytes_out},
                      {"replies_out", c.replies_out},
                      {"replies_too_large", c.replies_too_large},
                      {"replies_dropped_would_block", c.replies_dropped_would_block},
                      {"replies_dropped_unreachable", c.replies_dropped_unreachable},
                      {"connections", c.connections},
                      {"connections_max", c.connections_max},
                      {"refused_connections", c.refused_connections}}};
  add_refusals(c.refusals, group.counters);
  return group;
}

CounterGroup link_counters(const net::LinkCounters& c) {
  return {"emulated_links",
          {{"delayed", c.delayed},
           {"lost", c.lost},
           {"dropped_cut", c.dropped_cut},
           {"dropped_full", c.dropped_full}}};
}

MemoryStatus memory_status(const HeldMemory& held) {
  MemoryStatus out{held.bytes, held.limit_bytes, {}};
  if (!held.runs_out()) return out;
  out.warning = "memory fills up: " + std::to_string(held.bytes >> 20) + " of " +
                std::to_string(held.limit_bytes >> 20) + " MiB (limits.held_bytes_max) are held, ";
  if (held.behind) {
    out.warning += "most of it for " + to_string(*held.behind) +
                   ", which is away or far behind; bring it back before proposals are refused";
  } else {
    out.warning +=
        "much of it for commands that are not decided; check that more than half of the replicas "
        "run and answer";
  }
  return out;
}

void describe_peers(net::PeerPlane& peers, const runtime::HostStatus& host, NodeStatus& out) {
  const CoreStatus& core = host.core;
  for (std::uint16_t r = 0; r < out.replica_count; ++r) {
    if (ReplicaId(r) == out.self) continue;
    const net::PeerCounters c = peers.counters(ReplicaId(r));
    const bool is_stranger = host.strangers.contains(ReplicaId(r));
    out.peers.push_back({ReplicaId(r),
                         peers.connected(ReplicaId(r)) && !is_stranger,
                         is_stranger,
                         core.lacking.empty() ? 0 : core.lacking[r],
                         {{"messages_out", c.messages_out},
                          {"bytes_out", c.bytes_out},
                          {"dropped_would_block", c.dropped_would_block},
                          {"dropped_unreachable", c.dropped_unreachable},
                          {"dropped_too_large", c.dropped_too_large},
                          {"disconnections", c.disconnections}}});
  }
  const net::PeerPlaneCounters& all = peers.counters();
  CounterGroup group{"peer_plane", {{"messages_in", all.messages_in}, {"bytes_in", all.bytes_in}}};
  add_refusals(all.refusals, group.counters);
  out.counters.push_back(std::move(group));
}

}  // namespace

void describe(runtime::EventLoop& loop, bool on_disk, NodeStatus& out) {
  runtime::HostStatus host;
  loop.host().status(host);
  out.state = loop.ended() || host.stopped ? NodeState::kStopped
              : loop.stopping()            ? NodeState::kStopping
                                           : NodeState::kRunning;
  out.stop_reason = loop.host().stop_reason();
  out.role = host.core.role;
  out.has_leader = host.core.has_leader;
  out.leader = host.core.leader;
  out.voting = host.core.role.find("non-voting") == std::string::npos;
  if (!out.voting && out.non_voting_reason.empty()) {
    out.non_voting_reason =
        "Other replicas know more of this one than it does itself, so it has forgotten promises: "
        "it "
        "learns and serves, and does not vote. At durability none that follows every stop. If an "
        "old "
        "or an empty directory was started by mistake: stop it, put the newest one back unchanged, "
        "restart the other replicas one after the other, as they remember, and only then start it; "
        "sooner, it would lose its vote for good.";
  }
  out.members = host.core.members;
  if (out.voting && out.members && !out.members->votes(out.self)) {
    out.voting = false;
    out.non_voting_reason =
        "It is no member of the group: it is given everything, answers and forwards what its "
        "clients send, and nobody waits for it. \"epaxosctl member add\" makes it a member.";
  }
  out.rows = host.core.rows;
  out.memory = memory_status(host.core.memory);
  if (on_disk) out.store.state = store_state(host.store);
  out.store.durable_batch = host.durable_batch;
  out.image = {host.image.number, host.image.bytes,    host.image.log_bytes,
               host.image.making, host.image.fetching, host.image.waits_for_peer,
               host.image.trouble};
  out.queues = {loop.submitted().count, loop.submitted().bytes, host.pending};
  out.counters.push_back({"core", host.core.counters});
  out.counters.push_back(host_counters(host));
  out.counters.push_back(image_counters(host.image.counters));
  out.counters.push_back(request_counters(loop.requests(), loop.open_files()));
  if (loop.clients() != nullptr) {
    out.counters.push_back(client_plane_counters(loop.clients()->counters()));
  }
  if (loop.links() != nullptr) out.counters.push_back(link_counters(loop.links()->counters()));
  if (net::PeerPlane* const peers = loop.peers()) describe_peers(*peers, host, out);
}

}  // namespace epaxos
