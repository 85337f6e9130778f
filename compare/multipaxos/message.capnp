@0xe4a7c1936d50f82b;

#What the replicas of a log say to each other.See message.h for the meaning.A ballot is
#Ballot::packed(); entries are encoded as compare / log / entry.h says, one behind the other.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::compare::multipaxos::schema");

struct Prepare {
  ballot @0 : UInt64;
  from @1 : UInt64;
}

struct Promise {
  ballot @0 : UInt64;
  from @1 : UInt64;
  through @2 : UInt64;
  decidedUpTo @3 : UInt64;
  floor @4 : UInt64;
  slots @5 : List(UInt64);
  entries @6 : Data;
}

struct Accept {
  ballot @0 : UInt64;
  decidedUpTo @1 : UInt64;
  first @2 : UInt64;
  entries @3 : Data;
}

struct Accepted {
  ballot @0 : UInt64;
  first @1 : UInt64;
  last @2 : UInt64;
}

struct Nack {
  heard @0 : UInt64;
  promised @1 : UInt64;
}

struct Heartbeat {
  ballot @0 : UInt64;
  decidedUpTo @1 : UInt64;
  last @2 : UInt64;
  sentAt @3 : UInt64;
}

struct HeartbeatOk {
  ballot @0 : UInt64;
  sentAt @1 : UInt64;
  promised @2 : UInt32;
}

struct PreVote {
  sentAt @0 : UInt64;
}

struct Range {
  from @0 : UInt64;
  to @1 : UInt64;
}

struct Learn {
  first @0 : UInt64;
  entries @1 : Data;
}
