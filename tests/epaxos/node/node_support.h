#pragma once

// Clusters of nodes in one process for tests, over loopback TCP, and what the tests of the node
// folder share: waiting without a clock, counting outcomes, holding a node's thread still.

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <stdlib.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/node/node.h"
#include "executor/key_value_machine.h"

namespace epaxos::testing {

/// Waits until `holds()`; false after a minute, which only protects against hanging.
template <class Condition>
bool eventually(Condition holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// The value, or the end of the test program.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << to_string(result.error().code) << ": " << result.error().message;
    std::abort();
  }
  return std::move(result).value();
}

inline Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What the key-value machine replied with, as text; empty when there was no value.
inline std::string value_of(Bytes reply) {
  return must(kv::decode_reply(reply)).value.value_or("");
}

/// An empty directory that is removed at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "epaxos-node-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

/// Keeps the ports of a cluster from other programs that look for free ones, until they are bound
/// and between two lives of a node. Whoever asks plainly finds them taken; ZeroMQ sets SO_REUSEADDR
/// as this does, and nobody listens here, so it may have them.
class PortsHeld {
 public:
  explicit PortsHeld(const ClusterConfig& config) {
    for (const ReplicaSettings& replica : config.replicas) {
      hold(replica.peer);
      hold(replica.client);
    }
  }
  ~PortsHeld() {
    for (const int socket : sockets_) ::close(socket);
  }
  PortsHeld(const PortsHeld&) = delete;
  PortsHeld& operator=(const PortsHeld&) = delete;

 private:
  void hold(const std::string& endpoint) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return;
    sockets_.push_back(socket);
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Where it fails somebody listens already, and opening the node says so.
    static_cast<void>(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  }

  std::vector<int> sockets_;
};

/// Counts outcomes. Any thread; a node may still count after the tally is gone, as one does that
/// stops at the end of a test.
class Tally {
 public:
  void count(const Outcome& outcome) { counts_->count(outcome); }
  OutcomeCallback counter() {
    return [counts = counts_](const Outcome& outcome) { counts->count(outcome); };
  }

  [[nodiscard]] int of(OutcomeKind kind) const {
    const std::scoped_lock lock(counts_->mutex);
    const auto found = counts_->kinds.find(kind);
    return found == counts_->kinds.end() ? 0 : found->second;
  }
  [[nodiscard]] int executed() const { return of(OutcomeKind::kExecuted); }
  [[nodiscard]] int rejected() const { return of(OutcomeKind::kRejected); }
  [[nodiscard]] int unknown() const { return of(OutcomeKind::kUnknown); }
  [[nodiscard]] int all() const { return executed() + rejected() + unknown(); }
  /// Of the outcomes that are not "executed".
  [[nodiscard]] int of(ErrorCode code) const {
    const std::scoped_lock lock(counts_->mutex);
    const auto found = counts_->codes.find(code);
    return found == counts_->codes.end() ? 0 : found->second;
  }
  /// The last one that was given.
  [[nodiscard]] std::string reason() const {
    const std::scoped_lock lock(counts_->mutex);
    return counts_->reason;
  }

 private:
  struct Counts {
    void count(const Outcome& outcome) {
      const std::scoped_lock lock(mutex);
      ++kinds[outcome.kind];
      if (outcome.kind == OutcomeKind::kExecuted) return;
      ++codes[outcome.code];
      reason = outcome.reason;
    }

    std::mutex mutex;
    std::map<OutcomeKind, int> kinds;
    std::map<ErrorCode, int> codes;
    std::string reason;
  };

  std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

/// Holds a node's thread between two turns, for as long as it lives or until release().
class Pause {
 public:
  explicit Pause(Node& node) {
    std::promise<void> held;
    std::future<void> is_held = held.get_future();
    holder_ = std::thread([this, &node, held = std::move(held)]() mutable {
      node.query([&](const StateMachine&) {
        held.set_value();
        released_.wait(false);
      });
    });
    is_held.wait();
  }
  ~Pause() { release(); }

  void release() {
    if (!holder_.joinable()) return;
    released_ = true;
    released_.notify_all();
    holder_.join();
  }

 private:
  std::atomic<bool> released_{false};
  std::thread holder_;
};

/// Up to nine nodes of one cluster, each over a key-value machine. Data directories, where the
/// durability wants them, live as long as the cluster.
class LocalCluster {
 public:
  using Change = std::function<void(NodeConfig&)>;

  /// `change` has the last word on the configuration of every node that is opened.
  explicit LocalCluster(int replica_count, Durability durability = Durability::kNone,
                        Change change = {})
      : config_(must(ClusterConfig::loopback("test", replica_count, durability))),
        change_(std::move(change)),
        nodes_(static_cast<std::size_t>(replica_count)) {
    ports_.emplace(config_);
  }

  /// All of them. Ports that were free may be taken by another program meanwhile: then others are.
  LocalCluster& open_all() {
    for (int tries = 0; !try_open_all(); ++tries) {
      if (tries == 20) std::abort();
      nodes_ = std::vector<std::unique_ptr<Node>>(nodes_.size());
      const auto fresh = must(ClusterConfig::loopback("test", replica_count()));
      config_.replicas = fresh.replicas;
      ports_.emplace(config_);
    }
    return *this;
  }
  Node& open(int replica) {
    auto& node = nodes_[static_cast<std::size_t>(replica)];
    node = must(try_open(replica));
    return *node;
  }
  Result<std::unique_ptr<Node>> try_open(int replica, const Change& change = {}) {
    NodeConfig config = node_config(replica);
    if (change) change(config);
    return Node::open(std::move(config), std::make_unique<KeyValueMachine>());
  }
  /// Destroys the node, as an embedder would at its end.
  void close(int replica) { nodes_[static_cast<std::size_t>(replica)].reset(); }

  Node& operator[](int replica) { return *nodes_[static_cast<std::size_t>(replica)]; }
  [[nodiscard]] int replica_count() const { return config_.replica_count(); }
  [[nodiscard]] ClusterConfig& config() { return config_; }
  [[nodiscard]] std::string directory(int replica) const { return root_ / std::to_string(replica); }
  [[nodiscard]] NodeConfig node_config(int replica) const {
    NodeConfig config;
    config.cluster = config_;
    config.self = ReplicaId(static_cast<std::uint16_t>(replica));
    if (config_.durability != Durability::kNone) config.data_directory = directory(replica);
    if (change_) change_(config);
    return config;
  }

  /// Waits until all open nodes are in the same state, which holds `key` with `value`.
  bool converges(std::string_view key, const std::string& value) {
    return eventually([&] {
      std::uint64_t digest = 0;
      bool first = true;
      for (auto& node : nodes_) {
        if (node == nullptr) continue;
        const bool has = node->query<KeyValueMachine>(
            [&](const KeyValueMachine& machine) { return machine.find(key) == value; });
        const std::uint64_t own = node->digest();
        if (!has || (!first && own != digest)) return false;
        digest = own;
        first = false;
      }
      return !first;
    });
  }

 private:
  bool try_open_all() {
    for (int i = 0; i < replica_count(); ++i) {
      auto node = try_open(i);
      if (!node && node.error().code == ErrorCode::kBusy) return false;
      nodes_[static_cast<std::size_t>(i)] = must(std::move(node));
    }
    return true;
  }

  TemporaryDirectory root_;
  ClusterConfig config_;
  Change change_;
  std::optional<PortsHeld> ports_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace epaxos::testing
