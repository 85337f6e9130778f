// What a peer must be told to install an image. With a member away it can be much, as nothing is
// forgotten then, so it is listed a part a turn. A peer without a vote needs no list. Source:
// protocol.md 14.4.

#include <algorithm>

#include "deps/types/mutant.h"
#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

/// What one call lists, in instances; one that must be read from the disk counts for several.
constexpr std::size_t kCostMax = 2048;
constexpr std::size_t kCostOnDisk = 8;
/// Instances beyond which a replica that votes gets no image: it needs none, as nothing of what it
/// lacks is forgotten, and to fetch the instances is not much longer.
constexpr std::uint64_t kListedMax = std::uint64_t{1} << 20;

Failure too_old() {
  return fail(ErrorCode::kUnavailable, "the image is older than what its receiver needs");
}

}  // namespace

/// A peer that has installed the image has executed all of it, so what all others have executed too
/// is executed everywhere: that is the peer's floor. Of a peer without a vote nobody asks what it
/// knows of an instance, so for it everything is below the floor. It has one that holds for itself
/// alone, and gives no images.
Result<Dependencies> EpaxosCore::floor_for(ReplicaId peer, const Dependencies& executed) const {
  if (frozen_ || !voting_ || !executed.includes(floor_) || !executed.includes(heard_floor_) ||
      !executed.includes(peers_executed_ever_[peer.value()])) {
    return too_old();
  }
  Dependencies floor = executed;
  if (!peers_[peer.value()].votes) return floor;
  for (int other = 0; other < n_; ++other) {
    const bool counts = replica_at(other) != self_ && replica_at(other) != peer;
    if (counts) floor.limit(peers_executed_[static_cast<std::size_t>(other)]);
  }
  floor.merge(floor_);
  return floor;
}

Result<bool> EpaxosCore::coverage_for(ReplicaId peer, Bytes image, std::vector<std::byte>& out) {
  const bool goes_on =
      listing_ && listing_->peer == peer && std::ranges::equal(listing_->image_bytes, image);
  if (!goes_on) {
    listing_.reset();
    if (const Result<void> begun = begin_listing(peer, image); !begun) return fail(begun.error());
  }
  const Result<bool> complete = list_some(*listing_);
  if (complete && !*complete) return false;
  PeerCoverage listing = std::move(*listing_);
  listing_.reset();
  if (!complete) return fail(complete.error());
  const Result<Dependencies> floor = floor_for(peer, listing.image.executed);
  if (!floor) return fail(floor.error());
  if (mutant(Mutant::kImageWithoutFootprints)) {
    begin_coverage(n_, listing.bytes);
    listing.listed = 0;
  }
  end_coverage({*floor, listing.image.executed, {}, !peers_[peer.value()].votes}, listing.listed,
               listing.bytes);
  out = std::move(listing.bytes);
  return true;
}

Result<void> EpaxosCore::begin_listing(ReplicaId peer, Bytes image) {
  Result<Coverage> coverage = decode_coverage(image, n_);
  if (!coverage) return fail(coverage.error());
  const Result<Dependencies> floor = floor_for(peer, coverage->executed);
  if (!floor) return fail(floor.error());
  if (coverage->executed.count_above(*floor) > kListedMax) {
    return fail(ErrorCode::kTooLarge,
                "no image for " + to_string(peer) +
                    ": yet another member is away, and more was executed since then than an image "
                    "can list; the instances are fetched one by one");
  }
  listing_.emplace();
  listing_->peer = peer;
  listing_->image_bytes.assign(image.begin(), image.end());
  listing_->floor = *floor;
  listing_->image = *std::move(coverage);
  listing_->next = {replica_at(0), (*floor)[replica_at(0)].next()};
  begin_coverage(n_, listing_->bytes);
  return {};
}

/// True: that was all.
Result<bool> EpaxosCore::list_some(PeerCoverage& listing) const {
  const Dependencies& executed = listing.image.executed;
  InstanceId& next = listing.next;
  std::vector<CoveredInstance> part;
  std::size_t cost = 0;
  while (next.row.value() < n_) {
    // What was forgotten meanwhile is executed everywhere.
    next.slot = std::max(next.slot, floor_[next.row].next());
    for (; next.slot <= executed[next.row] && cost < kCostMax; next.slot = next.slot.next()) {
      std::optional<CoveredInstance> covered = covered_instance(next);
      if (!covered) return too_old();
      cost += is_archived(next) ? kCostOnDisk : 1;
      part.push_back(*std::move(covered));
    }
    if (next.slot <= executed[next.row]) break;
    list_above(listing, part);
    next.row = ReplicaId(static_cast<std::uint16_t>(next.row.value() + 1));
    if (next.row.value() < n_) next.slot = listing.floor[next.row].next();
  }
  listing.listed += part.size();
  if (!part.empty()) append_part(part, listing.bytes);
  return next.row.value() == n_;
}

/// What the image lists of the row beyond its executed prefix. One that came from a peer lists
/// others too.
void EpaxosCore::list_above(PeerCoverage& listing, std::vector<CoveredInstance>& part) {
  const std::vector<CoveredInstance>& listed = listing.image.instances;
  for (; listing.taken < listed.size(); ++listing.taken) {
    const CoveredInstance& each = listed[listing.taken];
    if (each.id.row != listing.next.row) break;
    if (!listing.image.executed.covers(each.id)) part.push_back(each);
  }
}

}  // namespace epaxos::protocol
