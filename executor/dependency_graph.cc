#include "executor/dependency_graph.h"

#include <algorithm>
#include <utility>

#include "deps/types/mutant.h"

namespace epaxos::executor {
DependencyGraph::DependencyGraph(int rows) : rows_(static_cast<std::size_t>(rows)), keys_(rows) {
  check(rows >= 1 && rows <= kReplicasMax, "a group has 1 .. 9 rows");
}

// ---- What is known ----

DependencyGraph::NodeIndex DependencyGraph::find(InstanceId id) const {
  const NodeIndex index = rows_[id.row.value()].window[id.slot];
  return index == kDone ? kNone : index;
}

bool DependencyGraph::is_done(InstanceId id) const {
  const RowWindow& window = rows_[id.row.value()].window;
  return id.slot <= window.base() || window[id.slot] == kDone;
}

/// Precondition: not done.
DependencyGraph::NodeIndex DependencyGraph::find_or_add(InstanceId id) {
  const NodeIndex found = find(id);
  if (found != kNone) return found;
  NodeIndex index = 0;
  if (free_.empty()) {
    index = static_cast<NodeIndex>(nodes_.size());
    nodes_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
    nodes_[index] = Node{};
  }
  nodes_[index].id = id;
  nodes_[index].life = ++lives_;
  rows_[id.row.value()].window.set(id.slot, index);
  return index;
}

void DependencyGraph::list_touches(Node& node, bool insert) {
  node.findable = insert;
  SlotList& barriers = rows_[node.id.row.value()].barriers;
  if (node.footprint.is_everything()) {
    insert ? barriers.insert(node.id.slot) : barriers.erase(node.id.slot);
  }
  constexpr std::size_t kStage = 4;  // Accesses between two stages of fetching.
  const std::span<const Access> accesses = node.footprint.accesses();
  for (std::size_t i = 0; i < accesses.size(); ++i) {
    if (i + 2 * kStage < accesses.size()) keys_.prefetch_place(accesses[i + 2 * kStage]);
    if (i + kStage < accesses.size()) keys_.prefetch_list(node.id, accesses[i + kStage]);
    insert ? keys_.insert(node.id, accesses[i]) : keys_.erase(node.id, accesses[i]);
  }
}

/// Somebody may depend on instances of the row up to this one. Most run before anybody does, and
/// need not be listed at all.
void DependencyGraph::make_findable(ReplicaId which, Slot up_to) {
  Row& row = rows_[which.value()];
  const Slot from = std::max(row.findable, row.window.base());
  for (Slot slot = from.next(); slot <= up_to; slot = slot.next()) {
    const NodeIndex index = row.window[slot];
    const bool is_recorded = index != kDone && index != kNone && nodes_[index].recorded;
    if (is_recorded) list_touches(nodes_[index], true);
  }
  row.findable = std::max(from, up_to);
}

void DependencyGraph::record(InstanceId instance, const Footprint& footprint) {
  if (is_done(instance)) return;
  const NodeIndex index = find_or_add(instance);
  Node& node = nodes_[index];
  if (node.recorded) return;
  node.recorded = true;
  node.footprint = footprint;
  if (instance.slot <= rows_[instance.row.value()].findable) list_touches(node, true);
  advance_known(instance.row);
  retry_waiters(index);  // Whoever waits for it now waits for its payload.
}

void DependencyGraph::decide(InstanceId instance, const Dependencies& dependencies) {
  if (is_done(instance)) return;
  const NodeIndex index = find(instance);
  check(index != kNone && nodes_[index].recorded, "an instance was decided before it was recorded");
  Node& node = nodes_[index];
  if (node.decided) return;
  check(dependencies.rows() == static_cast<int>(rows_.size()), "dependencies of another group");
  node.decided = true;
  node.dependencies = dependencies;
  ++waiting_;
  // Its own waiters stay with it: they can run no sooner than it is known what it waits for.
  make_root(index);
}

void DependencyGraph::decide_nop(InstanceId instance) {
  if (is_done(instance)) return;
  const NodeIndex index = find_or_add(instance);
  Node& node = nodes_[index];
  if (mutant(Mutant::kNopWithoutPayloadBlocks) && !node.recorded) return;
  check(!node.decided, "an instance was decided twice, and differently");
  leave(index);
  finish(instance);
  release(index);
}

// What is covered may be anywhere: unknown, waited for, a root, on the list of somebody's waiters.
// The lists lead one way only, and what the walks remember ("blocked on") may lead through an
// instance that is covered now. So everything that waits is a root again, and nothing is
// remembered, before the first one leaves.

void DependencyGraph::cover(ReplicaId which, Slot up_to) {
  RowWindow& window = rows_[which.value()].window;
  if (up_to <= window.base()) return;
  retry_all();
  window.jump(up_to, [this](NodeIndex index) {
    if (index != kDone) cover_node(index);
  });
  advance_executed(which);
}

void DependencyGraph::cover(InstanceId instance) {
  if (is_done(instance)) return;
  retry_all();
  const NodeIndex index = find(instance);
  if (index != kNone) cover_node(index);
  finish(instance);
}

void DependencyGraph::cover_node(NodeIndex index) {
  leave(index);
  if (!nodes_[index].decided) return release(index);
  // A root: take_ready() finds it done, and frees it after that.
  --waiting_;
  executed_.push_back(index);
}

/// Nobody finds the node any more, nor waits for it.
void DependencyGraph::leave(NodeIndex index) {
  Node& node = nodes_[index];
  if (node.findable) list_touches(node, false);
  retry_waiters(index);
}

/// The node may be used again; a large footprint gives its memory back at once.
void DependencyGraph::release(NodeIndex index) {
  nodes_[index].life = 0;
  nodes_[index].footprint = Footprint();
  free_.push_back(index);
}

/// The slot is executed or Nop; whoever asks for it finds it done from now on.
void DependencyGraph::finish(InstanceId id) {
  rows_[id.row.value()].window.set(id.slot, kDone);
  advance_executed(id.row);
}

void DependencyGraph::advance_executed(ReplicaId row) {
  RowWindow& window = rows_[row.value()].window;
  while (window[window.base().next()] == kDone) window.advance();
  advance_known(row);
}

void DependencyGraph::advance_known(ReplicaId which) {
  Row& row = rows_[which.value()];
  row.known = std::max(row.known, row.window.base());
  while (is_known({which, row.known.next()})) row.known = row.known.next();
}

/// Whether its payload is known, or never will matter. Precondition: above the executed prefix.
bool DependencyGraph::is_known(InstanceId id) const {
  const NodeIndex index = rows_[id.row.value()].window[id.slot];
  return index == kDone || (index != kNone && nodes_[index].recorded);
}

Slot DependencyGraph::executed_up_to(ReplicaId row) const {
  return rows_[row.value()].window.base();
}
Slot DependencyGraph::known_up_to(ReplicaId row) const {
  return rows_[row.value()].known;
}
bool DependencyGraph::executed(InstanceId instance) const {
  return is_done(instance);
}

void DependencyGraph::blockers(std::vector<Blocker>& out) const {
  for (const Node& node : nodes_) {
    if (node.life == 0 || node.first_waiter == kNone || node.decided) continue;
    out.push_back({node.id, node.recorded ? WaitsFor::kDecision : WaitsFor::kPayload});
  }
  std::ranges::sort(out);
}

std::size_t DependencyGraph::memory_bytes() const {
  std::size_t bytes = nodes_.size() * sizeof(Node);
  for (const Node& node : nodes_) bytes += node.footprint.accesses().size_bytes();
  return bytes;
}

// ---- Who waits for whom ----
//
// A decided instance that is not executed is either a root, to be tried by the next take_ready(),
// or on the list of waiters of exactly one node. When a blocker turns out to be blocked itself, its
// waiters move with it as a whole, so that nobody is tried in vain.

void DependencyGraph::make_root(NodeIndex index) {
  if (nodes_[index].listed) return;
  nodes_[index].listed = true;
  roots_.push_back(index);
}

void DependencyGraph::add_waiter(NodeIndex blocker, NodeIndex waiter) {
  check(!nodes_[waiter].listed, "an instance waits for one thing at a time");
  all_roots_ = false;
  nodes_[waiter].listed = true;
  nodes_[waiter].next_waiter = kNone;
  Node& b = nodes_[blocker];
  if (b.first_waiter == kNone) {
    b.first_waiter = waiter;
  } else {
    nodes_[b.last_waiter].next_waiter = waiter;
  }
  b.last_waiter = waiter;
}

void DependencyGraph::move_waiters(NodeIndex from, NodeIndex to) {
  Node& source = nodes_[from];
  if (source.first_waiter == kNone || from == to) return;
  Node& target = nodes_[to];
  if (target.first_waiter == kNone) {
    target.first_waiter = source.first_waiter;
  } else {
    nodes_[target.last_waiter].next_waiter = source.first_waiter;
  }
  target.last_waiter = source.last_waiter;
  source.first_waiter = source.last_waiter = kNone;
}

void DependencyGraph::retry_waiters(NodeIndex blocker) {
  NodeIndex waiter = nodes_[blocker].first_waiter;
  nodes_[blocker].first_waiter = nodes_[blocker].last_waiter = kNone;
  while (waiter != kNone) {
    Node& node = nodes_[waiter];
    if (watch_ != nullptr) watch_->on_retry(node.id, nodes_[blocker].id);
    const NodeIndex next = node.next_waiter;
    node.next_waiter = kNone;
    node.listed = false;
    make_root(waiter);
    waiter = next;
  }
}

/// Every waiting instance is tried again, and nothing is left of what the walks found out.
void DependencyGraph::retry_all() {
  if (all_roots_) return;
  for (NodeIndex index = 0; index < nodes_.size(); ++index) {
    retry_waiters(index);
    nodes_[index].blocked_on = kNone;
  }
  all_roots_ = true;
}

bool DependencyGraph::resolved(NodeIndex blocker, std::uint64_t life, WaitsFor what) const {
  const Node& node = nodes_[blocker];
  if (node.life != life) return true;  // Executed or Nop, and its node forgotten.
  return node.decided || (what == WaitsFor::kPayload && node.recorded);
}

/// Whether the closure of a node is known to wait for something that has not come yet. Follows what
/// blockers wait for themselves, and remembers where that ended.
bool DependencyGraph::known_blocked(NodeIndex index) {
  NodeIndex at = index;
  while (true) {
    const Node& node = nodes_[at];
    if (node.blocked_on == kNone) return false;
    const NodeIndex next = node.blocked_on;
    if (!resolved(next, node.blocked_on_life, node.waits_for)) {
      blocker_ = next;
      blocker_what_ = node.waits_for;
      nodes_[index].blocked_on = next;
      nodes_[index].blocked_on_life = node.blocked_on_life;
      nodes_[index].waits_for = node.waits_for;
      return true;
    }
    // What waited for a payload need not conflict with it, so nothing follows from what comes next.
    const bool depends_on_it = node.waits_for == WaitsFor::kDecision;
    if (!depends_on_it || nodes_[next].life != node.blocked_on_life) return false;
    at = next;
  }
}

// ---- The walk: Tarjan's algorithm with its stack on the heap ----

void DependencyGraph::take_ready(std::vector<InstanceId>& out) {
  while (!roots_.empty()) {
    const NodeIndex root = roots_.front();
    roots_.pop_front();
    Node& node = nodes_[root];
    node.listed = false;
    if (is_done(node.id)) continue;
    if (all_executed(node)) {
      component_.assign(1, root);
      run_component(root, out);
    } else {
      walk(root, out);
    }
  }
  free_executed();
}

/// The usual case without contention: everything it may depend on has run.
bool DependencyGraph::all_executed(const Node& node) const {
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    if (node.dependencies[replica_at(row)] > rows_[row].window.base()) return false;
  }
  return true;
}

