#pragma once

// What a group that runs Raft must agree on beside its members.

namespace epaxos::compare::raft {

struct Options {
  /// Followers tell everybody how far their logs are durable, and each replica counts for itself
  /// what is committed: half a round trip less where the leader is not, for about n times the
  /// answers. It is what learn_from_all is in Multi-Paxos.
  bool learn_from_all = false;
};

}  // namespace epaxos::compare::raft
