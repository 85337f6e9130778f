@0xd8c9f0a5b1e37246;

# Batches between a client and a replica. An envelope (net/wire.h) precedes the message; it is flat,
# never packed, and one segment.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("epaxos::net::schema");

struct RequestBatch {
  requests @0 :List(Request);
}

struct Request {
  token @0 :UInt64;         # The client's own name for it; not 0.
  deadlineUs @1 :UInt64;    # From receipt; 0 is none.
  session @2 :UInt64;       # 0 is none.
  number @3 :UInt64;
  acknowledgedUpTo @4 :UInt64;
  kind @5 :UInt16;          # RequestKind of net/client_message.h.
  readsOnly @6 :Bool;
  payload @7 :Data;
}

struct ReplyBatch {
  replies @0 :List(Reply);
}

struct Reply {
  token @0 :UInt64;             # 0: about a message whose tokens could not be read.
  executionWaitUs @1 :UInt64;
  kind @2 :UInt16;              # 0 executed, 1 rejected, 2 unknown.
  code @3 :UInt16;              # A number of the table in net/client_message.cc.
  reason @4 :Data;              # UTF-8.
  reply @5 :Data;
}
