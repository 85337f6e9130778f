@0xe4c07d5a91b2f386;

# What replicas say to each other in Raft. A frame's body is one segment without a segment table;
# which struct it holds is the frame's type. See message.h for the meaning.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::compare::raft::schema");

struct RequestVote {
  term @0 :UInt64;
  lastLogIndex @1 :UInt64;
  lastLogTerm @2 :UInt64;
  preVote @3 :Bool;
  transfer @4 :Bool;
  life @5 :UInt64;
  bornIn @6 :UInt64;
}

struct RequestVoteReply {
  term @0 :UInt64;
  granted @1 :Bool;
  preVote @2 :Bool;
  life @3 :UInt64;
  bornIn @4 :UInt64;
}

struct AppendEntries {
  term @0 :UInt64;
  prevLogIndex @1 :UInt64;
  prevLogTerm @2 :UInt64;
  leaderCommit @3 :UInt64;
  floor @4 :UInt64;
  sentAt @5 :UInt64;
  roundTrip @6 :UInt32;
  answer @7 :Bool;
  entries @8 :Data;
  life @9 :UInt64;
}

struct AppendEntriesReply {
  term @0 :UInt64;
  prevLogIndex @1 :UInt64;
  matchIndex @2 :UInt64;
  conflictTerm @3 :UInt64;
  conflictIndex @4 :UInt64;
  sentAt @5 :UInt64;
  success @6 :Bool;
  voting @7 :Bool;
  life @8 :UInt64;
  bornIn @9 :UInt64;
  promised @10 :UInt32;
}

struct Truncated {
  term @0 :UInt64;
  firstIndex @1 :UInt64;
  leaderCommit @2 :UInt64;
  sentAt @3 :UInt64;
}

struct TimeoutNow {
  term @0 :UInt64;
}

struct Hello {
  term @0 :UInt64;
  life @1 :UInt64;
  bornIn @2 :UInt64;
}

struct Forgot {
  term @0 :UInt64;
}

struct HardState {
  term @0 :UInt64;
  votedFor @1 :UInt16;  # 0: nobody; else the replica, counted from 1.
}