void DependencyGraph::walk(NodeIndex root, std::vector<InstanceId>& out) {
  if (known_blocked(root)) return wait(root);
  visits_ = 0;
  visit(root);
  bool going = collect_edges(root);
  while (going && !frames_.empty()) {
    const Frame frame = frames_.back();
    if (edges_.size() > frame.edges_begin) {
      const NodeIndex to = edges_.back();
      edges_.pop_back();
      going = step_into(frame.node, to);
      continue;
    }
    frames_.pop_back();
    Node& node = nodes_[frame.node];
    if (!frames_.empty()) {
      Node& parent = nodes_[frames_.back().node];
      parent.low = std::min(parent.low, node.low);
    }
    if (node.low != node.visit) continue;
    component_.clear();
    do {
      component_.push_back(stack_.back());
      nodes_[stack_.back()].on_stack = false;
      stack_.pop_back();
    } while (component_.back() != frame.node);
    run_component(root, out);
  }
  if (!going) {
    abandon();
    wait(root);
  }
}

/// The root of a walk, and whoever waits for it, waits for blocker_.
void DependencyGraph::wait(NodeIndex root) {
  move_waiters(root, blocker_);
  add_waiter(blocker_, root);
  if (watch_ != nullptr) watch_->on_wait(nodes_[root].id, nodes_[blocker_].id, blocker_what_);
}

