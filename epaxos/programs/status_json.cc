#include "epaxos/programs/status_json.h"

#include <nlohmann/json.hpp>

namespace epaxos {
namespace {

using Json = nlohmann::ordered_json;

Json counters_json(const std::vector<Counter>& counters) {
  Json out = Json::object();
  for (const Counter& counter : counters) out[std::string(counter.name)] = counter.value;
  return out;
}

Json rows_json(const NodeStatus& status) {
  Json rows = Json::array();
  for (std::size_t row = 0; row < status.rows.size(); ++row) {
    const RowStatus& s = status.rows[row];
    rows.push_back({{"row", row},
                    {"committed_up_to", s.committed_up_to.value()},
                    {"executed_up_to", s.executed_up_to.value()},
                    {"highest_known", s.highest_known.value()},
                    {"floor", s.floor.value()}});
  }
  return rows;
}

Json replicas_json(ReplicaSet replicas) {
  Json out = Json::array();
  for (; replicas.first(); replicas = replicas.without(*replicas.first())) {
    out.push_back(replicas.first()->value());
  }
  return out;
}

Json members_json(const std::optional<MemberStatus>& members) {
  if (!members) return nullptr;
  return {{"voters", replicas_json(members->voters)},
          {"old_voters", replicas_json(members->old_voters)},
          {"learners", replicas_json(members->learners)},
          {"change", members->change},
          {"given_up", members->given_up},
          {"may_pass", members->may_pass}};
}

}  // namespace

std::string status_json(const NodeStatus& status) {
  Json out = {{"replica", status.self.value()},
              {"replicas", status.replica_count},
              {"cluster", status.cluster},
              {"site", status.site},
              {"protocol", status.protocol},
              {"state", to_string(status.state)},
              {"stop_reason", status.stop_reason},
              {"role", status.role},
              {"has_leader", status.has_leader},
              {"leader", status.leader ? Json(status.leader->value()) : Json(nullptr)},
              {"members", members_json(status.members)},
              {"voting", status.voting},
              {"non_voting_reason", status.non_voting_reason},
              {"durability", to_string(status.durability)},
              {"incarnation", status.incarnation},
              {"uptime_us", status.uptime_us},
              {"peer_address", status.peer_address},
              {"client_address", status.client_address}};
  out["rows"] = rows_json(status);
  out["store"] = {{"state", status.store.state},
                  {"error", status.store.error},
                  {"durable_batch", status.store.durable_batch},
                  {"pending_bytes", status.store.pending_bytes},
                  {"transactions", status.store.transactions},
                  {"used_bytes", status.store.used_bytes},
                  {"limit_bytes", status.store.limit_bytes},
                  {"warning", status.store.warning}};
  out["memory"] = {{"held_bytes", status.memory.held_bytes},
                   {"limit_bytes", status.memory.limit_bytes},
                   {"warning", status.memory.warning}};
  out["image"] = {
      {"number", status.image.number},       {"bytes", status.image.bytes},
      {"log_bytes", status.image.log_bytes}, {"making", status.image.making},
      {"fetching", status.image.fetching},   {"waits_for_peer", status.image.waits_for_peer},
      {"trouble", status.image.trouble}};
  out["queues"] = {{"submitted", status.queues.submitted},
                   {"submitted_bytes", status.queues.submitted_bytes},
                   {"pending", status.queues.pending}};
  out["peers"] = Json::array();
  for (const PeerStatus& peer : status.peers) {
    out["peers"].push_back({{"replica", peer.replica.value()},
                            {"connected", peer.connected},
                            {"is_stranger", peer.is_stranger},
                            {"lacks_instances", peer.lacks_instances},
                            {"counters", counters_json(peer.counters)}});
  }
  out["counters"] = Json::object();
  for (const CounterGroup& group : status.counters) {
    out["counters"][std::string(group.name)] = counters_json(group.counters);
  }
  // Names and reasons may come from a file: whatever bytes they hold, the text is valid JSON.
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool tells_refusal(std::string_view counter) {
  // Normal, in spite of their names. What all have executed, memory lets go; a vote that another
  // candidate has got is refused to the next one.
  for (const std::string_view normal : {"dropped_instances", "dropped_entries", "votes_refused"}) {
    if (counter == normal) return false;
  }
  // Nobody was there: a peer, as at every start (that it is not connected tells it), or a client
  // that ended without waiting. `bundles_dropped` is the sum over all peers, each of which tells
  // why.
  if (counter.ends_with("dropped_unreachable") || counter == "bundles_dropped") return false;
  return counter.starts_with("rejected") || counter.starts_with("unknown") ||
         counter.find("dropped") != counter.npos || counter.find("refused") != counter.npos ||
         counter.find("too_large") != counter.npos || counter == "no_descriptor_left";
}

}  // namespace epaxos
