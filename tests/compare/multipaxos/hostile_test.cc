// A core among peers that say anything that decodes, over a disk that is late or full: it never
// stops, and what it has executed it never takes back.

#include <random>

#include "tests/compare/log/support.h"
#include "tests/compare/multipaxos/support.h"

namespace epaxos::compare::multipaxos {
namespace {

class Storm {
 public:
  Storm(unsigned seed, int n)
      : random_(seed),
        n_(n),
        subject_(multipaxos({.learn_from_all = seed % 4 == 0}), small(n)),
        highest_(seed % 10 == 0 ? kBallotRoundMax - 8 : 1) {}

  [[nodiscard]] std::uint64_t count(std::string_view counter) const {
    return subject_.count(counter);
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      look();
    }
  }

 private:
  static CoreConfig small(int n) {
    CoreConfig small;
    small.replica_count = n;
    small.held_executed_max = 4;
    small.held_undecided_max = 16;
    small.image_lag_instances = 8;
    small.reads = Reads::kIndex;
    return small;
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  ReplicaId peer() { return replica_at(1 + below(static_cast<std::uint64_t>(n_) - 1)); }
  /// About where the next decision falls, seldom far above it.
  Slot slot() {
    const std::uint64_t low = decided_.value() - std::min(decided_.value(), below(3));
    return Slot(low + 1 + below(8) + (below(30) == 0 ? 100 : 0));
  }
  Ballot ballot_of(ReplicaId replica) {
    if (below(3) == 0) highest_ += below(2);
    return {highest_ + 1 - std::min(highest_, below(2)), replica};
  }
  /// As often as not one that this replica leads or prepares at.
  Ballot own() { return below(4) == 0 ? ballot_of(kA) : last_own_; }
  /// What an honest group would have there, mostly.
  std::vector<std::byte> entry(Slot at, Ballot ballot) {
    if (below(6) == 0) return nop_at(ballot);
    return entry_of(ballot.packed(), replica_at(at.value() % 3), 1 + at.value() / 3 + below(8) / 7);
  }
  std::vector<std::byte> entries(Slot first, Ballot ballot) {
    std::vector<std::byte> all;
    for (std::uint64_t left = 1 + below(4); left > 0; --left, first = first.next()) {
      const std::vector<std::byte> next = entry(first, ballot);
      all.insert(all.end(), next.begin(), next.end());
    }
    return all;
  }

  template <class Message>
  void tell(ReplicaId from, const Message& message) {
    const auto words = words_of(message);
    subject_.turn([&](Effects& out) {
      const auto type = static_cast<net::FrameType>(Message::kType);
      subject_.core->receive(from, {{}, {}, type, std::as_bytes(std::span(words))}, out);
    });
  }

  void tell_promise(ReplicaId from) {
    Promise promise{own(), decided_.next(), Promise::kThroughAll, {}, {}, {}};
    promise.decided_up_to = below(2) == 0 ? decided_ : Slot(slot().value() - 1);
    if (below(5) == 0) promise.decided_up_to = Slot(kLogSlotMax - below(20));
    promise.floor = below(8) == 0 ? promise.decided_up_to : Slot();
    std::vector<std::vector<std::byte>> kept;
    for (Slot at = promise.decided_up_to.next(); at.value() < kLogSlotMax && below(3) != 0;
         at = Slot(at.value() + 1 + below(4))) {
      Ballot voted = ballot_of(peer());
      if (voted > promise.ballot) voted = promise.ballot;
      kept.push_back(entry(at, voted));
      promise.votes.push_back({at, {}, kept.back()});
    }
    tell(from, promise);
  }

  /// A question at any time, and answers: to the last question, to an earlier one, to none.
  void tell_pre_vote(ReplicaId from) {
    const Tick any[] = {0, 1, below(subject_.now + 2), subject_.now + 1, kNever - 1, kNever};
    const Tick time = any[below(std::size(any))];
    if (below(2) == 0) return tell(from, PreVote{time});
    tell(from, PreVoteOk{time});
    if (time == asked_at_) miss_it_.add(from);
  }

  void step() {
    const ReplicaId from = peer();
    const Slot at = slot();
    if (is_asked_ && below(2) == 0) {
      is_asked_ = below(3) > 0;
      miss_it_.add(from);
      return tell(from, PreVoteOk{asked_at_});
    }
    if (role_ == "candidate" && below(3) == 0) return tell_promise(from);
    switch (below(20)) {
      case 0:
      case 1:
      case 2: {
        const Ballot ballot = ballot_of(from);
        const auto proposed = entries(at, ballot);
        return tell(from, Accept{ballot, Slot(below(at.value())), at, proposed});
      }
      case 3:
        return tell(from, Prepare{ballot_of(from), slot()});
      case 4:
      case 5:
        return tell_promise(from);
      case 6:
      case 7:
        return tell(from, Accepted{own(), at, Slot(at.value() + below(6))});
      case 8:
        return tell(from, Accepted{ballot_of(peer()), at, Slot(at.value() + below(6))});
      case 9:
        return tell(from, Nack{own(), {highest_ + 2, from}});
      case 10:
        return tell(from, Heartbeat{ballot_of(from), at, Slot(at.value() + below(3)), below(2)});
      case 11:
        return tell(from, Learn{at, entries(at, ballot_of(peer()))});
      case 12:
        return below(8) == 0 ? tell(from, Truncated{at}) : tell(from, Fetch{Slot(1), at});
      case 13: {
        const std::vector<std::byte> block = block_of("x");
        return tell(from, Forward{1 + below(2), 1 + below(4), block});
      }
      case 14:
        tell(from, HeartbeatOk{own(), 1 + below(subject_.now + 2), 0});
        tell(from, ReadIndex{1, 1 + below(5)});
        return tell(from, ReadIndexReply{kLife, below(3) + 1, at});
      case 15:
        subject_.now += below(700'000);
        return subject_.turn([&](Effects& out) { subject_.core->tick(subject_.now, out); });
      case 16:
        return image();
      case 17:
        subject_.lags = below(3) == 0;
        if (!subject_.lags) subject_.catch_up();
        return subject_.core->storage_full(below(8) == 0);
      case 18:
        return tell_pre_vote(from);
      default:
        return propose();
    }
  }

  void propose() {
    const Proposal proposal{{{9, ++commands_}, 0, below(4) == 0, epaxos::bytes_of("payload")},
                            Footprint::write("x")};
    subject_.turn([&](Effects& out) { subject_.core->propose({&proposal, 1}, out); });
  }

  void image() {
    if (below(2) == 0) return subject_.make_image();
    LogCoverage coverage{slot(), kBallot.packed(), {Epoch(), n_}, {}};
    coverage.executed.set(kA, {kLife, 1 + below(3)});
    std::vector<std::byte> bytes;
    encode(coverage, bytes);
    if (subject_.lags || !subject_.core->may_install(bytes)) return;
    subject_.turn([&](Effects& out) { subject_.core->install(bytes, out); });
  }

  void look() {
    const CoreStatus status = subject_.status();
    const std::uint64_t started = count("ballots_started");
    if (started > started_ && role_ != "leader") {
      EXPECT_GT(2 * (miss_it_.size() + 1), n_) << "no majority misses the leader";
    }
    started_ = started;
    role_ = status.role;
    EXPECT_GE(status.rows[0].committed_up_to, decided_);
    EXPECT_GE(status.rows[0].executed_up_to, executed_);
    EXPECT_LE(status.rows[0].executed_up_to, status.rows[0].committed_up_to);
    decided_ = status.rows[0].committed_up_to;
    executed_ = status.rows[0].executed_up_to;
    for (const Letter& each : subject_.sent) {
      Prepare prepare;
      if (PreVote asked; is(each, MessageType::kPreVote) && each.to == kB) {
        EXPECT_TRUE(decode(each.body(), n_, asked));
        asked_at_ = asked.sent_at;
        is_asked_ = true;
        miss_it_ = {};
      }
      if (!is(each, MessageType::kPrepare)) continue;
      EXPECT_TRUE(decode(each.body(), n_, prepare));
      EXPECT_GE(prepare.ballot, last_own_) << "a ballot comes back";
      last_own_ = prepare.ballot;
      highest_ = std::max(highest_, last_own_.round);
    }
    subject_.sent.clear();
  }

  static constexpr std::uint64_t kLife = CoreConfig{}.life + 1;

  std::mt19937 random_;
  const int n_;
  StagedCore subject_;
  std::uint64_t highest_;
  Ballot last_own_{1, kA};
  Tick asked_at_ = 0;          // The last question whether others miss the leader,
  bool is_asked_ = false;      // which more of them may answer,
  ReplicaSet miss_it_;         // and these have.
  std::uint64_t started_ = 0;  // Ballots.
  std::string role_;
  Slot decided_;
  Slot executed_;
  std::uint64_t commands_ = 0;
};

TEST(Hostile, WhateverIsSaidTheCoreGoesOnAndTakesNothingBack) {
  constexpr const char* kReached[] = {"ballots_opened",
                                      "stepped_down",
                                      "adopted",
                                      "nops",
                                      "decided",
                                      "learned",
                                      "learned_by_told",
                                      "pre_votes",
                                      "pre_votes_with_leader",
                                      "images_installed",
                                      "truncated_received",
                                      "refused_contradicts_vote",
                                      "refused_contradicts_decision",
                                      "refused_too_far_ahead",
                                      "refused_never_asked",
                                      "refused_last_ballot",
                                      "refused_malformed_frame",
                                      "refused_storage_full"};
  std::map<std::string, std::uint64_t> reached;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Storm storm(seed, seed % 2 == 0 ? 3 : 5);
    storm.run(300);
    if (::testing::Test::HasFailure()) return;
    for (const char* each : kReached) reached[each] += storm.count(each);
  }
  for (const char* each : kReached) EXPECT_GT(reached[each], 50u) << each;
}

}  // namespace
}  // namespace epaxos::compare::multipaxos