void DependencyGraph::visit(NodeIndex index) {
  Node& node = nodes_[index];
  node.visit = node.low = ++visits_;
  node.on_stack = true;
  stack_.push_back(index);
  frames_.push_back({index, edges_.size()});
}

/// False: the node's closure is blocked.
bool DependencyGraph::step_into(NodeIndex from, NodeIndex to) {
  Node& target = nodes_[to];
  if (is_done(target.id)) return true;
  if (target.visit != 0) {
    if (target.on_stack) nodes_[from].low = std::min(nodes_[from].low, target.visit);
    return true;
  }
  if (known_blocked(to)) return false;
  visit(to);
  return collect_edges(to);
}

/// Runs a component whose whole closure is decided, its members in the order of slots, then rows:
/// monotone in the slot, so that conflicting commands of one owner run in the order it gave them.
void DependencyGraph::run_component(NodeIndex root, std::vector<InstanceId>& out) {
  largest_component_ = std::max(largest_component_, component_.size());
  if (component_.size() >= 3) ++components_of_three_;
  if (component_.size() > 1) {
    std::ranges::sort(component_, [this](NodeIndex a, NodeIndex b) {
      const InstanceId& x = nodes_[a].id;
      const InstanceId& y = nodes_[b].id;
      return x.slot != y.slot ? x.slot < y.slot : x.row < y.row;
    });
  }
  for (const NodeIndex index : component_) {
    const InstanceId id = nodes_[index].id;
    out.push_back(id);
    if (watch_ != nullptr) watch_->on_run(id, component_.size(), nodes_[root].id);
    leave(index);
    finish(id);
    --waiting_;
    executed_.push_back(index);
  }
}

