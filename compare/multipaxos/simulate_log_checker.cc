#include "compare/multipaxos/simulate_log_checker.h"

#include <algorithm>
#include <vector>

#include "compare/log/log_coverage.h"
#include "epaxos/programs/simulate_disk_view.h"

namespace epaxos::compare::multipaxos {
namespace {

RecordKey key_of(RecordKind kind, Slot slot) {
  return {static_cast<std::uint8_t>(kind), {}, {}, {}, slot};
}

/// An entry as far as equality goes: without its ballot.
std::uint64_t hash_of(const Entry& entry) {
  const Origin& origin = entry.origin;
  return mix64(paxos::hash_of(origin.proposer, entry.block) ^ mix64(origin.life * 31) ^
               mix64(origin.sequence));
}

}  // namespace

void LogChecker::on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) {
  if (disk.was_set_back()) return;  // It has forgotten, and is gone for good.
  from_ = from;
  disk_ = &disk;
  checker_.at(cluster_.events());
  cluster_.read_bundle(to, bundle, [&](const net::Frame& frame) { check_frame(frame); });
}

void LogChecker::check_frame(const net::Frame& frame) {
  const auto with = [&](auto message) {
    check(decode(frame.body, cluster_.size(), message), "a message left that does not decode");
    check_message(message);
  };
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kPrepare:
      return with(Prepare());
    case MessageType::kPromise:
      return with(Promise());
    case MessageType::kAccept:
      return with(Accept());
    case MessageType::kAccepted:
      return with(Accepted());
    case MessageType::kLearn:
      return with(Learn());
    default:
      return;  // Questions, and answers that promise nothing.
  }
}

/// A promise stands in a record of its own, and in each vote.
void LogChecker::expect_promise(Ballot ballot) {
  if (const auto* const value = disk_->find(key_of(RecordKind::kPromise, Slot(1)))) {
    const AlignedBytes aligned(*value);
    Prepare record;
    check(decode(aligned.bytes(), cluster_.size(), record), "a promise does not decode");
    if (record.ballot >= ballot) return;
  }
  const auto& image = disk_->image();
  for (auto at = image.lower_bound(key_of(RecordKind::kEntry, Slot(1)));
       at != image.end() && at->first.kind == static_cast<std::uint8_t>(RecordKind::kEntry); ++at) {
    if (Ballot::from_packed(round_of(at->second)) >= ballot) return;
  }
  checker_.wrong(from_, Slot(), "a promise that is not on disk");
}

Ballot LogChecker::durable_vote(Slot slot) const {
  const auto* const value = disk_->find(key_of(RecordKind::kEntry, slot));
  return value == nullptr ? kInitialBallot : Ballot::from_packed(round_of(*value));
}

/// By the image on the disk: its records were erased, whatever memory still holds.
bool LogChecker::is_covered(Slot slot) const {
  const std::vector<std::byte> covered = durable_coverage_bytes(*disk_);
  return !covered.empty() && slot <= decode_log_coverage(covered)->slot;
}

void LogChecker::check_message(const Prepare& message) {
  expect_promise(message.ballot);
  checker_.promised(from_, message.ballot);
}

void LogChecker::check_message(const Promise& message) {
  expect_promise(message.ballot);
  for (const Promise::Voted& each : message.votes) {
    const Ballot last = Ballot::from_packed(each.entry.round);
    checker_.proposed(from_, each.slot, last, hash_of(each.entry));
    checker_.reported(from_, each.slot, std::max(message.ballot, last), last);
  }
  checker_.promised(from_, message.ballot);
}

void LogChecker::check_message(const Accept& message) {
  for_each_entry(message.first, message.entries, cluster_.size(),
                 [&](Slot slot, const Entry& entry, Bytes) {
                   checker_.proposed(from_, slot, message.ballot, hash_of(entry));
                 });
}

void LogChecker::check_message(const Accepted& message) {
  for (Slot slot = message.first; slot <= message.last; slot = slot.next()) {
    if (durable_vote(slot) < message.ballot && !is_covered(slot)) {
      checker_.wrong(from_, slot, "a vote that is not on disk");
    }
    checker_.voted(from_, slot, message.ballot);
  }
}

void LogChecker::check_message(const Learn& message) {
  for_each_entry(message.first, message.entries, cluster_.size(),
                 [&](Slot slot, const Entry& entry, Bytes) {
                   checker_.proposed(from_, slot, Ballot::from_packed(entry.round), hash_of(entry));
                   checker_.chosen(from_, slot, hash_of(entry));
                 });
}

}  // namespace epaxos::compare::multipaxos
