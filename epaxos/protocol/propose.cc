// The owner submits: it fixes, once and for all, the commands of an instance and what it knows must
// come before them. Source: protocol.md 6.1.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"
#include "epaxos/protocol/kept_footprint.h"

namespace epaxos::protocol {
namespace {

/// Proposals that arrive together are looked up in the conflict index this many steps before they
/// are asked for.
constexpr std::size_t kPrefetchAhead = 4;

void prefetch_ahead(const deps::ConflictIndex& conflicts, std::span<const Proposal> proposals,
                    std::size_t at) {
  if (at + kPrefetchAhead < proposals.size()) {
    conflicts.prefetch_conflicts(proposals[at + kPrefetchAhead].footprint);
  }
}

}  // namespace

void EpaxosCore::propose(std::span<const Proposal> proposals, Effects& out) {
  if (!voting_) {
    return out.reject(proposals, ErrorCode::kNotVoting, kMayNotPropose);
  }
  // Those that have waited come first: a newer one would take the key, and they would wait again.
  propose_released(out);
  std::size_t begin = 0;
  while (begin < proposals.size()) {
    if (progress_.in_flight() + delayed_ >= config_.in_flight_max) {
      return out.reject(proposals.subspan(begin), ErrorCode::kOverloaded,
                        "too many commands of this replica are undecided; try again later");
    }
    if (is_full(out)) {
      return out.reject(proposals.subspan(begin), ErrorCode::kOverloaded,
                        "too much was proposed at once; try again at once");
    }
    prefetch_ahead(conflicts_, proposals, begin);
    Dependencies initial = dependencies_of(proposals[begin].footprint);
    if (delay(proposals[begin], initial, out.now)) {
      ++begin;
      continue;
    }
    const auto batch = proposals.subspan(begin, batch_of(proposals.subspan(begin), initial));
    if (mutant(Mutant::kBatchTouchesFirstOnly)) {
      submit(batch, batch.front().footprint, dependencies_of(batch.front().footprint), out);
    } else if (batch.size() == 1) {
      submit(batch, batch.front().footprint, initial, out);
    } else {
      submit(batch, merged_footprint(batch), initial, out);
    }
    begin += batch.size();
  }
}

/// What an instance with this footprint must come after, as far as this replica knows.
Dependencies EpaxosCore::dependencies_of(const Footprint& footprint) const {
  Dependencies dependencies =
      mutant(Mutant::kDropsWithoutFloor) ? Dependencies(n_) : next_vector_floor_;
  conflicts_.merge_conflicts(footprint, dependencies);
  return dependencies;
}

/// How many of these share the next instance: the first, and those after it that fit with it into a
/// batch, and into what an instance can carry. `initial` has the dependencies of the first, and
/// gets those of the others.
std::size_t EpaxosCore::batch_of(std::span<const Proposal> proposals, Dependencies& initial) const {
  if (config_.batch_commands_max <= 1) return 1;
  const std::size_t fit =
      commands_that_fit(proposals, config_.batch_commands_max, config_.batch_bytes_max);
  for (std::size_t count = 1; count < fit; ++count) {
    prefetch_ahead(conflicts_, proposals, count);
    const Footprint& footprint = proposals[count].footprint;
    const Dependencies dependencies = dependencies_of(footprint);
    if (fenced(footprint) || hot_behind(dependencies)) return count;  // It is to wait.
    initial.merge(dependencies);
  }
  return fit;
}

Slot EpaxosCore::allocate_slot() {
  // A slot that somebody else has already closed is skipped: its ballot 0 is over.
  while (true) {
    const Slot slot = next_slot_;
    next_slot_ = next_slot_.next();
    const Instance* const instance = instances_.find({self_, slot});
    if (instance == nullptr) return slot;
    const bool untouched = instance->ballot() == kInitialBallot && instance->vote() == nullptr &&
                           !instance->decided() && !instance->payload_known();
    if (untouched) return slot;
  }
}

/// `initial` is what dependencies_of() says at this moment. Returns the slot; none: it is rejected.
Slot EpaxosCore::submit(std::span<const Proposal> batch, const Footprint& footprint,
                        const Dependencies& initial, Effects& out) {
  const std::size_t bytes = block_bytes(batch, footprint);
  if (bytes > kBlockBytesMax || footprint.accesses().size() > kBlockAccessesMax) {
    out.reject(batch, ErrorCode::kTooLarge,
               "the command exceeds the 512 KiB or 16,384 keys that an instance can carry");
    return {};
  }

  const InstanceId id{self_, allocate_slot()};
  if (id.slot.value() > kSlotMax) {
    next_slot_ = id.slot;
    out.reject(batch, ErrorCode::kUnavailable,
               "this replica has no slot left; use another one, and replace this one");
    return {};
  }
  Instance* const instance = instances_.find_or_add(id);
  if (instance == nullptr) {
    next_slot_ = id.slot;  // Not known to exist until it is recorded: nobody may hear of it.
    counters_.add(Count::kHeldUndecidedFull);
    out.reject(batch, ErrorCode::kOverloaded,
               "too many instances of this replica are undecided; try again later");
    return {};
  }
  check(initial[self_] < id.slot, "an own slot was recorded before it was allocated");

  Slice body;
  const auto room = encode_with_room(id, initial, bytes, out, body);
  encode_block(batch, footprint, room);
  const bool is_new = learn_payload(id, *instance, room, footprint);
  check(is_new, "a new instance had a payload already");
  instance->record(initial);
  instance->pre_accept(initial);
  instance->progress = progress_.add(id.slot, initial, bytes + sizeof(Instance));
  const ReplicaSet asked =
      config_.thrifty ? nearness_.choose(fast_quorum_size(n_) - 1, id.slot, out.now) : others_;
  PreAcceptTally& tally = progress_[instance->progress].tally;
  tally = {others_.without(asked), ReplicaSet::only(self_), ReplicaSet::only(self_)};

  put(RecordKind::kPreAccepted, id, body, out);
  awaits_durable_.push_back({out.batch, DurableStep::kProposal, id.slot});
  // Otherwise a crash may forget what others have heard.
  const Release release = gated_without(
      mutant(Mutant::kSlotReuse) ? Mutant::kSlotReuse : Mutant::kPreAcceptBeforeDurable);
  if (asked.size() > 0) send_body(asked, MessageType::kPreAccept, body, out, release);
  retransmit_.push(out.now, id.slot, 0);
  counters_.add(Count::kProposedInstances);
  counters_.add(Count::kProposedCommands, batch.size());
  histories_.proposed(id, initial, batch.size(), out.now);
  return id.slot;
}

void EpaxosCore::resubmit_nops(Effects& out) {
  // An instance of ours that was decided Nop did not execute and never will, so its commands go
  // into a new instance; nobody had an answer for them yet (6.6).
  while (!resubmit_.empty() && !storage_full_ && !is_full(out)) {
    const InstanceId id = resubmit_.front();
    resubmit_.pop_front();
    const Instance& instance = *instances_.find(id);
    std::vector<Proposal> proposals;
    for (const Command& command : kept_commands(instance)) proposals.push_back({command, {}});
    counters_.add(Count::kResubmitted, proposals.size());
    if (voting_) {
      const Footprint footprint = kept_footprint(instance);
      const Slot slot = submit(proposals, footprint, dependencies_of(footprint), out);
      if (slot > Slot()) histories_.was_retried(id, {self_, slot});
    } else {
      out.reject(proposals, ErrorCode::kNotVoting, kMayNotPropose);
    }
  }
}

}  // namespace epaxos::protocol