/// The walk met something that is not there yet. Everything on its stack reaches it.
void DependencyGraph::abandon() {
  for (const NodeIndex index : stack_) {
    Node& node = nodes_[index];
    node.on_stack = false;
    node.visit = 0;
    node.blocked_on = blocker_;
    node.blocked_on_life = nodes_[blocker_].life;
    node.waits_for = blocker_what_;
  }
  stack_.clear();
  frames_.clear();
  edges_.clear();
}

bool DependencyGraph::block(NodeIndex blocker, WaitsFor what) {
  blocker_ = blocker;
  blocker_what_ = what;
  return false;
}

void DependencyGraph::free_executed() {
  for (const NodeIndex index : executed_) {
    check(!nodes_[index].listed, "an executed instance still waits for something");
    release(index);
  }
  executed_.clear();
}

// ---- Edges ----
//
// Of all slots that the dependencies cover, few need an edge. In one row the owner's later write of
// a key has every earlier instance that touches the key in its own dependencies (own-row rule), so
// the highest covered write of a key that is not Nop leads to all earlier ones; reads do not lead
// to each other, so those above that write need edges of their own. The same holds for barriers and
// all of their row. Nops are not on the lists at all, so a Nop hides nothing. If the highest write
// is not decided the node waits for it; should it turn out Nop, the next lower one takes its place
// when the node is tried again. Reachability, hence components and their order, is that of all
// edges.

