@0x9f5b1d7ac2e03648;

# The small durable records of an instance, beside its payload. See record.h.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::protocol::schema");

struct VoteRecord {
  ballot @0 :UInt64;
  acceptedBallot @1 :UInt64;
  preAccepted @2 :Bool;
  voted @3 :Bool;
  voteNop @4 :Bool;
  preAcceptDependencies @5 :List(UInt64);
  voteDependencies @6 :List(UInt64);
  block @7 :Data;  # Only where no payload record holds it.
}

struct DecisionRecord {
  nop @0 :Bool;
  initial @1 :Bool;  # The dependencies are the initial ones and not repeated.
  dependencies @2 :List(UInt64);
  block @3 :Data;    # Only where no payload record holds it.
}

struct FloorRecord {
  floor @0 :List(UInt64);
}

# What an image of the state machine covers begins with its head, and goes on with parts; see
# coverage.h.
struct CoverageHead {
  floor @0 :List(UInt64);
  executed @1 :List(UInt64);
  listed @2 :UInt64;  # Instances in all parts.
  forNonVoting @3 :Bool;
}

struct CoveragePart {
  instances @0 :List(CoveredInstance);
}

struct CoveredInstance {
  slot @0 :UInt64;
  row @1 :UInt16;
  nop @2 :Bool;
  block @3 :Data;  # Only its footprint counts. Empty: a Nop whose payload is not known.
}
