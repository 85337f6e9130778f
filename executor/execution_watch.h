#pragma once

// Who wants to know why instances run when they do. It only looks: what runs, and in which order,
// never depends on it.

#include <cstddef>

#include "deps/types/ids.h"

namespace epaxos::executor {

enum class WaitsFor {
  kPayload,   ///< Nobody has told this replica what the instance touches.
  kDecision,  ///< Its payload is known and conflicts; its decision is not.
};

/// Called by a graph while it works; must not call it back.
class ExecutionWatch {
 public:
  ExecutionWatch() = default;
  ExecutionWatch(const ExecutionWatch&) = delete;
  ExecutionWatch& operator=(const ExecutionWatch&) = delete;
  virtual ~ExecutionWatch() = default;

  /// A decided instance was tried in vain: its closure, or it itself, waits for `blocker`.
  virtual void on_wait(InstanceId instance, InstanceId blocker, WaitsFor what) = 0;
  /// What it waited for has come (`by` was recorded, or ran, or is Nop): it is tried again.
  virtual void on_retry(InstanceId instance, InstanceId by) = 0;
  /// It may run, in a component of so many. `found_by`: whose closure was looked at.
  virtual void on_run(InstanceId instance, std::size_t component, InstanceId found_by) = 0;
};

}  // namespace epaxos::executor
