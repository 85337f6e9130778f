// Messages and records to bytes and back, and what is refused.

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

template <class Message>
std::vector<std::byte> bytes_of_message(const Message& message) {
  Effects out;
  const Bytes bytes = out.view(encode(message, out));
  return {bytes.begin(), bytes.end()};
}

template <class Message>
void expect_round_trip(const Message& message) {
  const AlignedBytes bytes(bytes_of_message(message));
  Message heard;
  ASSERT_TRUE(decode(bytes.bytes(), 3, heard));
  EXPECT_EQ(heard, message);
  for (std::size_t size = 0; size < bytes.bytes().size(); ++size) {
    EXPECT_FALSE(decode(AlignedBytes(bytes.bytes().first(size)).bytes(), 3, heard)) << size;
  }
  std::vector<std::byte> longer(bytes.bytes().begin(), bytes.bytes().end());
  longer.resize(longer.size() + 8);
  EXPECT_FALSE(decode(AlignedBytes(longer).bytes(), 3, heard)) << "trailing bytes";
}

TEST(Codec, EveryMessageRoundTripsAndRefusesWhatIsCutOrTooLong) {
  expect_round_trip(RequestVote{Term(3), LogIndex(7), Term(2), true, false, 9, Term(2)});
  expect_round_trip(RequestVoteReply{Term(3), true, false, 9, Term(2)});
  expect_round_trip(AppendEntriesReply{
      Term(9), false, true, LogIndex(5), {}, Term(4), LogIndex(3), 77, 9, Term(8)});
  AppendEntriesReply promise{Term(9), true, true, LogIndex(5), LogIndex(5), {}, {}, 77, 9, Term(8)};
  promise.promised_us = 300'000;
  expect_round_trip(promise);
  expect_round_trip(ReadIndex{3, 9});
  expect_round_trip(ReadIndexReply{3, 9, LogIndex(kLogSlotMax)});
  expect_round_trip(Truncated{Term(2), LogIndex(5), LogIndex(9), 12});
  expect_round_trip(TimeoutNow{Term(4)});
  expect_round_trip(Hello{Term(0), 12, Term(0)});
  expect_round_trip(Forgot{Term(4)});
  expect_round_trip(HardState{Term(4), kC});
  expect_round_trip(HardState{Term(4), std::nullopt});
}

TEST(Codec, EntriesRoundTrip) {
  const std::vector<std::byte> three = entries(6, {2, 2, 4});
  const AlignedBytes bytes(bytes_of_message(append(4, 5, 2, three, 3)));
  AppendEntries heard;
  ASSERT_TRUE(decode(bytes.bytes(), 3, heard));
  EXPECT_TRUE(std::ranges::equal(heard.entries, three));
  EXPECT_EQ(heard.prev_log_index, LogIndex(5));
}

TEST(Codec, NonsenseIsRefused) {
  const auto refused = [](const auto& message) {
    auto heard = message;
    return !decode(AlignedBytes(bytes_of_message(message)).bytes(), 3, heard);
  };
  EXPECT_TRUE(refused(append(4, 5, 2, entries(6, {5})))) << "an entry of a later term";
  EXPECT_TRUE(refused(append(4, 5, 3, entries(6, {2})))) << "terms fall";
  EXPECT_TRUE(refused(append(4, 5, 0))) << "an entry without a term";
  EXPECT_TRUE(refused(append(4, 0, 2))) << "a term without an entry";
  EXPECT_TRUE(refused(append(0, 0, 0))) << "no term is 0";
  EXPECT_TRUE(refused(append(2, 5, 3))) << "a log of the future";
  EXPECT_TRUE(refused(RequestVote{Term(2), LogIndex(5), Term(3), false, false}));
  EXPECT_TRUE(refused(HardState{Term(2), kE})) << "nobody of this group";
  EXPECT_TRUE(refused(Truncated{Term(2), LogIndex(0), LogIndex(0), 0}));
  EXPECT_TRUE(refused(Truncated{Term(2), LogIndex(8), LogIndex(5), 0})) << "it is not committed";
  EXPECT_FALSE(refused(Truncated{Term(2), LogIndex(7), LogIndex(5), 0}));
  AppendEntriesReply promise{Term(9), true, true, LogIndex(5), LogIndex(5), {}, {}, 0};
  promise.promised_us = 300'000;
  EXPECT_TRUE(refused(promise)) << "a promise from no time on";
  promise.sent_at = 77;
  EXPECT_FALSE(refused(promise));
  promise.conflict_index = LogIndex(3);
  EXPECT_TRUE(refused(promise)) << "agreement and conflict";
  promise.conflict_index = LogIndex();
  promise.match_index = LogIndex(6);
  EXPECT_TRUE(refused(promise)) << "more than was asked about";
  promise.match_index = LogIndex(5);
  promise.voting = false;
  EXPECT_TRUE(refused(promise)) << "a promise that is worth nothing";
  EXPECT_TRUE(refused(ReadIndex{0, 9}));
  EXPECT_TRUE(refused(ReadIndex{3, 0}));
  EXPECT_TRUE(refused(ReadIndexReply{3, 0, LogIndex(1)}));
  EXPECT_TRUE(refused(ReadIndexReply{3, 9, LogIndex(kLogSlotMax + 1)}));
  EXPECT_TRUE(refused(AppendEntriesReply{Term(9), false, true, LogIndex(5), LogIndex(1), {}, {}}))
      << "a conflict that has something";
  AppendEntries floor = append(4, 5, 2, {}, 3);
  floor.floor = LogIndex(4);
  EXPECT_TRUE(refused(floor)) << "all have what is not committed";
  EXPECT_FALSE(refused(append(4, 5, 2, entries(6, {2}))));
}

