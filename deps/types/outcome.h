#pragma once

// How a proposal ended, as told to whoever made it. Three kinds that are never mixed: executed,
// certainly not executed, and not known.

#include <string_view>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos {

enum class OutcomeKind {
  kExecuted,  ///< Applied to the state machine of this replica; `reply` is its answer.
  kRejected,  ///< Certainly not executed, now or later: safe to propose again.
  kUnknown,   ///< May have been executed, or may yet be: retry only with the same number.
};

std::string_view to_string(OutcomeKind kind);

/// A view: `reply` and `reason` live as long as the callback that gets it.
struct Outcome {
  OutcomeKind kind = OutcomeKind::kUnknown;
  Bytes reply;                               ///< Of kExecuted.
  ErrorCode code = ErrorCode::kUnavailable;  ///< Of the other two: why.
  std::string_view reason;                   ///< Of the other two: a sentence.
  /// Of kExecuted: microseconds that the command waited at this replica between its commit and its
  /// execution. Latency minus this is the commit latency.
  Tick execution_wait_us = 0;
};

}  // namespace epaxos
