#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/record.h"
#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {
namespace {

constexpr int kN = 3;

/// A copy in memory of its own, so that a read past the end shows under a sanitizer.
class Body {
 public:
  explicit Body(Bytes bytes) : words_((bytes.size() + 7) / 8), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(words_.data(), bytes.data(), size_);
  }
  [[nodiscard]] Bytes bytes() const {
    return {reinterpret_cast<const std::byte*>(words_.data()), size_};
  }
  std::byte& operator[](std::size_t i) { return reinterpret_cast<std::byte*>(words_.data())[i]; }

 private:
  std::vector<std::uint64_t> words_;
  std::size_t size_;
};

template <class Message>
Body encoded(const Message& message) {
  Effects effects;
  return Body(effects.view(encode(message, effects)));
}

template <class Message>
Message round_trip(const Body& body) {
  Message message;
  EXPECT_TRUE(decode(body.bytes(), kN, message));
  return message;
}

const std::vector<std::byte>& block() {
  static const std::vector<std::byte> block = block_of({write("x", 41)});
  return block;
}

bool same(Bytes a, Bytes b) {
  return std::ranges::equal(a, b);
}

const InstanceId kInstance = id(kC, 0x112233);
const Ballot kBallot{5, kB};
const Ballot kOtherBallot{4, kC};
const Dependencies kInitial{11, 12, 13};
const Dependencies kLarger{21, 22, 13};
const Dependencies kLargest{31, 32, 13};

TEST(Codec, PreAcceptComesBackAsItWas) {
  const Body body = encoded(PreAccept{kInstance, kInitial, block()});

  const auto m = round_trip<PreAccept>(body);

  EXPECT_EQ(m.instance, kInstance);
  EXPECT_EQ(m.initial, kInitial);
  EXPECT_TRUE(same(m.block, block()));
}

TEST(Codec, AnEmptyBlockHasNoAddressAndIsNotReadFrom) {
  const Body body = encoded(PreAccept{kInstance, kInitial, {}});

  EXPECT_TRUE(round_trip<PreAccept>(body).block.empty());
}

TEST(Codec, PreAcceptOkComesBackAsItWas) {
  const Body differs = encoded(PreAcceptOk{kInstance, false, kLarger});
  const Body equal = encoded(PreAcceptOk{kInstance, true, {}});

  EXPECT_EQ(round_trip<PreAcceptOk>(differs).dependencies, kLarger);
  EXPECT_FALSE(round_trip<PreAcceptOk>(differs).initial);
  EXPECT_TRUE(round_trip<PreAcceptOk>(equal).initial);
}

TEST(Codec, AcceptComesBackAsItWas) {
  const Body body = encoded(Accept{kInstance, kBallot, false, kLarger, block()});
  const Body nop = encoded(Accept{kInstance, kBallot, true, {}, {}});

  const auto m = round_trip<Accept>(body);
  EXPECT_EQ(m.instance, kInstance);
  EXPECT_EQ(m.ballot, kBallot);
  EXPECT_EQ(m.dependencies, kLarger);
  EXPECT_TRUE(same(m.block, block()));
  EXPECT_TRUE(round_trip<Accept>(nop).nop);
}

TEST(Codec, CommitComesBackAsItWasInEveryKind) {
  const Body full = encoded(Commit{kInstance, CommitKind::kFull, kLarger, block()});
  const Body dependencies = encoded(Commit{kInstance, CommitKind::kDependencies, kLarger, {}});
  const Body initial = encoded(Commit{kInstance, CommitKind::kInitial, {}, {}});
  const Body nop = encoded(Commit{kInstance, CommitKind::kNop, {}, {}});

  EXPECT_EQ(round_trip<Commit>(full).dependencies, kLarger);
  EXPECT_TRUE(same(round_trip<Commit>(full).block, block()));
  EXPECT_EQ(round_trip<Commit>(dependencies).dependencies, kLarger);
  EXPECT_EQ(round_trip<Commit>(initial).kind, CommitKind::kInitial);
  EXPECT_EQ(round_trip<Commit>(nop).kind, CommitKind::kNop);
}

