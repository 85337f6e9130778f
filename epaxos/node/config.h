#pragma once

// What a cluster is: its name, its replicas and their addresses, how durable it is, its limits and
// timers. One file in TOML serves all replicas. Reading is strict: what is not understood is an
// error that names the file, the line, the key and what to do. Source: docs/architecture.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/replica_set.h"
#include "deps/types/result.h"
#include "epaxos/contract/core.h"
#include "epaxos/storage/store.h"
#include "net/emulated_links.h"
#include "net/wire.h"

namespace epaxos {

/// One replica of the cluster file; its place in the list is its id.
struct ReplicaSettings {
  std::string peer;    ///< Where the other replicas reach it: "tcp://HOST:PORT".
  std::string client;  ///< Where clients reach it; empty: it serves none.
  std::string site;    ///< For people: the place or the data centre. May be empty.
  /// False: a spare, which does not belong to the group at its beginning. Only in a protocol whose
  /// members can change.
  bool member = true;
};

struct ClusterConfig {
  std::string name;     ///< 1 .. 64 characters.
  net::ClusterId id{};  ///< From the name, unless the file gives one.
  std::vector<ReplicaSettings> replicas;
  Durability durability = Durability::kSync;
  std::optional<Reads> reads;  ///< None: as the protocol does it.
  /// Limits and timers. Who the replica is (self, replica_count, voting, seed) is the node's to
  /// fill in.
  CoreConfig core;
  std::size_t pending_max = 64 * 1024;  ///< Proposals of one replica without an outcome.
  /// Bytes of records after which a replica makes an image of its state; more when that is larger.
  std::uint64_t image_log_bytes = std::uint64_t{64} << 20;
  Tick session_ttl_us = 3'600'000'000;  ///< A session that nobody used for so long is forgotten.
  /// What replicas say to each other is slowed down like this, for experiments.
  std::optional<net::EmulatedNetwork> emulation;
  /// What is allowed but may surprise, as sentences for the operator.
  std::vector<std::string> notes;

  /// Reads a cluster file. Errors: invalid argument.
  static Result<ClusterConfig> load(const std::string& path);

  /// The same from text; `path` is what errors call it.
  static Result<ClusterConfig> parse(std::string_view text, std::string_view path);

  /// Replicas in one machine, on TCP ports of 127.0.0.1 that are free now. For tests and examples.
  /// Errors: invalid argument - not 1 .. 9 replicas; unavailable - no free ports.
  static Result<ClusterConfig> loopback(std::string name, int replica_count,
                                        Durability durability = Durability::kNone);

  /// What load() checks: counts, addresses, ranges. For a configuration made by hand; it also fills
  /// an id that is all zero, and the notes. Errors: invalid argument.
  Result<void> complete();

  /// Whether the protocol can do what the configuration wishes for. Errors: invalid argument.
  [[nodiscard]] Result<void> check_for(const Protocol& protocol) const;

  [[nodiscard]] int replica_count() const { return static_cast<int>(replicas.size()); }
  /// Those that say "member = false".
  [[nodiscard]] ReplicaSet spares() const;

  /// What all replicas must agree on, beside the cluster's id: how many they are, which of them are
  /// spares, and which protocol they speak. Addresses may differ, as machines may see each other
  /// under different ones.
  [[nodiscard]] std::uint64_t configuration_hash(std::string_view protocol) const;

  /// The whole configuration as a commented file that load() accepts.
  [[nodiscard]] std::string to_toml() const;
};

/// The id of a cluster that is known by its name alone.
net::ClusterId cluster_id_of(std::string_view name);

/// "log", "index", "lease", and back. Errors: invalid argument.
std::string_view to_string(Reads reads);
Result<Reads> reads_from(std::string_view word);

/// 32 hexadecimal digits, and back.
std::string to_string(const net::ClusterId& id);
Result<net::ClusterId> cluster_id_from(std::string_view digits);

}  // namespace epaxos
