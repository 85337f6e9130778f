#pragma once

// What the tests of the programs share: a status with a different number in every place.

#include "epaxos/node/status.h"

namespace epaxos::testing {

inline NodeStatus status_of_replica_one() {
  NodeStatus status;
  status.self = ReplicaId(1);
  status.replica_count = 3;
  status.cluster = "shop";
  status.site = "Zürich";
  status.protocol = "epaxos";
  status.role = "voting";
  status.durability = Durability::kAsync;
  status.incarnation = 4;
  status.uptime_us = 5'000'000;
  status.peer_address = "tcp://127.0.0.1:1001";
  status.client_address = "tcp://127.0.0.1:1002";
  status.rows = {{Slot(5), Slot(4), Slot(6), Slot(3)},
                 {Slot(7), Slot(7), Slot(7), Slot(2)},
                 {Slot(9), Slot(8), Slot(12), Slot(1)}};
  status.store = {"ready", "", 40, 4096, 41, 1 << 20, 1 << 30, ""};
  status.image = {17, 123'456, 789, true, false, false, ""};
  status.memory = {654'321, 1 << 30, ""};
  status.queues = {3, 300, 1234};
  status.peers = {
      {ReplicaId(0), true, false, 12'345, {{"messages_out", 11}, {"dropped_would_block", 2}}},
      {ReplicaId(2), false, false, 0, {{"messages_out", 12}, {"dropped_would_block", 0}}}};
  status.counters = {
      {"core", {{"fast_path", 75}, {"slow_path_mismatch", 20}, {"slow_path_timer", 5}}},
      {"host", {{"commands_executed", 1000}, {"rejected_overloaded", 0}}},
      {"images", {{"made", 16}, {"failed", 5}}},
      {"peer_plane", {{"messages_in", 99}, {"refused_wrong_cluster", 7}}}};
  return status;
}

}  // namespace epaxos::testing
