// The scan of all disks, with disks that cannot be.

#include <gmock/gmock.h>

#include <gtest/gtest.h>

#include "epaxos/programs/simulate_disk_scan.h"
#include "epaxos/protocol/message_codec.h"
#include "tests/epaxos/protocol/support.h"

namespace epaxos {
namespace {

using protocol::block_of;
using protocol::DecisionRecord;
using protocol::id;
using protocol::kA;
using protocol::kB;
using protocol::kC;
using protocol::PreAccept;
using protocol::read;
using protocol::RecordKind;
using protocol::VoteRecord;
using protocol::write;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const InstanceId kA1 = id(kA, 1);
const InstanceId kB1 = id(kB, 1);
const Dependencies kNothing{0, 0, 0};

/// One disk of a group of three.
class Disk {
 public:
  template <class Record>
  Disk& hold(RecordKind kind, const InstanceId& of, const Record& record) {
    Effects out;
    const Bytes bytes = out.view(encode(record, out));
    image[{static_cast<std::uint8_t>(kind), GroupId(), Epoch(), of.row, of.slot}].assign(
        bytes.begin(), bytes.end());
    return *this;
  }
  /// Recorded and voted for, in one record, as when the vote is for the proposal.
  Disk& first_vote(const InstanceId& of, const Dependencies& initial, Bytes block) {
    return hold(RecordKind::kPreAccepted, of, PreAccept{of, initial, block});
  }
  Disk& decision(const InstanceId& of, const Dependencies& dependencies) {
    return hold(RecordKind::kDecision, of, DecisionRecord{false, false, dependencies, {}});
  }
  Disk& nop(const InstanceId& of) {
    return hold(RecordKind::kDecision, of, DecisionRecord{true, false, {}, {}});
  }
  Disk& vote(const InstanceId& of, Ballot ballot, const Dependencies& dependencies) {
    VoteRecord record;
    record.ballot = record.accepted_ballot = ballot;
    record.voted = true;
    record.vote_dependencies = dependencies;
    return hold(RecordKind::kVote, of, record);
  }

  sim::VirtualDisk::Image image;
};

class Scan : public ::testing::Test {
 protected:
  DiskFacts facts{3};
  const std::vector<std::byte> x = block_of({write("x")});
  const std::vector<std::byte> other_x = block_of({write("x", 2)});
  const std::vector<std::byte> x_read = block_of({read("x")});
};

TEST_F(Scan, DisksThatAgreeAreRight) {
  Disk a, b;
  a.first_vote(kA1, kNothing, x).decision(kA1, {0, 1, 0}).first_vote(kB1, {1, 0, 0}, x);
  b.first_vote(kA1, kNothing, x).decision(kA1, {0, 1, 0}).vote(kA1, {0, {}}, {0, 1, 0});
  facts.add(kA, a.image);
  facts.add(kB, b.image);
  facts.add(kA, a.image);

  EXPECT_THAT(facts.violations(), IsEmpty());
}

TEST_F(Scan, TwoDecisionsOfOneInstance) {
  facts.add(kA, Disk().decision(kA1, {0, 1, 0}).image);
  facts.add(kB, Disk().decision(kA1, {0, 2, 0}).image);
  facts.add(kC, Disk().nop(kA1).image);

  EXPECT_THAT(facts.violations(),
              ElementsAre(AllOf(HasSubstr("R1"), HasSubstr("another decision")),
                          AllOf(HasSubstr("R2"), HasSubstr("another decision"))));
}

TEST_F(Scan, ADecisionThatChanges) {
  facts.add(kA, Disk().nop(kA1).image);
  facts.add(kA, Disk().decision(kA1, kNothing).image);

  EXPECT_THAT(facts.violations(), ElementsAre(HasSubstr("than before")));
}

TEST_F(Scan, TwoPayloadsOfOneInstance) {
  facts.add(kA, Disk().first_vote(kA1, kNothing, x).image);
  facts.add(kB, Disk().first_vote(kA1, kNothing, other_x).image);

  EXPECT_THAT(facts.violations(), ElementsAre(HasSubstr("another payload")));
}

TEST_F(Scan, TwoValuesOfOneBallot) {
  facts.add(kA, Disk().vote(kA1, {2, kC}, {0, 1, 0}).image);
  facts.add(kB, Disk().vote(kA1, {2, kC}, {0, 2, 0}).image);

  EXPECT_THAT(facts.violations(), ElementsAre(HasSubstr("same ballot")));
}

TEST_F(Scan, TwoBallotsMayHaveTwoValues) {
  facts.add(kA, Disk().vote(kA1, {1, kC}, {0, 1, 0}).image);
  facts.add(kB, Disk().vote(kA1, {2, kC}, {0, 2, 0}).image);

  EXPECT_THAT(facts.violations(), IsEmpty());
}

TEST_F(Scan, AValueWithoutADependencyOfTheProposal) {
  Disk a, b;
  a.first_vote(kA1, {0, 3, 0}, x).decision(kA1, {0, 2, 0});
  b.first_vote(kA1, {0, 3, 0}, x).vote(kA1, {1, kC}, {0, 2, 0});
  facts.add(kA, a.image);
  facts.add(kB, b.image);

  EXPECT_THAT(facts.violations(),
              ElementsAre(HasSubstr("a decision without"), HasSubstr("a vote without")));
}

TEST_F(Scan, AFirstVoteThatChanges) {
  facts.add(kB, Disk().first_vote(kA1, kNothing, x).image);
  VoteRecord record;
  record.pre_accepted = true;
  record.pre_accept_dependencies = {0, 1, 0};
  facts.add(kB, Disk().first_vote(kA1, kNothing, x).hold(RecordKind::kVote, kA1, record).image);

  EXPECT_THAT(facts.violations(), ElementsAre(HasSubstr("another first vote")));
}

TEST_F(Scan, TwoFirstVotesOfAReplicaThatDoNotKnowEachOther) {
  facts.add(kC, Disk().first_vote(kA1, kNothing, x).first_vote(kB1, kNothing, other_x).image);
  EXPECT_THAT(facts.violations(), ElementsAre(HasSubstr("do not know each other")));
}

TEST_F(Scan, FirstVotesOfTwoReplicasNeedNotKnowEachOtherNorTwoReads) {
  facts.add(kA, Disk().first_vote(kA1, kNothing, x).image);
  facts.add(kB, Disk().first_vote(kB1, kNothing, other_x).image);
  facts.add(kC, Disk().first_vote(kA1, kNothing, x).image);
  DiskFacts of_reads{3};
  of_reads.add(kC,
               Disk().first_vote(kA1, kNothing, x_read).first_vote(kB1, kNothing, x_read).image);

  EXPECT_THAT(facts.violations(), IsEmpty());
  EXPECT_THAT(of_reads.violations(), IsEmpty());
}

}  // namespace
}  // namespace epaxos
