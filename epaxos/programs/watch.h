#pragma once

// What an operator should read in a log, found by comparing a replica's status with the ones
// before. A change is told when it happens; what changes again and again is told once in a while,
// with how often it happened. Private to the programs.

#include <map>
#include <string>
#include <vector>

#include "epaxos/node/status.h"
#include "epaxos/programs/log.h"

namespace epaxos {

/// A line for the log.
struct Remark {
  Severity severity = Severity::kInfo;
  std::string text;

  friend bool operator==(const Remark&, const Remark&) = default;
};

class Watch {
 public:
  /// Between two lines about the same peer, or about the disk.
  static constexpr Tick kChangesUs = 10'000'000;
  /// Between two lines about what was refused.
  static constexpr Tick kRefusalsUs = 60'000'000;
  /// Between two lines about the progress, at severity debug.
  static constexpr Tick kProgressUs = 10'000'000;

  /// What is worth a line since the last call. `now` does not go backwards.
  std::vector<Remark> look(const NodeStatus& status, Tick now);

 private:
  /// Something that is in one of several states, and when that was last told.
  struct Subject {
    std::string state;
    Tick told_at = 0;
    std::uint64_t changes = 0;  // Not told yet.
  };

  /// Whether the new state of a subject is to be told now; `suffix` then says what was left out.
  bool changed(Subject& subject, const std::string& state, Tick now, std::string& suffix);
  void look_at_vote(const NodeStatus& status, std::vector<Remark>& out);
  void look_at_store(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_peers(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_refusals(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_progress(const NodeStatus& status, Tick now, std::vector<Remark>& out);

  bool voting_ = true;
  std::string non_voting_reason_;
  Subject store_{.state = "ready"};
  std::vector<Subject> peers_;
  std::map<std::string, std::uint64_t> refusals_;
  Tick refusals_told_at_ = 0;
  std::uint64_t executed_ = 0;
  Tick progress_told_at_ = 0;
};

}  // namespace epaxos