/// Pushes the edges of a node; false if it waits for something, which blocker_ then names.
bool DependencyGraph::collect_edges(NodeIndex index) {
  const Node& node = nodes_[index];
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const Slot last = node.dependencies[replica_at(row)];
    if (last <= rows_[row].window.base()) continue;
    if (last > rows_[row].known && !mutant(Mutant::kExecutorSkipsUnknown)) {
      // Whether an unknown payload conflicts cannot be known; it is never skipped (R12). What is
      // missing usually comes in order: who waits for the last of it is not tried in vain each time
      // that some of it has come, which many would be after a long absence.
      const Slot first = rows_[row].known.next();
      const InstanceId unknown{replica_at(row), is_known({replica_at(row), last}) ? first : last};
      return block(find_or_add(unknown), WaitsFor::kPayload);
    }
    if (!collect_row(node, replica_at(row))) return false;
  }
  return true;
}

bool DependencyGraph::collect_row(const Node& node, ReplicaId row) {
  if (node.footprint.empty()) return true;  // Conflicts with nothing, not even with a barrier.
  const Row& r = rows_[row.value()];
  const Slot last = node.dependencies[row];
  make_findable(row, last);
  Slot above;  // Whatever lies below is reached through a barrier.
  if (const std::size_t barriers = r.barriers.count_up_to(last); barriers > 0) {
    above = r.barriers[barriers - 1];
    if (!add_edge({row, above}, node)) return false;
  }
  if (node.footprint.is_everything()) {
    for (Slot slot = std::max(above, r.window.base()).next(); slot <= last; slot = slot.next()) {
      const NodeIndex other = r.window[slot];
      if (other == kDone || nodes_[other].footprint.empty()) continue;
      if (!add_edge({row, slot}, node)) return false;
    }
    return true;
  }
  for (const Access access : node.footprint.accesses()) {
    const SlotList* const lists = keys_.find(access.key());
    if (lists == nullptr) continue;
    Slot write = above;
    const SlotList& writes = lists[keys_.column(row, true)];
    if (const std::size_t count = writes.count_up_to(last); count > 0) {
      write = std::max(write, writes[count - 1]);
      if (write > above && !add_edge({row, write}, node)) return false;
    }
    if (!access.writes() || mutant(Mutant::kWritesIgnoreReads)) continue;
    const SlotList& reads = lists[keys_.column(row, false)];
    if (!collect_slots(reads, reads.count_up_to(write), reads.count_up_to(last), row, node)) {
      return false;
    }
  }
  return true;
}

bool DependencyGraph::collect_slots(const SlotList& list, std::size_t from, std::size_t to,
                                    ReplicaId row, const Node& node) {
  if (mutant(Mutant::kLatestReadOnly) && from < to) from = to - 1;
  for (std::size_t i = from; i < to; ++i) {
    if (!add_edge({row, list[i]}, node)) return false;
  }
  return true;
}

bool DependencyGraph::add_edge(InstanceId to, const Node& from) {
  if (to == from.id) return true;
  const NodeIndex index = find(to);
  check(index != kNone, "a list of waiting instances names one that does not wait");
  if (!nodes_[index].decided) {
    if (mutant(Mutant::kUncommittedSatisfied)) return true;
    const bool is_younger = std::pair(to.slot, to.row) > std::pair(from.id.slot, from.id.row);
    if (mutant(Mutant::kYoungerUndecidedSkipped) && is_younger) return true;
    return block(index, WaitsFor::kDecision);
  }
  edges_.push_back(index);
  return true;
}

}  // namespace epaxos::executor
