#pragma once

// Messages and records of Raft as people read them, one line each: for chronicles of runs.

#include <string>

#include "epaxos/contract/effects.h"
#include "net/frame.h"

namespace epaxos::compare::raft {

/// "AppendEntries term 3 after 17 of term 2 commit 15: 18 of term 3 by R1 ..."
std::string words_of_frame(const net::Frame& frame, int replicas);
std::string words_of_record(const RecordKey& key, Bytes value, int replicas);

}  // namespace epaxos::compare::raft
