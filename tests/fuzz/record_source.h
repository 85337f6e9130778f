#pragma once

// Records of a store as a fuzzer's input describes them: well-formed, and true to the same story as
// the messages of peers; what one says may still be impossible beside the others.

#include "epaxos/protocol/record.h"
#include "tests/fuzz/message_source.h"

namespace epaxos::protocol {

class RecordSource {
 public:
  RecordSource(fuzz::Input& input, int n) : input_(input), n_(n), source_(input, n) {}

  /// The value lives until the next call.
  Bytes record(RecordKey& key) {
    encoded_.clear();
    const auto kind = static_cast<RecordKind>(1 + input_.below(6));
    key.kind = static_cast<std::uint8_t>(kind);
    Effects fields;  // A Commit, RecoverOk or PreAccept has what the record of its kind needs.
    Slice slice;
    switch (kind) {
      case RecordKind::kMemoryLost:
        set(key, {ReplicaId(0), Slot(1)});
        break;
      case RecordKind::kFloor: {
        set(key, {ReplicaId(0), Slot(1)});
        const Slice body = source_.body(MessageType::kTruncated, fields);
        Truncated m;
        if (decode(fields.view(body), n_, m)) slice = encode(FloorRecord{m.floor}, encoded_);
        break;
      }
      case RecordKind::kPreAccepted:
      case RecordKind::kRecorded: {
        slice = source_.body(MessageType::kPreAccept, encoded_);
        PreAccept message;
        if (!decode(encoded_.view(slice), n_, message)) break;
        set(key, message.instance);
        break;
      }
      case RecordKind::kVote: {
        const Slice body = source_.body(MessageType::kRecoverOk, fields);
        RecoverOk m;
        if (!decode(fields.view(body), n_, m)) break;
        set(key, m.instance);
        const Bytes block = input_.flag() ? m.block : Bytes();
        slice = encode(VoteRecord{m.ballot, m.pre_accepted, m.pre_accept_dependencies, m.voted,
                                  m.vote_nop, m.accepted_ballot, m.vote_dependencies, block},
                       encoded_);
        break;
      }
      case RecordKind::kDecision: {
        const Slice body = source_.body(MessageType::kCommit, fields);
        Commit m;
        if (!decode(fields.view(body), n_, m)) break;
        set(key, m.instance);
        slice = encode(DecisionRecord{m.kind == CommitKind::kNop, m.kind == CommitKind::kInitial,
                                      m.dependencies, m.block},
                       encoded_);
        break;
      }
    }
    return encoded_.view(slice);
  }

 private:
  static void set(RecordKey& key, const InstanceId& id) {
    key.row = id.row;
    key.slot = id.slot;
  }

  fuzz::Input& input_;
  const int n_;
  fuzz::MessageSource source_;
  Effects encoded_;
};

}  // namespace epaxos::protocol
