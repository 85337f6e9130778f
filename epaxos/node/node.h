#pragma once

// What an embedder uses: one replica of a cluster with its own thread, proposing from any thread
// and applying to the embedder's state machine. Every proposal ends in exactly one outcome. The
// node never exits the process, prints nothing and touches no signal. Source: docs/architecture.md.

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "deps/types/check.h"
#include "deps/types/command.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/result.h"
#include "deps/types/session.h"
#include "epaxos/contract/core.h"
#include "epaxos/node/config.h"
#include "epaxos/node/status.h"
#include "executor/state_machine.h"

namespace epaxos {

struct NodeConfig {
  // Every member has a default, so that a configuration names only what it wants, without a
  // warning.
  ClusterConfig cluster = {};
  ReplicaId self = {};
  /// Where this replica keeps what it promised. May be empty at durability "none": then nothing
  /// tells a second run from a first one, so start no replica twice in a cluster that lives on.
  std::string data_directory = {};
  /// Vote although memory was lost. Agreement may break; for experiments.
  bool unsafe_rejoin = false;
  /// Which protocol decides; EPaxos when empty.
  std::optional<Protocol> protocol = {};

  /// Slows down what this replica sends, in place of cluster.emulation: for who wants to change it
  /// while the node runs. Outlives the node.
  const net::LinkTable* links = nullptr;

  std::string peer_bind_address = {};    ///< When it is not the one in the cluster's list.
  std::string client_bind_address = {};  ///< As above; "tcp://127.0.0.1:*" is any free port.

  std::size_t submitted_max =
      64 * 1024;  ///< Proposals not yet taken by the loop; then: overloaded.
  std::size_t submitted_bytes_max = std::size_t{64} << 20;  ///< Their payloads.
  Tick drain_us = 2'000'000;  ///< How long stop() waits for outcomes before they are "unknown".
  Tick spin_us =
      0;  ///< How long the loop asks before it sleeps; for cores with nothing else to do.

  /// What a client that asks for the status gets, "kStatus" of net/client_message.h; without it the
  /// request is refused. Runs on the loop's thread.
  std::function<std::string(const NodeStatus&)> format_status = {};
  /// The same for who asks about instances, "kExplain".
  std::function<std::string(std::span<const InstanceHistory>)> format_history = {};
  /// Called once when the node stops by itself because it can no longer persist; `reason` is a
  /// sentence. Runs on the loop's thread; calling stop() here is fine, destroying the node is not.
  std::function<void(std::string_view reason)> on_failure = {};
};

/// An outcome that owns what it says.
struct OwnedOutcome {
  OutcomeKind kind = OutcomeKind::kUnknown;
  std::vector<std::byte> reply;              ///< Of kExecuted.
  ErrorCode code = ErrorCode::kUnavailable;  ///< Of the other two: why.
  std::string reason;                        ///< Of the other two: a sentence.
  Tick execution_wait_us = 0;                ///< See Outcome.
};

/// Runs on the node's thread, exactly once, and must neither block nor throw. The outcome's views
/// live as long as the call. It may propose again, query and stop the node.
using OutcomeCallback = std::function<void(const Outcome&)>;

/// One command of a batch.
struct BatchItem {
  Bytes payload;
  std::optional<Footprint> footprint;  ///< Empty: the machine's admit() says it.
  OutcomeCallback done;
};

class Session;

class Node {
 public:
  /// Restores what is on disk, binds the addresses and starts the thread.
  ///
  /// Errors: invalid argument - the configuration; busy - an address or the data directory is in
  /// use; wrong identity - the directory of another cluster or replica; corrupted, out of space, io
  /// - the disk. The sentence says what to do.
  static Result<std::unique_ptr<Node>> open(NodeConfig config,
                                            std::unique_ptr<StateMachine> machine);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  /// Stops, if stop() was not called. Precondition: not on the node's own thread.
  ~Node();

