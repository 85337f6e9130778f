@0xd2b3a9f0c1e84756;

# What replicas say to each other. A frame's body is one segment without a segment table; which
# struct it holds is the frame's type. Dependencies are one slot a row. See message.h for the meaning.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::protocol::schema");

struct PreAccept {
  slot @0 :UInt64;
  row @1 :UInt16;
  initial @2 :List(UInt64);
  block @3 :Data;
}

struct PreAcceptOk {
  slot @0 :UInt64;
  row @1 :UInt16;
  dependencies @2 :List(UInt64);  # Empty: the initial ones.
}

struct Accept {
  slot @0 :UInt64;
  ballot @1 :UInt64;
  row @2 :UInt16;
  nop @3 :Bool;
  dependencies @4 :List(UInt64);
  block @5 :Data;
}

struct AcceptOk {
  slot @0 :UInt64;
  ballot @1 :UInt64;
  row @2 :UInt16;
}

struct Commit {
  slot @0 :UInt64;
  row @1 :UInt16;
  kind @2 :UInt8;
  dependencies @3 :List(UInt64);
  block @4 :Data;
}

struct Nack {
  slot @0 :UInt64;
  heard @1 :UInt64;
  current @2 :UInt64;
  row @3 :UInt16;
}

struct Recover {
  slot @0 :UInt64;
  ballot @1 :UInt64;
  row @2 :UInt16;
}

struct RecoverOk {
  slot @0 :UInt64;
  ballot @1 :UInt64;
  acceptedBallot @2 :UInt64;
  row @3 :UInt16;
  recorded @4 :Bool;
  preAccepted @5 :Bool;
  voted @6 :Bool;
  voteNop @7 :Bool;
  initial @8 :List(UInt64);
  preAcceptDependencies @9 :List(UInt64);
  voteDependencies @10 :List(UInt64);
  block @11 :Data;
}

struct Validate {
  slot @0 :UInt64;
  ballot @1 :UInt64;
  row @2 :UInt16;
  initial @3 :List(UInt64);
  block @4 :Data;
}

struct Blocker {
  slot @0 :UInt64;
  row @1 :UInt16;
  committed @2 :Bool;
  matched @3 :Bool;
}

struct ValidateOk {
  slot @0 :UInt64;
  ballot @1 :UInt64;
  row @2 :UInt16;
  blockers @3 :List(Blocker);
}

struct Waiting {
  slot @0 :UInt64;
  row @1 :UInt16;
  mask @2 :UInt16;
}

struct Status {
  slot @0 :UInt64;
  row @1 :UInt16;
}

struct FetchRange {
  from @0 :UInt64;
  to @1 :UInt64;
  row @2 :UInt16;
}

struct RangeEnd {
  next @0 :UInt64;
  row @1 :UInt16;
  more @2 :Bool;
}

struct Frontier {
  executed @0 :List(UInt64);
  floor @1 :List(UInt64);
  known @2 :List(UInt64);
  nonVoting @3 :Bool;
  forgetful @4 :UInt16;
}

struct Truncated {
  slot @0 :UInt64;
  row @1 :UInt16;
  floor @2 :List(UInt64);
}

struct Fence {
  number @0 :UInt64;
  ttlUs @1 :UInt64;
  everything @2 :Bool;
  accesses @3 :List(UInt64);  # Ascending.
}

struct Unfence {
  number @0 :UInt64;
}

struct VectorFloor {
  executed @0 :List(UInt64);
}