TEST(Codec, SmallMessagesComeBackAsTheyWere) {
  const auto accept_ok = round_trip<AcceptOk>(encoded(AcceptOk{kInstance, kBallot}));
  const auto recover = round_trip<Recover>(encoded(Recover{kInstance, kBallot}));
  const auto nack = round_trip<Nack>(encoded(Nack{kInstance, kOtherBallot, kBallot}));
  const auto waiting = round_trip<Waiting>(encoded(Waiting{kInstance, 5}));
  const auto status = round_trip<Status>(encoded(Status{kInstance}));
  const auto fetch = round_trip<FetchRange>(encoded(FetchRange{kB, Slot(7), Slot(9)}));
  const auto end = round_trip<RangeEnd>(encoded(RangeEnd{kB, Slot(10), true}));
  const auto truncated = round_trip<Truncated>(encoded(Truncated{kInstance, kInitial}));

  EXPECT_EQ(accept_ok.instance, kInstance);
  EXPECT_EQ(accept_ok.ballot, kBallot);
  EXPECT_EQ(recover.ballot, kBallot);
  EXPECT_EQ(nack.heard, kOtherBallot);
  EXPECT_EQ(nack.current, kBallot);
  EXPECT_EQ(waiting.mask, 5);
  EXPECT_EQ(status.instance, kInstance);
  EXPECT_EQ(fetch.row, kB);
  EXPECT_EQ(fetch.from, Slot(7));
  EXPECT_EQ(fetch.to, Slot(9));
  EXPECT_EQ(end.next, Slot(10));
  EXPECT_TRUE(end.more);
  EXPECT_EQ(truncated.floor, kInitial);
}

TEST(Codec, RecoveryMessagesComeBackAsTheyWere) {
  const RecoverOk sent{kInstance,    kBallot,  true,    true,     true,   false,
                       kOtherBallot, kInitial, kLarger, kLargest, block()};
  const Body promise_body = encoded(sent);
  const auto promise = round_trip<RecoverOk>(promise_body);
  EXPECT_EQ(promise.ballot, kBallot);
  EXPECT_EQ(promise.accepted_ballot, kOtherBallot) << "two ballots, never one (R1, R25)";
  EXPECT_EQ(promise.initial, kInitial);
  EXPECT_EQ(promise.pre_accept_dependencies, kLarger);
  EXPECT_EQ(promise.vote_dependencies, kLargest);
  EXPECT_TRUE(same(promise.block, block()));
  EXPECT_TRUE(promise.recorded && promise.pre_accepted && promise.voted && !promise.vote_nop);

  const Body validate_body = encoded(Validate{kInstance, kBallot, kInitial, block()});
  const auto validate = round_trip<Validate>(validate_body);
  EXPECT_EQ(validate.initial, kInitial);
  EXPECT_EQ(validate.ballot, kBallot);

  const ValidateOk answer{kInstance, kBallot, {{id(kA, 3), true, false}, {id(kB, 4), false, true}}};
  EXPECT_EQ(round_trip<ValidateOk>(encoded(answer)).blockers, answer.blockers);
  EXPECT_TRUE(round_trip<ValidateOk>(encoded(ValidateOk{kInstance, kBallot, {}})).blockers.empty());
}

TEST(Codec, FrontierComesBackAsItWas) {
  const auto m = round_trip<Frontier>(encoded(Frontier{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}));

  EXPECT_EQ(m.executed, (Dependencies{1, 2, 3}));
  EXPECT_EQ(m.floor, (Dependencies{4, 5, 6}));
  EXPECT_EQ(m.known, (Dependencies{7, 8, 9}));
}

TEST(Codec, RecordsComeBackWithAllFieldsDistinct) {
  VoteRecord vote;
  vote.ballot = kBallot;
  vote.accepted_ballot = kOtherBallot;
  vote.pre_accepted = true;
  vote.pre_accept_dependencies = kLarger;
  vote.voted = true;
  vote.vote_dependencies = kLargest;
  vote.block = block();
  const Body vote_body = encoded(vote);
  const auto v = round_trip<VoteRecord>(vote_body);
  EXPECT_EQ(v.ballot, kBallot);
  EXPECT_EQ(v.accepted_ballot, kOtherBallot);
  EXPECT_EQ(v.pre_accept_dependencies, kLarger);
  EXPECT_EQ(v.vote_dependencies, kLargest);
  EXPECT_TRUE(same(v.block, block()));

  const Body decision_body = encoded(DecisionRecord{false, false, kLarger, block()});
  EXPECT_EQ(round_trip<DecisionRecord>(decision_body).dependencies, kLarger);
  EXPECT_TRUE(round_trip<DecisionRecord>(encoded(DecisionRecord{true, false, {}, {}})).nop);
  EXPECT_TRUE(round_trip<DecisionRecord>(encoded(DecisionRecord{false, true, {}, {}})).initial);
}

