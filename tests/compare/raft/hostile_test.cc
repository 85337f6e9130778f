// A core among peers that say anything that decodes, over a disk that is late or full: it never
// stops, and what it must never take back it never takes back.

#include "epaxos/sim/random.h"
#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {
namespace {

class Storm {
 public:
  Storm(std::uint64_t seed, int n)
      : random_(sim::stream(seed, sim::Purpose::kSchedule, 0)), subject_(small(n)) {}

  [[nodiscard]] std::uint64_t count(Count what) const { return subject_.count(what); }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
      look();
    }
  }

 private:
  static CoreConfig small(int n) {
    CoreConfig small = config(kA, n);
    small.image_lag_instances = 3;
    small.held_executed_max = 2;
    small.held_undecided_max = 8;
    return small;
  }
  std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }
  ReplicaId peer() { return replica_at(1 + below(static_cast<std::uint64_t>(subject_.n) - 1)); }
  /// Near the current one, and as often as not that one.
  Term term() {
    const std::uint64_t current = subject_.core.current_term().value();
    const std::uint64_t term =
        below(2) == 0 ? current : current + below(4) - std::min<std::uint64_t>(current, 1);
    return Term(std::max<std::uint64_t>(1, term));
  }
  LogIndex index() { return LogIndex(below(subject_.core.log().last().value() + 4)); }
  Term term_of(LogIndex at, Term limit) {
    if (at == LogIndex()) return Term();
    const LogWindow& log = subject_.core.log();
    if (below(4) != 0 && log.holds(at) && log.round(at) <= limit.value())
      return Term(log.round(at));
    return Term(1 + below(limit.value()));
  }

  /// Anything that a group can be; mostly it is one of them.
  Members members() {
    const auto some = [this] {
      return ReplicaSet::of_bits(static_cast<std::uint16_t>(below(1u << subject_.n)));
    };
    Members members{some(), {}, {}};
    if (below(4) != 0 || members.voters.size() == 0) members.voters.add(kA);
    if (below(2) == 0) members.old_voters = some();
    members.learners = some().without(members.everybody());
    return members;
  }

  AppendEntries append_entries() {
    AppendEntries message;
    message.term = term();
    message.prev_log_index = index();
    message.prev_log_term = term_of(message.prev_log_index, message.term);
    message.leader_commit = index();
    message.floor = LogIndex(below(message.leader_commit.value() + 1));
    message.answer = below(2) == 0;
    message.round_trip_us = static_cast<std::uint32_t>(below(2) * below(1'000'000));
    Terms terms;
    std::uint64_t last = std::max<std::uint64_t>(1, message.prev_log_term.value());
    for (std::uint64_t left = below(4); left > 0; --left) {
      if (below(3) == 0) last += below(message.term.value() - last + 1);
      terms.push_back(last);
    }
    entries_ = entries(message.prev_log_index.value() + 1, terms);
    if (below(8) == 0) {
      const std::vector<std::byte> changed = members_entry(last, members());
      entries_.insert(entries_.end(), changed.begin(), changed.end());
    }
    message.entries = entries_;
    return message;
  }

  AppendEntriesReply append_entries_reply() {
    AppendEntriesReply message;
    message.term = term();
    message.success = below(2) == 0;
    message.voting = below(8) != 0;
    message.prev_log_index = index();
    message.sent_at = below(3);
    if (message.success) {
      message.match_index = LogIndex(below(message.prev_log_index.value() + 1));
    } else {
      message.conflict_index = index();
    }
    return message;
  }
  Truncated truncated() {
    const LogIndex committed = index();
    return {term(), LogIndex(1 + below(committed.value() + 2)), committed, 0};
  }

  void step() {
    switch (below(23)) {
      case 0:
      case 1:
      case 2:
      case 3:
        subject_.deliver(peer(), append_entries());
        return;
      case 4:
      case 5:
        subject_.deliver(peer(), append_entries_reply());
        return;
      case 6: {
        const Term asked = term();
        const LogIndex last = index();
        subject_.deliver(
            peer(), RequestVote{asked, last, term_of(last, asked), below(2) == 0, below(4) == 0});
        return;
      }
      case 7:
      case 8:
        subject_.deliver(peer(), RequestVoteReply{term(), below(4) != 0, below(2) == 0});
        return;
      case 9:
        subject_.deliver(peer(), truncated());
        return;
      case 10:
        subject_.deliver(peer(), TimeoutNow{term()});
        return;
      case 11: {
        const std::vector<std::byte> block = block_of("x");
        subject_.deliver(peer(), Forward{1 + below(2), 1 + below(4), block});
        return;
      }
      case 12:
        subject_.deliver(peer(), Wanted{1, 1 + below(5)});
        return;
      case 13:
        durable_ += below(subject_.effects.batch - durable_ + 1);
        subject_.durable_up_to(durable_);
        return;
      case 14:
        subject_.advance(below(400'000));
        return;
      case 15:
        subject_.propose(++commands_);
        return;
      case 16:
        return image();
      case 17:
      case 18:
        return stand();
      case 19:
        return change_members();
      case 20:  // An honest answer: what is in the log gets committed now and then.
        subject_.acknowledge(peer(), subject_.core.log().last().value());
        return;
      default:
        if (below(4) == 0) {
          subject_.core.storage_full(below(2) == 0);
        } else {
          subject_.apply();
        }
    }
  }

  void change_members() {
    const auto change = below(2) == 0 ? MemberChange::kAdd : MemberChange::kRemove;
    const ReplicaId whom = replica_at(below(static_cast<std::uint64_t>(subject_.n) + 1));
    subject_.turn([&] { (void)subject_.core.change_members(change, whom, subject_.effects); });
  }

  /// It stands for election, and wins it unless its disk is full.
  void stand() {
    if (subject_.core.role() == Role::kLeader) return;
    subject_.advance(2 * subject_.core.patience_us());
    for (int i = 1; i < subject_.n && subject_.core.role() == Role::kPreCandidate; ++i) {
      subject_.deliver(replica_at(i), subject_.pre_vote());
    }
    subject_.durable();
    durable_ = subject_.effects.batch - 1;
    for (int i = 1; i < subject_.n && subject_.core.role() == Role::kCandidate; ++i) {
      subject_.deliver(replica_at(i), subject_.vote());
    }
  }

  void image() {
    subject_.apply();
    std::vector<std::byte> bytes;
    if (below(2) == 0) {
      subject_.core.coverage(bytes);
      if (decode_log_coverage(bytes)->slot > LogIndex()) {
        subject_.turn([&] { subject_.core.image_durable(bytes, subject_.effects); });
      }
      return;
    }
    LogCoverage coverage{index(), 1 + below(4), {Epoch(), subject_.n}, {}, members()};
    coverage.executed.set(kA, {1, 1 + below(3)});
    encode(coverage, bytes);
    if (!subject_.core.may_install(bytes)) return;
    subject_.turn([&] { subject_.core.install(bytes, subject_.effects); });
    subject_.apply();
  }

  void look() {
    const RaftCore& core = subject_.core;
    EXPECT_GE(core.current_term(), term_);
    if (core.current_term() == term_ && voted_for_) {
      EXPECT_EQ(core.voted_for(), voted_for_) << "a vote is taken back";
    }
    EXPECT_GE(core.commit_index(), commit_);
    EXPECT_LE(core.commit_index(), core.log().last());
    EXPECT_LE(core.durable_index(), core.log().last());
    EXPECT_LE(core.executor().executed_up_to(), core.commit_index());
    term_ = core.current_term();
    voted_for_ = core.voted_for();
    commit_ = core.commit_index();
  }

  sim::Random random_;
  Subject subject_;
  std::vector<std::byte> entries_;
  BatchNumber durable_ = 0;
  std::uint64_t commands_ = 0;
  Term term_;
  std::optional<ReplicaId> voted_for_;
  LogIndex commit_;
};

TEST(Hostile, WhateverIsSaidTheCoreGoesOnAndTakesNothingBack) {
  constexpr Count kReached[] = {
      Count::kElectionsWon,     Count::kSteppedDown,       Count::kEntriesOverwritten,
      Count::kCommittedEntries, Count::kContradictsCommit, Count::kSecondLeader,
      Count::kImagesInstalled,  Count::kDroppedEntries,    Count::kTruncatedSent,
      Count::kForwardsTaken,    Count::kMembersAppended,   Count::kMemberChangesRefused,
      Count::kNeverAsked,       Count::kContradictsLog,    Count::kImpossibleMembers};
  std::map<Count, std::uint64_t> reached;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Storm storm(seed, seed % 2 == 0 ? 3 : 5);
    storm.run(300);
    if (::testing::Test::HasFailure()) return;
    for (const Count each : kReached) reached[each] += storm.count(each);
  }
  for (const Count each : kReached) {
    EXPECT_GT(reached[each], 50u) << kCountNames[static_cast<std::size_t>(each)];
  }
}

}  // namespace
}  // namespace epaxos::compare::raft