  /// Proposes a command, from any thread. `payload` is copied. Never blocks. Either an error is
  /// returned and `done` never runs, or `done` runs exactly once, on the node's thread.
  ///
  /// Errors, all of them "certainly not executed": overloaded - too much is submitted already;
  ///         stopped - the node stops or has stopped; too large - over kPayloadBytesMax.
  /// Units:  `timeout_us` from now; past it the outcome is rejected if the command was not proposed
  ///         yet, else unknown.
  /// Cost:   a lock and perhaps a wake-up; neither on the node's own thread.
  Result<void> propose(const Footprint& footprint, Bytes payload, Tick timeout_us,
                       OutcomeCallback done);

  /// The same; what the command touches is what the machine's admit() says.
  Result<void> propose(Bytes payload, Tick timeout_us, OutcomeCallback done);

  /// The same with a future; an error is the outcome "rejected". Waiting for it on the node's own
  /// thread would never end.
  std::future<OwnedOutcome> propose(const Footprint& footprint, Bytes payload,
                                    Tick timeout_us = kNever);
  std::future<OwnedOutcome> propose(Bytes payload, Tick timeout_us = kNever);

  /// Proposes several with one lock and one wake-up: all of them or, with an error, none. Each has
  /// its own outcome. Errors: as above; too large - more than NodeConfig::submitted_max.
  Result<void> propose_batch(std::span<const BatchItem> items, Tick timeout_us = kNever);

  /// A session: what is proposed in it takes effect once, even if it is proposed again because its
  /// outcome was unknown, here or at another node. See session.h, which must be included.
  [[nodiscard]] std::unique_ptr<Session> session();

  /// Runs `read` between two batches and waits for it: a local, possibly stale read. Works on a
  /// stopped node too. What `read` throws is thrown here.
  void query(const std::function<void(const StateMachine&)>& read);

  /// The same with the machine's own type; returns what `read` returns.
  /// Precondition: the machine given to open() is a `Machine`.
  template <class Machine, class Read>
  auto query(Read&& read) {
    using Value = std::invoke_result_t<Read, const Machine&>;
    if constexpr (std::is_void_v<Value>) {
      query([&](const StateMachine& any) { read(machine_as<Machine>(any)); });
    } else {
      std::optional<Value> value;
      query([&](const StateMachine& any) { value.emplace(read(machine_as<Machine>(any))); });
      return std::move(*value);
    }
  }

  /// The digest of the machine and the sessions, between two batches: the machine's own while no
  /// session was ever opened.
  [[nodiscard]] std::uint64_t digest();
  [[nodiscard]] NodeStatus status();
  /// What happened when to an instance, as far as this replica knows. Errors: see Core::history().
  [[nodiscard]] Result<InstanceHistory> history(const InstanceId& id);
  /// Makes an image of the state soon, whatever was logged since the last one. Returns at once:
  /// NodeStatus::image tells when a newer one is durable, or why it could not be made.
  void request_image();

  /// Stops: refuses what is new, waits up to NodeConfig::drain_us for what is under way, ends what
  /// is left as unknown, flushes the store and marks the directory clean, in this order.
  /// Idempotent; on the node's own thread it only begins. Errors: what could not be written. The
  /// directory is then not marked clean.
  Result<void> stop();

  [[nodiscard]] const std::string& peer_address() const;
  [[nodiscard]] const std::string& client_address() const;  ///< Empty without a client plane.

 private:
  friend class Session;
  struct Parts;
  explicit Node(std::unique_ptr<Parts> parts);

  /// For Session. `opens`: an opening of the session goes ahead of the command.
  Result<void> propose_in_session(const SessionRequest& request, bool opens, Bytes payload,
                                  Tick timeout_us, OutcomeCallback done);
  void tell_about_session(SessionOperation operation, std::uint64_t session);

  template <class Machine>
  static const Machine& machine_as(const StateMachine& any) {
    const auto* const machine = dynamic_cast<const Machine*>(&any);
    check(machine != nullptr, "the node's state machine is of another type than the query's");
    return *machine;
  }

  std::unique_ptr<Parts> parts_;
};

}  // namespace epaxos