// Every message with values at the edge of what is allowed, and just beyond it.
TEST(Codec, ValuesOutOfRangeAreRefused) {
  const auto refused = [](const auto& message) {
    const Body body = encoded(message);
    auto copy = message;
    return !decode(body.bytes(), kN, copy);
  };
  EXPECT_TRUE(refused(Status{id(ReplicaId(3), 1)})) << "row outside of the group";
  EXPECT_TRUE(refused(Status{id(kA, 0)})) << "slots start at 1";
  EXPECT_TRUE(refused(Status{id(kA, kSlotMax + 1)}));
  EXPECT_TRUE(refused(Recover{kInstance, Ballot{1, ReplicaId(3)}})) << "owner of the ballot";
  EXPECT_TRUE(refused(Recover{kInstance, Ballot{kBallotRoundMax + 1, kA}}));
  EXPECT_TRUE(refused(PreAccept{id(kA, 5), {5, 0, 0}, block()})) << "depends on itself";
  EXPECT_TRUE(refused(PreAccept{id(kA, 5), {4, 0, 0, 0}, block()})) << "another group's size";
  EXPECT_TRUE(refused(FetchRange{kA, Slot(5), Slot(4)}));
  EXPECT_TRUE(refused(Waiting{kInstance, 8}));
  EXPECT_FALSE(refused(PreAccept{id(kA, 5), {4, 0, 0}, block()}));

  VoteRecord vote;
  EXPECT_FALSE(refused(vote));
  vote.ballot = Ballot{1, ReplicaId(3)};
  EXPECT_TRUE(refused(vote)) << "a promise to nobody";
  vote.ballot = Ballot{1, kA};
  vote.accepted_ballot = Ballot{2, kA};
  EXPECT_TRUE(refused(vote)) << "a vote beyond the promise";
}

TEST(Codec, TruncatedAndExtendedBodiesAreRefused) {
  const Body body = encoded(PreAccept{kInstance, kInitial, block()});
  PreAccept m;
  for (std::size_t size = 0; size < body.bytes().size(); ++size) {
    EXPECT_FALSE(decode(Body(body.bytes().first(size)).bytes(), kN, m)) << size;
  }
  std::vector<std::byte> longer(body.bytes().begin(), body.bytes().end());
  longer.resize(longer.size() + 8);
  EXPECT_FALSE(decode(Body(longer).bytes(), kN, m));
}

/// Whatever the bytes, decoding ends, reads nothing outside, and gives values within range.
template <class Message>
void survive_mutations(const Message& message, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const Body original = encoded(message);
  for (int round = 0; round < 3000; ++round) {
    Body body = original;
    const std::size_t changes = 1 + random() % 4;
    for (std::size_t i = 0; i < changes; ++i) {
      body[random() % body.bytes().size()] = static_cast<std::byte>(random());
    }
    const std::size_t size =
        random() % 4 == 0 ? random() % (body.bytes().size() + 1) / 8 * 8 : body.bytes().size();
    Message out;
    const Body cut(body.bytes().first(size));
    if (!decode(cut.bytes(), kN, out)) continue;
    Effects again;
    const Body second(again.view(encode(out, again)));
    Message twice;
    EXPECT_TRUE(decode(second.bytes(), kN, twice)) << "what was accepted can be said again";
  }
}

TEST(Codec, MutatedBytesNeverCrashAndWhatIsAcceptedIsWellFormed) {
  survive_mutations(PreAccept{kInstance, kInitial, block()}, 1);
  survive_mutations(PreAcceptOk{kInstance, false, kLarger}, 2);
  survive_mutations(Accept{kInstance, kBallot, false, kLarger, block()}, 3);
  survive_mutations(Commit{kInstance, CommitKind::kFull, kLarger, block()}, 4);
  survive_mutations(RecoverOk{kInstance, kBallot, true, true, true, false, kOtherBallot, kInitial,
                              kLarger, kLargest, block()},
                    5);
  survive_mutations(ValidateOk{kInstance, kBallot, {{id(kA, 3), true, false}}}, 6);
  survive_mutations(Frontier{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}, 7);
  survive_mutations(FetchRange{kB, Slot(7), Slot(9)}, 8);
  survive_mutations(Nack{kInstance, kOtherBallot, kBallot}, 9);
}

}  // namespace
}  // namespace epaxos::protocol
