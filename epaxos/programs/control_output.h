#pragma once

// How epaxosctl prints what replicas answer: for people as text, for programs as one JSON object a
// request. Private to the programs.

#include <optional>
#include <string>
#include <vector>

#include "executor/key_value_command.h"
#include "net/client.h"

namespace epaxos {

enum class OutputFormat { kTable, kJson };

/// What one replica said about itself; without an answer, why.
struct ReplicaReport {
  ReplicaId replica;
  std::string address;
  std::string site;
  std::string status;  ///< As status_json() makes it; empty: no answer.
  std::string reason;
};

/// Prints an outcome of a command of the key-value machine; returns the exit status of epaxosctl.
/// `keys`: of a multi-get, for its lines.
int print_outcome(const net::CallOutcome& outcome, OutputFormat format,
                  const std::vector<std::string>& keys = {});

/// The same for `status`. `all` shows counters that are zero too.
int print_status(const std::vector<ReplicaReport>& reports, OutputFormat format, bool all);

/// The table of print_status().
std::string status_text(const std::vector<ReplicaReport>& reports, bool all);

}  // namespace epaxos
