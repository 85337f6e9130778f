#pragma once

// Proposals that take effect once, for programs that hold nodes themselves: a session numbers them,
// and what is unknown may be proposed again, at this node or another one, under the same number.
// Source: docs/protocol.md 16.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/result.h"
#include "epaxos/node/node.h"

namespace epaxos {

/// Any thread may use it. It is opened with the first proposal, and forgotten by the replicas when
/// nobody used it for ClusterConfig::session_ttl_us; then proposals are rejected as "unknown
/// session", and a new one is needed.
class Session {
 public:
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Tells the node that nothing comes any more, and does not wait.
  /// Precondition: every proposal has its outcome; a node that was stopped has told all of its own.
  /// The node is still there.
  ~Session();

  /// Proposes a command of the session at its node. Returns its name, for propose_again().
  ///
  /// Errors: those of Node::propose(); overloaded - too many numbers have no certain outcome.
  /// Outcome: executed - it took effect, once. Rejected - this proposal was not executed; if an
  ///          earlier one of the same name was unknown, it still is. Unknown - propose it again, or
  ///          give_up() it.
  Result<CommandId> propose(Bytes payload, Tick timeout_us, OutcomeCallback done);

  /// Proposes the same command again, at any node of the cluster. The payload is that of the first
  /// time; if it took effect already, the outcome is executed with the reply from then.
  /// Errors: those of Node::propose(); invalid argument - the name is not of this session, or has
  /// its outcome for good: it was executed, rejected or given up.
  Result<void> propose_again(Node& node, CommandId id, Bytes payload, Tick timeout_us,
                             OutcomeCallback done);

  /// The command is never proposed again, although nobody knows whether it took effect.
  void give_up(CommandId id);

  [[nodiscard]] std::uint64_t id() const { return id_; }

 private:
  friend class Node;
  Session(Node& node, std::uint64_t id) : node_(node), id_(id) {}

  /// A number whose outcome is not certain yet.
  struct Number {
    int under_way = 0;     ///< Proposals without an outcome.
    bool unknown = false;  ///< One of them ended so.
  };

  Result<void> submit(Node& node, CommandId id, Bytes payload, Tick timeout_us,
                      OutcomeCallback done);
  void on_outcome(CommandId id, const Outcome& outcome);
  [[nodiscard]] std::uint64_t acknowledged_up_to() const;

  Node& node_;
  const std::uint64_t id_;
  mutable std::mutex mutex_;
  bool open_ = false;                        // A command of it was executed.
  std::uint64_t under_way_ = 0;              // Proposals without an outcome.
  std::uint64_t last_ = 0;                   // The highest number that was given.
  std::map<std::uint64_t, Number> numbers_;  // Without a certain outcome.
};

}  // namespace epaxos
