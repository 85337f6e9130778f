#pragma once

// Which instances may run now, and in which order: iterative strongly connected components over
// what is recorded and decided here. An instance runs when its whole closure is decided; what
// blocks it is remembered, and nothing is looked at again before that has changed. Source:
// protocol.md 10.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "deps/types/dependencies.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "executor/execution_watch.h"
#include "executor/key_table.h"
#include "executor/row_window.h"
#include "executor/slot_list.h"

namespace epaxos::executor {

struct Blocker {
  InstanceId instance;
  WaitsFor what = WaitsFor::kPayload;

  friend constexpr auto operator<=>(const Blocker&, const Blocker&) = default;
};

/// Memory: one node an instance that is recorded, decided or waited for but not executed; executed
/// and Nop slots above the executed prefix of their row take four bytes.
class DependencyGraph {
 public:
  explicit DependencyGraph(int rows);

  /// Tells `watch` from now on, which outlives the graph; null: nobody.
  void watch(ExecutionWatch* watch) { watch_ = watch; }

  /// The payload of an instance is known. Idempotent.
  void record(InstanceId instance, const Footprint& footprint);

  /// The instance is decided with these dependencies. Precondition: recorded. Idempotent.
  /// Its own row of `dependencies` contains every earlier conflicting slot of the row (own-row
  /// rule).
  void decide(InstanceId instance, const Dependencies& dependencies);

  /// The instance is decided Nop, whether its payload is known or not. Idempotent.
  void decide_nop(InstanceId instance);

  /// An image of the state machine covers every slot of the row up to this one: they count as
  /// executed, whatever is known of them, and whoever waits is tried again by take_ready().
  /// Precondition: what an instance of the image depends on and conflicts with is in the image too,
  /// and is covered before the next take_ready(). Not inside take_ready(). Idempotent.
  /// Cost: linear in the nodes for the first call since take_ready() let somebody wait; then O(1) a
  /// slot that is known.
  void cover(ReplicaId row, Slot up_to);
  /// The same for one instance.
  void cover(InstanceId instance);

  /// Appends every instance that may run now, in the final order, and counts it as executed.
  void take_ready(std::vector<InstanceId>& out);

  /// Every slot of the row up to this one is executed or decided Nop.
  [[nodiscard]] Slot executed_up_to(ReplicaId row) const;
  /// Every slot of the row up to this one has a known payload or is decided.
  [[nodiscard]] Slot known_up_to(ReplicaId row) const;
  /// Executed, or decided Nop.
  [[nodiscard]] bool executed(InstanceId instance) const;

  /// Decided instances that are not executed yet.
  [[nodiscard]] std::size_t waiting() const { return waiting_; }
  /// What the waiting instances wait for, in ascending order, each once. Cost: linear in the nodes.
  void blockers(std::vector<Blocker>& out) const;

  /// Instances that ran as one component, at most; and how many components had three or more.
  [[nodiscard]] std::size_t largest_component() const { return largest_component_; }
  [[nodiscard]] std::uint64_t components_of_three() const { return components_of_three_; }

  /// Held by the nodes. Cost: linear in them.
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  using NodeIndex = std::uint32_t;
  static constexpr NodeIndex kNone = RowWindow::kNothing;
  /// In a row's window: executed or Nop.
  static constexpr NodeIndex kDone = kNone - 1;

  struct Node {
    InstanceId id;
    Footprint footprint;
    Dependencies dependencies;
    bool recorded = false;
    bool decided = false;
    bool on_stack = false;
    bool listed = false;    ///< On the list of somebody's waiters, or a root.
    bool findable = false;  ///< By its keys, or as a barrier.
    WaitsFor waits_for = WaitsFor::kPayload;
    std::uint32_t visit = 0;  ///< Order of the walk; 0: not reached by it.
    std::uint32_t low = 0;
    NodeIndex blocked_on = kNone;       ///< What the closure waits for; may be out of date.
    std::uint64_t blocked_on_life = 0;  ///< Nodes are used again: whose life was meant.
    std::uint64_t life = 0;
    NodeIndex first_waiter = kNone;  ///< Those to be tried again when this one is resolved.
    NodeIndex last_waiter = kNone;
    NodeIndex next_waiter = kNone;
  };

  struct Row {
    RowWindow window;
    Slot known;         ///< known_up_to().
    Slot findable;      ///< Recorded instances up to this one can be found by their keys.
    SlotList barriers;  ///< Waiting instances that touch everything.
  };

  /// One step of the walk: a node and the edges of it that are not followed yet.
  struct Frame {
    NodeIndex node = kNone;
    std::size_t edges_begin = 0;
  };

  [[nodiscard]] NodeIndex find(InstanceId id) const;
  NodeIndex find_or_add(InstanceId id);
  [[nodiscard]] bool is_done(InstanceId id) const;
  [[nodiscard]] bool is_known(InstanceId id) const;
  [[nodiscard]] bool resolved(NodeIndex blocker, std::uint64_t life, WaitsFor what) const;
  [[nodiscard]] bool all_executed(const Node& node) const;
  void leave(NodeIndex index);
  void finish(InstanceId id);
  void release(NodeIndex index);
  void advance_executed(ReplicaId row);
  void cover_node(NodeIndex index);
  void advance_known(ReplicaId row);
  void list_touches(Node& node, bool insert);
  void make_findable(ReplicaId row, Slot up_to);

  void make_root(NodeIndex index);
  void add_waiter(NodeIndex blocker, NodeIndex waiter);
  void move_waiters(NodeIndex from, NodeIndex to);
  void retry_waiters(NodeIndex blocker);
  void retry_all();

  void walk(NodeIndex root, std::vector<InstanceId>& out);
  void wait(NodeIndex root);
  void visit(NodeIndex index);
  bool collect_edges(NodeIndex index);
  bool collect_row(const Node& node, ReplicaId row);
  bool collect_slots(const SlotList& list, std::size_t from, std::size_t to, ReplicaId row,
                     const Node& node);
  bool add_edge(InstanceId to, const Node& from);
  bool step_into(NodeIndex from, NodeIndex to);
  void run_component(NodeIndex root, std::vector<InstanceId>& out);
  bool block(NodeIndex blocker, WaitsFor what);
  bool known_blocked(NodeIndex index);
  void abandon();
  void free_executed();

  std::vector<Row> rows_;
  KeyTable keys_;
  std::deque<Node> nodes_;
  std::vector<NodeIndex> free_;
  std::vector<NodeIndex> executed_;  ///< To be freed when the walk is over.
  std::deque<NodeIndex> roots_;
  bool all_roots_ = true;  ///< Nobody is on a list of waiters.
  std::size_t waiting_ = 0;
  std::uint64_t lives_ = 0;
  std::size_t largest_component_ = 0;
  std::uint64_t components_of_three_ = 0;
  ExecutionWatch* watch_ = nullptr;

  // Of the walk that runs.
  std::vector<Frame> frames_;
  std::vector<NodeIndex> stack_;
  std::vector<NodeIndex> edges_;
  std::vector<NodeIndex> component_;
  std::uint32_t visits_ = 0;
  NodeIndex blocker_ = kNone;
  WaitsFor blocker_what_ = WaitsFor::kPayload;
};

}  // namespace epaxos::executor
