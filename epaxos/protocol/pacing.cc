// Execution under contention that never ends. A command may have to wait for younger ones, and they
// for younger ones still; so a replica has one undecided instance at a time on a key that others
// contend for, and when something waits for too long everybody stops to propose what conflicts with
// it. Both only delay proposals, which is always safe. Source: protocol.md 12.

#include <algorithm>
#include <set>

#include "epaxos/protocol/core.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {
namespace {

/// A closure with more members than this is fenced by a fence around everything.
constexpr std::size_t kClosureMax = 256;
/// Slots that are looked at to find it.
constexpr std::size_t kClosureSlots = 8192;
/// Slots of each row that are looked at to find out what waits.
constexpr std::size_t kStalledSlots = 64;
constexpr unsigned kFenceBackoff = 5;
/// How often a command that had its turn waits once more on a hot key.
constexpr unsigned kDelaysMax = 1;

}  // namespace

// --- One undecided instance on a hot key -------------------------------------------------------

/// The own instance that a command with these dependencies waits for, if it is to wait.
std::optional<Slot> EpaxosCore::hot_behind(const Dependencies& dependencies) const {
  if (!config_.limit_hot_keys || n_ == 1) return std::nullopt;
  const auto undecided = [&](ReplicaId row) {
    if (dependencies[row] == Slot()) return false;
    const Instance* const instance = instances_.find({row, dependencies[row]});
    return instance != nullptr && !instance->decided();
  };
  if (!undecided(self_)) return std::nullopt;
  for (std::uint16_t row = 0; row < n_; ++row) {
    if (ReplicaId(row) != self_ && undecided(ReplicaId(row))) return dependencies[self_];
  }
  return std::nullopt;
}

bool EpaxosCore::fenced(const Footprint& footprint) const {
  return std::ranges::any_of(
      fences_, [&](const FenceState& fence) { return conflicts(fence.footprint, footprint); });
}

/// True: the command was put aside, and is proposed later.
bool EpaxosCore::delay(const Proposal& proposal, const Dependencies& dependencies) {
  if (fenced(proposal.footprint)) {
    counters_.add(Count::kDelayedByFence);
    fenced_.emplace_back(proposal);
    ++delayed_;
    return true;
  }
  const std::optional<Slot> behind = hot_behind(dependencies);
  if (!behind) return false;
  counters_.add(Count::kDelayedOnHotKey);
  behind_[*behind].emplace_back(proposal);
  ++delayed_;
  return true;
}

/// A write that waits for its turn on a key does not keep reads of it away, as these wait for no
/// read. So it would find a younger read of its own replica undecided for ever.
bool EpaxosCore::delay_again(Delayed& delayed) {
  if (fenced(delayed.proposal.footprint)) {
    fenced_.push_back(std::move(delayed));
    counters_.add(Count::kDelayedByFence);
    return true;
  }
  if (delayed.times >= kDelaysMax) return false;
  const auto behind = hot_behind(dependencies_of(delayed.proposal.footprint));
  if (!behind) return false;
  ++delayed.times;
  behind_[*behind].push_back(std::move(delayed));
  counters_.add(Count::kDelayedOnHotKey);
  return true;
}

/// What was put aside while a round ran is proposed as one instance.
void EpaxosCore::release_behind(Slot slot) {
  const auto found = behind_.find(slot);
  if (found == behind_.end()) return;
  std::ranges::move(found->second, std::back_inserter(released_));
  behind_.erase(found);
}

void EpaxosCore::propose_released(Effects& out) {
  while (!released_.empty() && !storage_full_ && !is_full(out)) {
    // Those that wait again leave; the others, oldest first, share an instance as far as they fit.
    std::vector<Delayed> batch;
    std::vector<Proposal> proposals;
    while (!released_.empty() && batch.size() < kBlockCommandsMax) {
      Delayed next = std::move(released_.front());
      released_.pop_front();
      if (voting_ && delay_again(next)) continue;
      --delayed_;
      proposals.push_back(next.proposal);
      batch.push_back(std::move(next));
    }
    if (!voting_) {
      out.reject(proposals, ErrorCode::kNotVoting, kMayNotPropose);
      continue;
    }
    std::span<const Proposal> rest = proposals;
    while (!rest.empty()) {
      const std::size_t count = commands_that_fit(rest, kBlockCommandsMax, kBlockBytesMax);
      const Footprint footprint = merged_footprint(rest.first(count));
      submit(rest.first(count), footprint, dependencies_of(footprint), out);
      rest = rest.subspan(count);
    }
  }
}

// --- Fences ------------------------------------------------------------------------------------