// What lies beyond is closer to 2^64 than any log or term comes.
TEST(Codec, TermsAndIndexesAreBounded) {
  const auto refused = [](const auto& message) {
    auto heard = message;
    return !decode(AlignedBytes(bytes_of_message(message)).bytes(), 3, heard);
  };
  for (const std::uint64_t beyond : {kTermMax + 1, ~std::uint64_t{0}}) {
    const LogIndex far(beyond);
    const Term late(beyond);
    EXPECT_TRUE(refused(RequestVote{late, {}, {}, false, false}));
    EXPECT_TRUE(refused(RequestVote{Term(2), far, Term(1), false, false}));
    EXPECT_TRUE(refused(RequestVote{Term(2), {}, {}, false, false, 1, late}));
    EXPECT_TRUE(refused(RequestVoteReply{late, true, false}));
    EXPECT_TRUE(refused(RequestVoteReply{Term(2), true, false, 1, late}));
    EXPECT_TRUE(refused(append(beyond, 0, 0)));
    EXPECT_TRUE(refused(append(2, beyond, 1)));
    EXPECT_TRUE(refused(append(2, 1, 1, {}, beyond)));
    EXPECT_TRUE(refused(AppendEntriesReply{late, true, true, {}, {}, {}, {}}));
    EXPECT_TRUE(refused(AppendEntriesReply{Term(2), true, true, far, {}, {}, {}}));
    EXPECT_TRUE(refused(AppendEntriesReply{Term(2), false, true, {}, {}, {}, far}));
    EXPECT_TRUE(refused(Truncated{late, LogIndex(1), LogIndex(1), 0}));
    EXPECT_TRUE(refused(Truncated{Term(2), far, far, 0}));
    EXPECT_TRUE(refused(TimeoutNow{late}));
    EXPECT_TRUE(refused(Hello{late, 1, Term(1)}));
    EXPECT_TRUE(refused(Hello{Term(1), 1, late}));
    EXPECT_TRUE(refused(Forgot{late}));
    EXPECT_TRUE(refused(HardState{late, {}}));
  }
}

TEST(Receive, CountsWhatItDoesNotUnderstand) {
  Subject a(kA, 3);
  a.deliver_bytes(kB, 3, {});
  a.deliver_bytes(kB, 99, {});
  EXPECT_EQ(a.count(Count::kMalformedFrame), 1u);
  EXPECT_EQ(a.count(Count::kUnknownType), 1u);
  a.core.receive(kB, {GroupId(4), {}, 1, {}}, a.effects);
  a.core.receive(kB, {{}, Epoch(4), 1, {}}, a.effects);
  EXPECT_EQ(a.count(Count::kWrongGroup), 1u);
  EXPECT_EQ(a.count(Count::kWrongEpoch), 1u);
}

/// What a restart says to a disk.
Result<void> restored(const Disk& disk, Bytes image = {}) {
  RaftCore core(config(kA, 3));
  if (!image.empty()) {
    if (const Result<void> covered = core.restore_coverage(image); !covered) return covered;
  }
  for (const auto& [key, value] : disk) {
    if (const Result<void> taken = core.restore(key, value); !taken) return taken;
  }
  return {};
}

RecordKey entry_key(std::uint64_t index) {
  return {static_cast<std::uint8_t>(RecordKind::kEntry), {}, {}, {}, Slot(index)};
}

TEST(Restore, RefusesADiskThatCannotBe) {
  EXPECT_TRUE(restored(disk_of({1, 1, 2}, 2)));

  Disk gap = disk_of({1, 1, 2}, 2);
  gap.erase(entry_key(2));
  EXPECT_FALSE(restored(gap));

  Disk first_missing = disk_of({1, 1, 2}, 2);
  first_missing.erase(entry_key(1));
  EXPECT_FALSE(restored(first_missing)) << "without an image";

  EXPECT_FALSE(restored(disk_of({1, 3, 2}, 3))) << "terms fall";
  EXPECT_FALSE(restored(disk_of({1, 5}, 2))) << "a later term than the replica's";

  Disk cut = disk_of({1, 1}, 2);
  cut[entry_key(2)].pop_back();
  EXPECT_FALSE(restored(cut));

  Disk of_another_row = disk_of({1}, 2);
  RecordKey key = entry_key(2);
  key.row = kB;
  of_another_row[key] = entry_at(2, 1);
  EXPECT_FALSE(restored(of_another_row));

  Disk unknown = disk_of({1}, 2);
  unknown[{9, {}, {}, {}, Slot(1)}] = {};
  EXPECT_FALSE(restored(unknown));

  std::vector<std::byte> image;
  encode(LogCoverage{Slot(1), 1, {Epoch(), 5}, {}, {ReplicaSet::all(3)}}, image);
  EXPECT_FALSE(restored(disk_of({1}, 2), image)) << "another membership";
}

}  // namespace
}  // namespace epaxos::compare::raft
