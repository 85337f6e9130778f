// Reads that take no slot: by the index of the leader, and by its lease.

#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

constexpr Tick kElection = CoreConfig{}.election_us;

CoreConfig reading(Reads reads) {
  CoreConfig config;
  config.reads = reads;
  return config;
}

bool is_beat(const Letter& letter) {
  return is(letter, MessageType::kHeartbeat);
}

/// Replica 0 leads, and has an entry decided. Its clock, alone, has moved on.
void lead(Group& group) {
  group.make_leader(0);
  group.propose(0, 1);
  group.deliver_all();
  group[0].now += 1'000;
}

/// What somebody says to replica 0.
template <class Message>
void tell(Group& group, ReplicaId from, const Message& message) {
  const auto words = words_of(message);
  group[0].turn([&](Effects& out) {
    const Bytes body{reinterpret_cast<const std::byte*>(words.data()), words.size() * 8};
    group[0].core->receive(from, {{}, {}, static_cast<net::FrameType>(Message::kType), body}, out);
  });
  group.collect();
}

/// The time of the heartbeats that are on their way; 0: they want no answer.
Tick beat_sent_at(const Group& group) {
  Tick sent_at = 0;
  for (const Letter& letter : group.letters) {
    Heartbeat beat;
    if (is_beat(letter) && decode(letter.body(), 3, beat)) {
      sent_at = std::max(sent_at, beat.sent_at);
    }
  }
  return sent_at;
}

// --- By the index ------------------------------------------------------------------------------

TEST(MultiPaxosReads, TheLeaderAnswersWhenAQuorumHasPromisedNobodyElseSince) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);

  group.propose_read(0, 5);
  EXPECT_EQ(group.on_their_way(MessageType::kHeartbeat), 2u) << "a round begins at once";
  EXPECT_TRUE(group[0].read.empty());
  group.deliver_all();

  EXPECT_EQ(group[0].read, commands(5, 5));
  EXPECT_EQ(group[0].executed, commands(1, 1));
  EXPECT_EQ(group[0].count("read_rounds"), 1u);
  EXPECT_EQ(group[0].count("proposed_entries"), 1u) << "it takes no slot";
}

TEST(MultiPaxosReads, AnAnswerToWhatLeftBeforeTheReadCameConfirmsNothing) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);
  group.propose_read(0, 5);
  const Tick first = beat_sent_at(group);
  group.lose(is_beat);
  group[0].now += 1'000;
  group.propose_read(0, 6);
  group.lose(is_beat);

  const Ballot ballot{1, ReplicaId(0)};
  tell(group, ReplicaId(1), HeartbeatOk{ballot, first});

  EXPECT_EQ(group[0].read, commands(5, 5)) << "and not the later one";
  tell(group, ReplicaId(1), HeartbeatOk{{2, ReplicaId(0)}, group[0].now});
  EXPECT_EQ(group[0].read, commands(5, 5)) << "of another ballot";
  tell(group, ReplicaId(1), HeartbeatOk{ballot, group[0].now});
  EXPECT_EQ(group[0].read, commands(5, 6));
}

TEST(MultiPaxosReads, WhatLeftInTheSameMicrosecondBeforeTheReadCameConfirmsNothing) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);
  group.propose_read(0, 5);
  const Tick at = group[0].now;
  group.lose(is_beat);

  group.propose_read(0, 6);
  EXPECT_EQ(group.on_their_way(MessageType::kHeartbeat), 0u) << "not with this time again";
  EXPECT_EQ(group[0].core->next_deadline(), 0u);
  tell(group, ReplicaId(1), HeartbeatOk{{1, ReplicaId(0)}, at});

  EXPECT_EQ(group[0].read, commands(5, 5));
}

TEST(MultiPaxosReads, ALeaderThatWasReplacedAnswersNothing) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);
  group.propose_read(0, 5);
  group.letters.clear();
  for (int i = 1; i < 3; ++i) group[i].now += 20 * kElection;
  group[1].turn([&](Effects& out) { group[1].core->tick(group[1].now, out); });
  group.collect();
  group.lose([](const Letter& letter) {
    return letter.to == ReplicaId(0) || letter.from == ReplicaId(0);
  });
  ASSERT_EQ(group[1].status().role, "leader");

  group[0].now += CoreConfig{}.heartbeat_us;
  group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
  group.collect();
  group.deliver_all();
  EXPECT_TRUE(group[0].read.empty());
  group.settle(kSecond);

  EXPECT_EQ(group[0].read, commands(5, 5)) << "the next leader was asked";
  EXPECT_EQ(group[0].count("stepped_down"), 1u);
}