/// The instance that has waited longest since its decision, if that is too long.
std::optional<InstanceId> EpaxosCore::stalled(Tick now) const {
  std::optional<InstanceId> oldest;
  Tick since = now;
  for (std::uint16_t index = 0; index < n_; ++index) {
    const ReplicaId row(index);
    Slot slot = graph_.executed_up_to(row).next();
    for (std::size_t i = 0; i < kStalledSlots; ++i, slot = slot.next()) {
      const InstanceId id{row, slot};
      const Instance* const instance = instances_.find(id);
      if (instance == nullptr) break;
      if (!instance->decided() || instance->decided_nop() || graph_.executed(id)) continue;
      if (instance->committed_at >= since) continue;
      since = instance->committed_at;
      oldest = id;
    }
  }
  if (oldest && since + config_.stall_us > now) return std::nullopt;
  return oldest;
}

/// What the commands that an instance waits for touch, as far as they are known.
Footprint EpaxosCore::closure_footprint(const InstanceId& root) const {
  Footprint all;
  std::set<InstanceId> seen{root};
  std::vector<InstanceId> to_visit{root};
  std::size_t looked_at = 0;
  while (!to_visit.empty()) {
    const InstanceId id = to_visit.back();
    to_visit.pop_back();
    const Instance& instance = *instances_.find(id);
    const Footprint footprint = kept_footprint(instance);
    all.merge(footprint);
    // No message names more keys.
    if (all.accesses().size() > kBlockAccessesMax) return Footprint::everything();
    if (!instance.decided()) continue;
    const Dependencies dependencies = instance.decided_dependencies();
    for (std::uint16_t index = 0; index < n_; ++index) {
      const ReplicaId row(index);
      Slot slot = graph_.executed_up_to(row).next();
      for (; slot <= dependencies[row]; slot = slot.next()) {
        if (++looked_at > kClosureSlots || seen.size() > kClosureMax) {
          return Footprint::everything();
        }
        const InstanceId other_id{row, slot};
        const Instance* const other = instances_.find(other_id);
        if (other == nullptr || !other->payload_known() || other->decided_nop()) continue;
        if (graph_.executed(other_id)) continue;
        if (!conflicts(kept_footprint(*other), footprint)) continue;
        if (seen.insert(other_id).second) to_visit.push_back(other_id);
      }
    }
  }
  return all;
}

void EpaxosCore::fence_if_stalled(Effects& out) {
  stall_due_ = out.now + config_.stall_us / 2;
  if (own_fence_.number != 0) {
    if (graph_.executed(own_fence_.around)) return lift_own_fence(out);
    if (own_fence_.until > out.now) return;
  }
  const std::optional<InstanceId> oldest = stalled(out.now);
  if (!oldest || storage_full_) return;
  const bool again = own_fence_.number != 0;
  own_fence_.attempts = again ? own_fence_.attempts + 1 : 0;
  own_fence_.number = ++fence_numbers_;
  own_fence_.around = *oldest;
  const Tick ttl = config_.fence_us << std::min(own_fence_.attempts, kFenceBackoff);
  own_fence_.until = out.now + ttl;
  counters_.add(Count::kFencesSent);
  const Footprint footprint = closure_footprint(*oldest);
  put_fence({self_, own_fence_.number, footprint, own_fence_.until});
  send(others_, Fence{own_fence_.number, ttl, footprint}, out);
}

void EpaxosCore::lift_own_fence(Effects& out) {
  drop_fence(self_, own_fence_.number);
  send(others_, Unfence{own_fence_.number}, out, Release::kNow);
  own_fence_ = {};
}

void EpaxosCore::put_fence(FenceState fence) {
  std::erase_if(fences_, [&](const FenceState& each) { return each.from == fence.from; });
  fence_due_ = std::min(fence_due_, fence.until);
  fences_.push_back(std::move(fence));
}

void EpaxosCore::drop_fence(ReplicaId from, std::uint64_t number) {
  const auto erased = std::erase_if(
      fences_, [&](const FenceState& each) { return each.from == from && each.number <= number; });
  if (erased > 0) release_fenced();
}

/// Fences that nobody renews end by themselves.
void EpaxosCore::expire_fences(Tick now) {
  std::erase_if(fences_, [&](const FenceState& each) { return each.until <= now; });
  fence_due_ = kNever;
  for (const FenceState& each : fences_) fence_due_ = std::min(fence_due_, each.until);
  release_fenced();
}

void EpaxosCore::release_fenced() {
  std::ranges::move(fenced_, std::back_inserter(released_));
  fenced_.clear();
}

void EpaxosCore::on_fence(ReplicaId from, const Fence& message, Tick now) {
  counters_.add(Count::kFencesReceived);
  const Tick longest = config_.fence_us << kFenceBackoff;
  put_fence({from, message.number, message.footprint, now + std::min(message.ttl_us, longest)});
}

void EpaxosCore::on_unfence(ReplicaId from, const Unfence& message) {
  drop_fence(from, message.number);
}

}  // namespace epaxos::protocol
