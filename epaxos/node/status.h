#pragma once

// What a node tells about itself, as plain values: who it is, how far it is, what waits, and every
// counter. Printing it is the business of whoever asked.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/ids.h"
#include "epaxos/contract/core.h"
#include "epaxos/storage/store.h"

namespace epaxos {

enum class NodeState {
  kRunning,
  kStopping,  ///< Takes no proposals any more, and waits for those that are under way.
  kStopped,   ///< By stop(), or because it cannot persist; see NodeStatus::stop_reason.
};

std::string_view to_string(NodeState state);

struct StoreStatus {
  std::string state;  ///< "ready", "full", "failed", or "memory".
  std::string error;  ///< The last trouble, as a sentence; empty when there was none.
  BatchNumber durable_batch = 0;
  std::uint64_t pending_bytes = 0;
  std::uint64_t transactions = 0;  ///< 0 without a disk.
  std::uint64_t used_bytes = 0;    ///< By records; free pages of the file do not count.
  std::uint64_t limit_bytes = 0;   ///< What they may take at most; 0: nobody knows.
  std::string warning;             ///< A sentence when that is soon reached; empty else.
};

/// Memory of commands that are undecided, or that some member has not executed yet.
struct MemoryStatus {
  std::uint64_t held_bytes = 0;
  std::uint64_t limit_bytes = 0;
  std::string warning;  ///< A sentence when that is soon reached; empty else.
};

/// The images of the state that this replica keeps, so that a start begins near the end and older
/// records may go.
struct StateImageStatus {
  std::uint64_t number = 0;     ///< Of the one that the next start begins with; 0: none yet.
  std::uint64_t bytes = 0;      ///< Its size.
  std::uint64_t log_bytes = 0;  ///< Of records since then.
  bool making = false;
  bool fetching = false;  ///< That of a peer.
  /// The next one was asked for, and is made some seconds after a peer has the last one.
  bool waits_for_peer = false;
  std::string trouble;  ///< Why the last one could not be made or installed; empty: it could.
};

struct QueueStatus {
  std::size_t submitted = 0;        ///< Proposals that the loop has not taken yet.
  std::size_t submitted_bytes = 0;  ///< Their payloads.
  std::size_t pending = 0;          ///< Proposals without an outcome.
};

struct PeerStatus {
  ReplicaId replica;
  bool connected = false;
  /// What it says is refused, as it runs with another cluster file or protocol. Not connected then.
  bool is_stranger = false;
  /// Executed here and, as far as is known, not there. The largest one holds back the floor.
  std::uint64_t lacks_instances = 0;
  std::vector<Counter> counters;
};

/// Counters of one part of the node: "core", "host", "images", "node", "peer_plane",
/// "client_plane".
struct CounterGroup {
  std::string_view name;  ///< Static storage.
  std::vector<Counter> counters;
};

struct NodeStatus {
  ReplicaId self;
  int replica_count = 0;
  std::string cluster;
  std::string site;
  std::string protocol;
  NodeState state = NodeState::kRunning;
  std::string stop_reason;
  std::string role;                 ///< The protocol's word: "voting", "non-voting", "leader", ...
  bool has_leader = false;          ///< Whether one replica of the protocol leads the others.
  std::optional<ReplicaId> leader;  ///< Who does, as far as this one knows.
  std::optional<MemberStatus> members;  ///< Where they can change: as far as this one knows.
  bool voting = true;
  std::string non_voting_reason;  ///< Why not, and what to do; empty when it votes.
  Durability durability = Durability::kSync;
  std::uint64_t incarnation = 0;
  Tick uptime_us = 0;
  std::string peer_address;
  std::string client_address;  ///< Empty without a client plane.

  std::vector<RowStatus> rows;
  StoreStatus store;
  MemoryStatus memory;
  StateImageStatus image;
  QueueStatus queues;
  std::vector<PeerStatus> peers;  ///< All replicas but this one.
  std::vector<CounterGroup> counters;

  /// The value of a counter, or 0 when there is none of that name.
  [[nodiscard]] std::uint64_t counter(std::string_view group, std::string_view name) const;
};

}  // namespace epaxos
