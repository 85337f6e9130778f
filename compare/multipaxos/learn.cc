// What is decided: by counting votes, by the word of a leader at whose ballot this replica has
// voted, or told by a peer that knows; and how what is missing is asked for.

#include <algorithm>

#include "compare/log/image_lag.h"
#include "compare/multipaxos/core.h"

namespace epaxos::compare::multipaxos {
namespace {

/// Bytes and entries of one Learn, which answers one question: reading back more would take a
/// leader longer than its followers may miss it. Each answer makes who asked ask for more.
constexpr std::size_t kLearnBytes = 256 * 1024;
constexpr std::uint64_t kLearnEntries = 2048;
constexpr unsigned kAskedMax = 3;
/// What a missing entry costs to fetch and to execute, about, in bytes of an image.
constexpr std::uint64_t kBytesOfEntry = 256;
constexpr unsigned kWishBackoff = 3;

}  // namespace

MultiPaxosCore::Tally& MultiPaxosCore::tally(Slot slot) {
  check(slot > decided_up_to_, "votes are counted for a slot that is decided");
  const std::uint64_t place = slot.value() - decided_up_to_.value() - 1;
  if (place >= tallies_.size()) tallies_.resize(place + 1);
  return tallies_[place];
}

void MultiPaxosCore::note_vote(ReplicaId from, Ballot ballot, Slot first, Slot last) {
  // A new leader proposes what was voted for before, however far it lags behind.
  const bool leads = role_ == Role::kLeader && ballot == ballot_;
  const Slot limit = leads ? Slot(next_slot_.value() - 1) : Slot(decided_up_to_.value() + span());
  const Slot end = std::min(last, limit);
  for (Slot slot = std::max(first, decided_up_to_.next()); slot <= end; slot = slot.next()) {
    Tally& counted = tally(slot);
    if (counted.learner.note(from, ballot, quorums_)) counted.chosen_round = ballot.packed();
  }
}

/// A slot is decided where this replica holds an entry at a ballot at which it is chosen; or at the
/// ballot of a leader who says that something is chosen there: had that been at an earlier ballot,
/// the leader would have proposed the same.
void MultiPaxosCore::advance() {
  while (true) {
    const Slot slot = decided_up_to_.next();
    if (!log_.holds(slot)) return;
    const std::uint64_t round = log_.round(slot);
    const bool counted = !tallies_.empty() && tallies_.front().chosen_round == round;
    const bool told = slot <= told_.decided_up_to && round == told_.ballot.packed();
    if (!counted && !told) return;
    add(counted ? Count::kDecided : Count::kLearnedByTold);
    decided(slot);
  }
}

void MultiPaxosCore::decided(Slot slot) {
  check(slot == decided_up_to_.next(), "slots are known to be decided in order");
  decided_up_to_ = slot;
  if (!tallies_.empty()) tallies_.pop_front();
  if (role_ != Role::kLeader) return;
  has_news_ = true;
  if (slot.next() == open_) count_origins();
}

// --- What is missing ---------------------------------------------------------------------------

/// Up to here somebody knows what is decided.
Slot MultiPaxosCore::wanted_up_to() const {
  return role_ == Role::kLeader ? std::max(decided_up_to_, Slot(open_.value() - 1))
                                : std::max(decided_up_to_, told_.decided_up_to);
}

void MultiPaxosCore::follow_up(Effects& out) {
  if (wanted_up_to() == decided_up_to_) {
    ask_due_ = kNever;
    asked_ = 0;
  } else if (ask_due_ == kNever) {
    ask_due_ = out.now + config_.heartbeat_us;  // What is on its way arrives first.
  }
}

/// First the one who says that it is decided; then one after the other.
void MultiPaxosCore::ask(Effects& out) {
  if (wanted_up_to() == decided_up_to_) return follow_up(out);
  ask_due_ = out.now + (config_.question_us << std::min(asked_, kAskedMax));
  const ReplicaId knows = role_ == Role::kLeader ? reporter_ : told_.ballot.replica;
  auto whom = static_cast<int>((knows.value() + asked_) % static_cast<unsigned>(n_));
  if (replica_at(whom) == self_) whom = (whom + 1) % n_;
  ++asked_;
  add(Count::kAsked);
  send(ReplicaSet::only(replica_at(whom)), Fetch{decided_up_to_.next(), wanted_up_to()}, out,
       Release::kNow);
}

/// Up to here what was decided can no longer be told entry by entry.
Slot MultiPaxosCore::floor() const {
  return records_.can_read() ? std::min(gone_, log_.base()) : log_.base();
}

void MultiPaxosCore::on_fetch(ReplicaId from, const Fetch& message, Effects& out) {
  const Slot known = mutant(Mutant::kAcceptedIsChosen) ? log_.last() : decided_up_to_;
  if (message.from > known) return;
  if (send_decided(from, message.from, std::min(message.to, known), out)) return;
  answer_truncated(from, message.from, out);
}

void MultiPaxosCore::answer_truncated(ReplicaId to, Slot asked, Effects& out) {
  if (asked > floor()) return;  // It cannot be read, which the host knows.
  add(Count::kTruncatedSent);
  send(ReplicaSet::only(to), Truncated{floor()}, out, Release::kNow);
}

/// False: the first of them is gone.
bool MultiPaxosCore::send_decided(ReplicaId to, Slot from, Slot to_slot, Effects& out) {
  std::vector<std::byte> entries;
  std::vector<std::byte> read;
  const Slot last = std::min(to_slot, Slot(from.value() + kLearnEntries - 1));
  for (Slot slot = from; slot <= last && entries.size() < kLearnBytes; slot = slot.next()) {
    Bytes encoded;
    if (slot > log_.base()) {
      encoded = log_.encoded(slot);
    } else if (slot > floor() && records_.read(slot, read)) {
      encoded = read;
    }
    if (encoded.empty()) break;
    entries.insert(entries.end(), encoded.begin(), encoded.end());
    add(Count::kServed);
  }
  if (!entries.empty()) send(ReplicaSet::only(to), Learn{from, entries}, out, Release::kNow);
  return !entries.empty();
}

void MultiPaxosCore::on_learn(ReplicaId from, const Learn& message, Effects& out) {
  if (storage_full_) return add(Count::kStorageFull);
  bool news = false;
  bool goes_on = true;
  for_each_entry(message.first, message.entries, n_,
                 [&](Slot slot, const Entry& entry, Bytes encoded) {
                   goes_on = goes_on && slot <= decided_up_to_.next();
                   if (goes_on) news = learn(slot, entry, encoded, out) || news;
                 });
  if (!news) return add(Count::kStale);
  asked_ = 0;
  advance();
  // As long as answers come, the next question does not wait.
  if (forgot_.contains(from) || wanted_up_to() == decided_up_to_) return;
  ask(out);
}

/// Whether it is news. Its round stays with the entry: as the entry is chosen, whoever is told of
/// this vote, which nobody cast, is told the truth about the ballot.
bool MultiPaxosCore::learn(Slot slot, const Entry& entry, Bytes encoded, Effects& out) {
  const Ballot ballot = Ballot::from_packed(entry.round);
  heard_ = std::max(heard_, ballot);
  if (role_ != Role::kFollower && ballot > ballot_) step_down(out.now);
  const auto known = vote_at(slot);
  const bool same = known && known->value == Value{entry.origin, entry.block};
  if (slot <= decided_up_to_) {
    if (known && !same) add(Count::kContradictsDecision);
    return false;
  }
  if (slot.value() > log_.base().value() + LogWindow::kSpanMax) {
    add(Count::kTooFarAhead);
    return false;
  }
  if (!known || known->ballot < ballot) {
    log_.set(slot, encoded);
    records_.put(slot, out.append(encoded), out);
  } else if (!same) {
    add(Count::kContradictsDecision);
    return false;
  }
  add(Count::kLearned);
  decided(slot);
  return true;
}

void MultiPaxosCore::on_truncated(ReplicaId from, const Truncated& message, Effects& out) {
  add(Count::kTruncatedReceived);
  if (message.floor <= std::max(decided_up_to_, image_needed_)) return;
  image_needed_ = message.floor;
  image_from_ = from;
  ++attempts_;
  if (role_ != Role::kFollower) step_down(out.now);
}

/// Whoever cannot go on without an image asks for one; and so does who is so far behind that it is
/// the shorter way.
void MultiPaxosCore::wish_for_image(Effects& out) {
  if (n_ == 1 || image_wish_due_ > out.now) return;
  const bool has_no_choice = image_needed_ > decided_up_to_;
  const std::uint64_t missing = wanted_up_to().value() - executor_.executed_up_to().value();
  if (!has_no_choice && missing < image_lag(config_, executor_.executed_up_to())) {
    image_wishes_ = 0;
    return;
  }
  // By chance, as the host looks only at some wishes: others in a row could always be for the same.
  random_ = mix64(random_);
  ReplicaId whom = has_no_choice ? image_from_ : told_.ballot.replica;
  if (random_ % 2 == 0) whom = replica_at(random_ / 2 % static_cast<unsigned>(n_));
  if (whom == self_) whom = replica_at((whom.value() + 1) % n_);
  const std::uint64_t worth = has_no_choice ? ~std::uint64_t{0} : missing * kBytesOfEntry;
  if (!forgot_.contains(whom)) out.image_wish = {whom, worth};
  ++image_wishes_;
  image_wish_due_ = out.now + (config_.question_us << std::min(image_wishes_, kWishBackoff));
}

}  // namespace epaxos::compare::multipaxos
