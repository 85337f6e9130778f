@0xb7d1e0a94c2f6835;

# What the replicas of a single decision say to each other, and what of it they keep. See message.h
# and record.h for the meaning. A ballot is Ballot::packed().

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::compare::paxos::schema");

struct Value {
  proposer @0 :UInt16;
  block @1 :Data;
}

struct OfBallot {
  ballot @0 :UInt64;
}

struct Voted {
  ballot @0 :UInt64;
  acceptedBallot @1 :UInt64;  # 0: no vote, and no value.
  value @2 :Value;
}

struct Proposed {
  ballot @0 :UInt64;
  value @1 :Value;
}

struct Nack {
  heard @0 :UInt64;
  promised @1 :UInt64;
}
