#pragma once

// How epaxosctl prints what replicas answer: for people as text, for programs as one JSON object a
// request. Private to the programs.

#include <cstdint>
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
  bool answered = false;
  std::string status;  ///< As status_json() makes it; or another answer.
  std::string reason;
};

/// Prints an outcome of a command of the key-value machine; returns the exit status of epaxosctl.
/// `keys`: of a multi-get, for its lines.
int print_outcome(const net::CallOutcome& outcome, OutputFormat format,
                  const std::vector<std::string>& keys = {});

/// The same for `status`. `all` shows counters that are zero too.
int print_status(const std::vector<ReplicaReport>& reports, OutputFormat format, bool all);

/// What became of the wish for an image of one replica's state.
struct SnapshotReport {
  enum class State { kNoAnswer, kRequested, kMade, kFailed, kNotYet };

  ReplicaId replica;
  std::string site;
  State state = State::kNoAnswer;
  std::uint64_t number = 0;  ///< Of kMade.
  std::uint64_t bytes = 0;   ///< Of kMade.
  std::string reason;        ///< Of kNoAnswer and kFailed.
};

/// Prints them; returns the exit status of epaxosctl: that of the worst.
int print_snapshots(const std::vector<SnapshotReport>& reports, OutputFormat format);

/// What a replica's status says about its images.
struct ImageFacts {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  std::uint64_t failed = 0;  ///< How many could not be made.
  std::string trouble;
};
/// Nothing: it is no status, or one of another version.
std::optional<ImageFacts> image_facts(const std::string& status);

/// The table of print_status().
std::string status_text(const std::vector<ReplicaReport>& reports, bool all);

}  // namespace epaxos
