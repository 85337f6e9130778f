#pragma once

// What tests of the dependency graph share: random histories, what may run of them by the rules as
// they are written, and the final order by recursion over components. Source: protocol.md 10.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "executor/dependency_graph.h"

namespace epaxos::executor {

inline constexpr ReplicaId kA{0};
inline constexpr ReplicaId kB{1};
inline constexpr ReplicaId kC{2};

inline const Footprint kX = Footprint::write("x");
inline const Footprint kY = Footprint::write("y");
inline const Footprint kReadX = Footprint::read("x");

inline InstanceId id(ReplicaId row, std::uint64_t slot) {
  return {row, Slot(slot)};
}

inline std::vector<InstanceId> take(DependencyGraph& graph) {
  std::vector<InstanceId> out;
  graph.take_ready(out);
  return out;
}

inline std::vector<Blocker> blockers_of(const DependencyGraph& graph) {
  std::vector<Blocker> out;
  graph.blockers(out);
  return out;
}

struct Fact {
  Footprint footprint;
  Dependencies dependencies;
  bool nop = false;
  bool never_recorded = false;  ///< Of Nops only.
};
using History = std::map<InstanceId, Fact>;

/// What a replica knows, and the rules of protocol.md 10 as they are written.
class Reference {
 public:
  explicit Reference(int rows) : rows_(rows) {}

  void record(InstanceId i, const Footprint& f) { known_[i].footprint = f; }
  void decide(InstanceId i, const Dependencies& d) { known_[i].dependencies = d; }
  void decide_nop(InstanceId i) { known_[i].nop = true; }

  /// Whether all of the closure of `root` is decided.
  [[nodiscard]] bool ready(InstanceId root) const {
    std::set<InstanceId> seen{root};
    std::vector<InstanceId> todo{root};
    while (!todo.empty()) {
      const InstanceId at = todo.back();
      todo.pop_back();
      if (done_.contains(at)) continue;
      const auto edges = edges_of(at);
      if (!edges) return false;
      for (const InstanceId& to : *edges) {
        if (seen.insert(to).second) todo.push_back(to);
      }
    }
    return true;
  }

  void run(InstanceId i) { done_.insert(i); }
  [[nodiscard]] bool ran(InstanceId i) const { return done_.contains(i); }
  [[nodiscard]] bool decided(InstanceId i) const {
    const auto found = known_.find(i);
    return found != known_.end() && found->second.dependencies.has_value();
  }

 private:
  struct Known {
    std::optional<Footprint> footprint;
    std::optional<Dependencies> dependencies;
    bool nop = false;
  };

  [[nodiscard]] std::optional<std::vector<InstanceId>> edges_of(InstanceId v) const {
    const Known& node = known_.at(v);
    if (!node.dependencies) return std::nullopt;
    std::vector<InstanceId> edges;
    for (std::uint16_t row = 0; row < rows_; ++row) {
      for (std::uint64_t s = 1; s <= (*node.dependencies)[ReplicaId(row)].value(); ++s) {
        const InstanceId w{ReplicaId(row), Slot(s)};
        if (w == v || done_.contains(w)) continue;
        const auto found = known_.find(w);
        if (found == known_.end()) return std::nullopt;
        if (found->second.nop) continue;
        if (!found->second.footprint) return std::nullopt;
        if (!conflicts(*node.footprint, *found->second.footprint)) continue;
        if (!found->second.dependencies) return std::nullopt;
        edges.push_back(w);
      }
    }
    return edges;
  }

  int rows_;
  std::map<InstanceId, Known> known_;
  std::set<InstanceId> done_;
};

/// The final order of a complete history, by recursion over components of all edges.
class FinalOrder {
 public:
  FinalOrder(const History& history, int rows) : history_(history), rows_(rows) {
    for (const auto& [instance, fact] : history) {
      if (!fact.nop && !index_.contains(instance)) visit(instance);
    }
  }

  /// The component of each instance; a lower number runs first.
  std::map<InstanceId, std::size_t> component;

 private:
  void visit(InstanceId v) {
    index_[v] = low_[v] = index_.size();
    stack_.push_back(v);
    on_stack_.insert(v);
    const Fact& fact = history_.at(v);
    for (std::uint16_t row = 0; row < rows_; ++row) {
      for (std::uint64_t s = 1; s <= fact.dependencies[ReplicaId(row)].value(); ++s) {
        const InstanceId w{ReplicaId(row), Slot(s)};
        const auto found = history_.find(w);
        if (w == v || found == history_.end() || found->second.nop) continue;
        if (!conflicts(fact.footprint, found->second.footprint)) continue;
        if (!index_.contains(w)) {
          visit(w);
          low_[v] = std::min(low_[v], low_[w]);
        } else if (on_stack_.contains(w)) {
          low_[v] = std::min(low_[v], index_[w]);
        }
      }
    }
    if (low_[v] != index_[v]) return;
    while (true) {
      const InstanceId w = stack_.back();
      stack_.pop_back();
      on_stack_.erase(w);
      component[w] = components_;
      if (w == v) break;
    }
    ++components_;
  }

  const History& history_;
  int rows_;
  std::map<InstanceId, std::size_t> index_;
  std::map<InstanceId, std::size_t> low_;
  std::vector<InstanceId> stack_;
  std::set<InstanceId> on_stack_;
  std::size_t components_ = 0;
};

class RandomHistory {
 public:
  explicit RandomHistory(std::uint64_t seed) : random_(seed) {
    rows = 1 + static_cast<int>(pick(4));
    slots_ = 1 + pick(6);
    keys_ = 1 + pick(3);
    for (std::uint16_t row = 0; row < rows; ++row) {
      for (std::uint64_t slot = 1; slot <= slots_; ++slot) add({ReplicaId(row), Slot(slot)});
    }
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  std::mt19937_64& random() { return random_; }

  History history;
  int rows = 1;

 private:
  void add(InstanceId instance) {
    Fact& fact = history[instance];
    fact.nop = pick(6) == 0;
    fact.never_recorded = fact.nop && pick(2) == 0;
    const std::uint64_t touched = pick(8) == 0 ? 0 : 1 + pick(2);
    if (pick(12) == 0) fact.footprint = Footprint::everything();
    for (std::uint64_t i = 0; i < touched; ++i) {
      const std::uint64_t key = 2 * (1 + pick(keys_));
      fact.footprint.add(pick(3) == 0 ? Access::read(key) : Access::write(key));
    }
    fact.dependencies = Dependencies(rows);
    for (std::uint16_t row = 0; row < rows; ++row) {
      fact.dependencies[ReplicaId(row)] = Slot(pick(slots_ + 1));
    }
    // The own-row rule: every earlier conflicting slot of the row, and nothing later.
    Slot own;
    for (std::uint64_t s = 1; s < instance.slot.value(); ++s) {
      const Fact& earlier = history.at({instance.row, Slot(s)});
      if (conflicts(earlier.footprint, fact.footprint)) own = Slot(s);
    }
    fact.dependencies[instance.row] = own;
  }

  std::mt19937_64 random_;
  std::uint64_t slots_ = 1;
  std::uint64_t keys_ = 1;
};

}  // namespace epaxos::executor