TEST(MultiPaxosReads, ANewLeaderWaitsUntilItKnowsWhatWasDecidedBefore) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);
  group.propose(0, 2);
  group.lose([](const Letter& letter) {
    return letter.to == ReplicaId(0);  // It is chosen, and nobody is told.
  });
  group[0].lose_power();
  for (int i = 1; i < 3; ++i) group[i].now += 20 * kElection;
  group[1].turn([&](Effects& out) { group[1].core->tick(group[1].now, out); });
  group.collect();
  group.lose([](const Letter& letter) { return is(letter, MessageType::kAccepted); });
  ASSERT_EQ(group[1].status().role, "leader");

  group[1].now += 1'000;
  group.propose_read(1, 5);
  group.lose([](const Letter& letter) { return is(letter, MessageType::kAccepted); });
  EXPECT_TRUE(group[1].read.empty());
  group.settle(2 * kSecond);

  EXPECT_EQ(group[1].read, commands(5, 5));
  EXPECT_EQ(group[1].executed, commands(1, 2)) << "the read has seen it";
}

TEST(MultiPaxosReads, AFollowerAsksTheLeaderAndWaitsUntilItHasExecutedAsMuch) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);
  group.propose(0, 2);
  group.lose([](const Letter& letter) { return letter.to == ReplicaId(1); });
  ASSERT_EQ(group[0].executed, commands(1, 2));
  group[0].now += 1'000;

  group.propose_read(1, 5);
  group.lose([](const Letter& letter) {
    const bool is_answer = letter.type == static_cast<net::FrameType>(LogMessage::kReadIndexReply);
    return letter.to == ReplicaId(1) && !is_answer;
  });
  EXPECT_TRUE(group[1].read.empty()) << "it has not executed the second one";
  group.settle(kSecond);

  EXPECT_EQ(group[1].executed, commands(1, 2));
  EXPECT_EQ(group[1].read, commands(5, 5));
}

TEST(MultiPaxosReads, WhereAllLearnFromAllWhatIsProposedMayBeKnownToOthers) {
  Group group(3, {.learn_from_all = true}, reading(Reads::kIndex));
  lead(group);
  group.propose(0, 2);
  group.lose([](const Letter& letter) {
    return letter.to == ReplicaId(0) && is(letter, MessageType::kAccepted);
  });
  ASSERT_EQ(group[1].executed, commands(1, 2));
  ASSERT_EQ(group[0].executed, commands(1, 1));
  group[0].now += 1'000;

  group.propose_read(0, 5);
  group.deliver_all();
  EXPECT_TRUE(group[0].read.empty());
  group.settle(kSecond);

  EXPECT_EQ(group[0].read, commands(5, 5));
}

TEST(MultiPaxosReads, AnAcceptorThatMayNotVoteConfirmsNothing) {
  Group group(3, {}, reading(Reads::kIndex));
  lead(group);
  for (int i = 1; i < 3; ++i) {
    group[i].turn([&](Effects& out) {
      const auto type = static_cast<net::FrameType>(MessageType::kForgot);
      group[i].core->receive(ReplicaId(0), {{}, {}, type, {}}, out);
    });
  }

  group.propose_read(0, 5);
  group.deliver_all();

  EXPECT_TRUE(group[0].read.empty());
}

TEST(MultiPaxosReads, AGroupOfOneAnswersAtOnce) {
  Group group(1, {}, reading(Reads::kIndex));
  group.pass(0);
  group[0].now += 1;
  group.propose_read(0, 5);
  EXPECT_EQ(group[0].read, commands(5, 5));
}

TEST(MultiPaxosReads, UnlessAskedForTheyTakeASlot) {
  Group group(3);
  lead(group);
  group.propose_read(0, 5);
  group.deliver_all();
  EXPECT_EQ(group[0].count("proposed_entries"), 2u);
  EXPECT_TRUE(group[0].read.empty());
}

// --- By the lease ------------------------------------------------------------------------------

