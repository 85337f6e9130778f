#pragma once

// Messages and records of EPaxos as people read them, one line each: for chronicles of runs.

#include <string>

#include "epaxos/contract/effects.h"
#include "net/frame.h"

namespace epaxos {

/// "Accept R0.1 ballot 2.R1 deps [0,3,0]"
std::string words_of_frame(const net::Frame& frame, int replicas);
/// "vote R0.1 ballot 2.R1 accepted 2.R1 deps [0,3,0]"
std::string words_of_record(const RecordKey& key, Bytes value, int replicas);

}  // namespace epaxos
