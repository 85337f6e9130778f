#pragma once

// What a virtual disk holds about one instance, read with the real codec. For checkers: they know
// nothing that the disk does not.

#include <cstddef>
#include <optional>
#include <vector>

#include "deps/types/dependencies.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/record.h"
#include "epaxos/sim/disk.h"

namespace epaxos {

struct DurableInstance {
  bool recorded = false;
  bool pre_accepted = false;
  bool voted = false;
  bool vote_nop = false;
  bool decided = false;
  bool decided_nop = false;
  Dependencies initial;
  Dependencies pre_accept_dependencies;
  Dependencies vote_dependencies;
  Dependencies decision;
  Ballot ballot;
  Ballot accepted_ballot;
  std::vector<std::byte> block;

  /// Nothing at all is there.
  [[nodiscard]] bool is_empty() const {
    return !recorded && !pre_accepted && !voted && !decided && ballot == kInitialBallot;
  }
};

/// The instances that were noted on a key: who includes them all need not be held against each.
class OnKey {
 public:
  explicit OnKey(int n) : writing_(n), all_(n) {}

  void add(const InstanceId& id, Access access) {
    ids_.push_back(id);
    all_.raise(id.row, id.slot);
    if (access.writes()) writing_.raise(id.row, id.slot);
  }
  /// Whether these dependencies include every one that conflicts with this access.
  [[nodiscard]] bool all_in(const Dependencies& dependencies, Access access) const {
    return dependencies.includes(access.writes() ? all_ : writing_);
  }
  [[nodiscard]] const std::vector<InstanceId>& ids() const { return ids_; }

 private:
  std::vector<InstanceId> ids_;
  Dependencies writing_;
  Dependencies all_;
};

/// Precondition: the records are those that a replica of a group of `n` wrote.
[[nodiscard]] DurableInstance durable_instance(const sim::VirtualDisk::Image& image, int n,
                                               const InstanceId& id);
/// Whether anything about the instance is there.
[[nodiscard]] bool has_records(const sim::VirtualDisk::Image& image, const InstanceId& id);
/// Whether the decision is there.
[[nodiscard]] bool is_decided(const sim::VirtualDisk::Image& image, const InstanceId& id);

/// Up to where records may be gone from the disk of this replica.
[[nodiscard]] Dependencies durable_floor(const sim::VirtualDisk& disk, int n, ReplicaId self);
/// The coverage of the state that a start there would begin with, in bytes of the protocol: that of
/// an image, or of what the state machine keeps itself. Empty: there is none.
[[nodiscard]] std::vector<std::byte> durable_coverage_bytes(const sim::VirtualDisk& disk);
/// What the state covers that a start there would begin with, if there is one.
[[nodiscard]] std::optional<protocol::Coverage> durable_coverage(const sim::VirtualDisk& disk,
                                                                 int n);
/// Whether the coverage has it, or all were executed before.
[[nodiscard]] bool covers(const protocol::Coverage& coverage, const InstanceId& id);

}  // namespace epaxos