/// Time passes for all, and acceptors promise.
Group& leased(Group& group) {
  group.pass(0);
  for (int i = 1; i < 3; ++i) group[i].now = kElection;  // What an earlier life promised is over.
  lead(group);
  group.settle(100'000);
  return group;
}

/// A turn of the leader without any input.
void turn(Group& group, Tick us) {
  group[0].now += us;
  group[0].turn([&](Effects& out) { group[0].core->tick(group[0].now, out); });
  group.collect();
}

TEST(MultiPaxosLease, AReadIsAnsweredInTheTurnAfterItCame) {
  Group group(3, {}, reading(Reads::kLease));
  leased(group);

  group.propose_read(0, 5);
  EXPECT_TRUE(group[0].read.empty()) << "the time of this turn may be older than the read";
  EXPECT_EQ(group[0].core->next_deadline(), 0u);
  turn(group, 1);

  EXPECT_EQ(group[0].read, commands(5, 5));
  EXPECT_EQ(group[0].count("read_rounds"), 0u);
}

TEST(MultiPaxosLease, EndsHalfAPromiseAfterTheHeartbeatWasSent) {
  for (const Tick late : {Tick{0}, kElection / 2 + 1}) {
    Group group(3, {}, reading(Reads::kLease));
    leased(group);
    group.letters.clear();

    group.propose_read(0, 5);
    turn(group, late);

    EXPECT_EQ(group[0].read.size(), late == 0 ? 1u : 0u);
  }
}

TEST(MultiPaxosLease, NobodyElseGetsAPromiseMeanwhileAndEverybodyAfterIt) {
  Group group(3, {}, reading(Reads::kLease));
  leased(group);
  group.letters.clear();
  group[1].turn([&](Effects& out) { group[1].core->tick(group[1].now, out); });
  const Prepare prepare{{9, ReplicaId(2)}, Slot(1)};
  const auto words = words_of(prepare);
  const auto ask = [&] {
    const Bytes body{reinterpret_cast<const std::byte*>(words.data()), words.size() * 8};
    group[1].turn([&](Effects& out) {
      const auto type = static_cast<net::FrameType>(MessageType::kPrepare);
      group[1].core->tick(group[1].now, out);
      group[1].core->receive(ReplicaId(2), {{}, {}, type, body}, out);
    });
    group.collect();
  };

  ask();
  EXPECT_EQ(group.on_their_way(MessageType::kPromise), 0u);
  EXPECT_EQ(group[1].count("ballots_leased"), 1u);
  group[1].now += kElection;
  ask();

  EXPECT_EQ(group.on_their_way(MessageType::kPromise), 1u);
}

TEST(MultiPaxosLease, AfterARestartNobodyGetsAPromiseUntilAnEarlierOneIsOver) {
  Group group(3, {}, reading(Reads::kLease));
  leased(group);
  group.letters.clear();
  group[1].lose_power();
  group[1].boot();
  group.collect();
  group.letters.clear();
  const auto words = words_of(Prepare{{9, ReplicaId(0)}, Slot(1)});
  const auto ask = [&] {
    const Bytes body{reinterpret_cast<const std::byte*>(words.data()), words.size() * 8};
    group[1].turn([&](Effects& out) {
      const auto type = static_cast<net::FrameType>(MessageType::kPrepare);
      group[1].core->tick(group[1].now, out);
      group[1].core->receive(ReplicaId(0), {{}, {}, type, body}, out);
    });
    group.collect();
  };

  ask();
  EXPECT_EQ(group.on_their_way(MessageType::kPromise), 0u) << "not even its last leader";
  group[1].now += kElection;
  ask();

  EXPECT_EQ(group.on_their_way(MessageType::kPromise), 1u);
}

TEST(MultiPaxosLease, IsRenewedAlsoWhileThereIsMuchToPropose) {
  Group group(3, {}, reading(Reads::kLease));
  leased(group);
  std::uint64_t number = 10;
  for (Tick passed = 0; passed < kSecond; passed += 20'000) {
    group.propose(0, ++number);
    group.pass(20'000);
    group.deliver_all();
  }

  group.propose_read(0, 5);
  turn(group, 1);

  EXPECT_EQ(group[0].read, commands(5, 5));
  EXPECT_EQ(group[0].count("read_rounds"), 0u);
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
