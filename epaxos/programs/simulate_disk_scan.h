#pragma once

// Looks through all disks as a whole, now and then: what the other checkers hold message by message
// must also be true of the records that have come together. Decisions are equal everywhere and stay
// (I1, I2), payloads are equal (I8), a ballot has one value (I4), decisions and votes include what
// the owner proposed, and of two conflicting first votes of a replica one knows the other (I6).
// Source: protocol.md 9.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "epaxos/programs/simulate_disk_view.h"
#include "epaxos/sim/cluster.h"

namespace epaxos {

/// What all disks together say, and what of it cannot be.
class DiskFacts {
 public:
  /// Of a group of `n` replicas.
  explicit DiskFacts(int n) : n_(n) {}

  /// Adds what one disk holds. May be called again with what it holds later.
  /// Cost: one look at each record; for a new first vote one at every other one on its keys.
  void add(ReplicaId replica, const sim::VirtualDisk::Image& image);

  /// A sentence each; the first few.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  using Value = std::pair<bool, Dependencies>;  ///< Nop, or the dependencies.
  struct Payload {
    Dependencies initial;
    std::vector<std::byte> block;

    bool operator==(const Payload&) const = default;
  };
  struct FirstVote {
    Dependencies dependencies;
    Footprint footprint;
  };
  struct NewVote {
    InstanceId id;
    FirstVote vote;
  };

  void add_instance(ReplicaId replica, const InstanceId& id, const DurableInstance& on_disk);
  void expect_known(ReplicaId replica, const InstanceId& id, const FirstVote& vote,
                    const std::vector<InstanceId>& others);
  void add_first_vote(ReplicaId replica, const InstanceId& id, FirstVote vote);
  template <class Key, class Fact>
  void same(std::map<Key, Fact>& facts, const Key& key, const Fact& fact, ReplicaId replica,
            const InstanceId& id, const char* what);
  void wrong(ReplicaId replica, const InstanceId& id, const char* what);

  const int n_;
  std::map<InstanceId, Value> decisions_;
  std::map<InstanceId, Payload> payloads_;
  std::map<std::pair<InstanceId, Ballot>, Value> votes_;
  std::map<std::pair<ReplicaId, InstanceId>, FirstVote> first_votes_;
  std::map<std::pair<ReplicaId, std::uint64_t>, OnKey> on_key_;
  std::vector<NewVote> new_votes_;  // Scratch of add().
  std::vector<std::string> violations_;
};

/// Every 10,000 events, and at the end.
class DiskScan : public sim::Checker {
 public:
  explicit DiskScan(sim::Cluster& cluster) : cluster_(cluster), facts_(cluster.size()) {}

  [[nodiscard]] std::string_view name() const override { return "scan"; }
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;
  void finish() override;
  [[nodiscard]] std::vector<std::string> violations() const override { return facts_.violations(); }

 private:
  static constexpr std::uint64_t kEvents = 10'000;

  sim::Cluster& cluster_;
  DiskFacts facts_;
  std::uint64_t next_ = kEvents;
};

}  // namespace epaxos
