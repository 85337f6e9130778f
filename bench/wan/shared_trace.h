#pragma once

// Of an emulated run with a trace: which commands are in it, which all replicas must know, and what
// each of them tells of these, in memory that their processes share with the measuring one.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "bench/wan/measured_run.h"
#include "bench/wan/ring.h"
#include "epaxos/programs/command_trace.h"

namespace epaxos::bench {

struct SharedTrace {
  /// Only its own process writes.
  struct Replica {
    Ring<TraceEvent, std::size_t{1} << 15> events;
    /// Traced commands that it was given: the first `command_count` of these. They are here before
    /// anybody else hears of them.
    std::array<CommandId, kTracedCommandsMax> commands;
    std::atomic<std::size_t> command_count{0};
    /// The slots of its row that hold them, others in between; 0: none does yet.
    std::atomic<std::uint64_t> first_slot{0};
    std::atomic<std::uint64_t> last_slot{0};
  };
  static_assert(std::is_trivially_copyable_v<TraceEvent>);

  std::atomic<std::size_t> commands{0};  ///< That are in the trace, or were one too many.
  std::array<Replica, kReplicasMax> replicas;
};

}  // namespace epaxos::bench
