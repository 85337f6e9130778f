@0xb8e1f3a25c7d9046;

# What the protocols with a log share: how a block of commands reaches the leader, and what an image
# of the state covers. See log_messages.h and log_coverage.h.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::compare::schema");

struct Forward {
  life @0 :UInt64;
  sequence @1 :UInt64;
  block @2 :Data;
}

struct Wanted {
  life @0 :UInt64;
  sequence @1 :UInt64;
}

struct ReadIndex {
  life @0 :UInt64;
  number @1 :UInt64;
}

struct ReadIndexReply {
  life @0 :UInt64;
  number @1 :UInt64;
  index @2 :UInt64;
}

struct LogCoverage {
  slot @0 :UInt64;
  round @1 :UInt64;
  epoch @2 :UInt32;
  lives @3 :List(UInt64);
  sequences @4 :List(UInt64);
  members @5 :UInt32;  # See members.h; 0: they cannot change.
}
