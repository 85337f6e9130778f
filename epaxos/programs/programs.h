#pragma once

// The programs as functions, so that whoever brings more protocols gives them more factories. They
// own the process: standard streams, signals, the exit status.

#include <span>

#include "epaxos/contract/core.h"

namespace epaxos {

/// Exit statuses of epaxosd.
enum ServeStatus : int {
  kServeStopped = 0,     ///< By SIGTERM or SIGINT, or nothing was to be served.
  kServeBadUsage = 1,    ///< The command line or the cluster file.
  kServeCannotOpen = 2,  ///< Data directory, addresses.
  kServeFailed = 3,      ///< It ran, and then could not persist any more, or not at its end.
  kServeNotWritten = 4,  ///< What --print-config and the like print got lost on the way.
};

/// Exit statuses of epaxosctl.
enum ControlStatus : int {
  kControlExecuted = 0,
  kControlBadUsage = 1,
  kControlRejected = 2,     ///< Certainly not executed: safe to try again.
  kControlUnknown = 3,      ///< May have been executed.
  kControlNotFound = 4,     ///< Executed; the key holds nothing.
  kControlRefused = 5,      ///< Executed; the machine says no (mismatch, not a number, ...).
  kControlUnreachable = 6,  ///< Of `status`, `digest`, `snapshot`: not every replica answered.
  kControlNotWritten = 7,   ///< The answer got lost on the way to the standard output.
};

/// epaxosd: one replica that serves the key-value machine until it is told to stop.
/// Precondition: at least one protocol; the first is the default.
int serve(std::span<const Protocol> protocols, int argc, char** argv);

/// epaxosctl: asks the replicas of a cluster.
int control(int argc, char** argv);

}  // namespace epaxos
