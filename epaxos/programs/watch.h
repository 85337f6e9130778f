#pragma once

// What an operator should read in a log, found by comparing a replica's status with the ones
// before. A change is told when it happens; what changes again and again is told once in a while,
// with how often it happened. Private to the programs.

#include <map>
#include <optional>
#include <string>
#include <utility>
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
  /// Between two lines about the same peer, the disk, or who leads.
  static constexpr Tick kChangesUs = 10'000'000;
  /// Between two lines about what was refused.
  static constexpr Tick kRefusalsUs = 60'000'000;
  /// Between two lines about the progress, at severity debug.
  static constexpr Tick kProgressUs = 10'000'000;
  /// After its start; who was not reached until then may have another address. Then once a minute.
  static constexpr Tick kUnreachedUs = 10'000'000;
  static constexpr Tick kUnreachedAgainUs = 60'000'000;
  /// After its start; until then gossip has told how far the others are.
  static constexpr Tick kHeardUs = 1'000'000;
  /// Round trips have been too long for the timers all this time before that is told; the advice is
  /// so many of them, rounded up.
  static constexpr Tick kTimersUs = 2'000'000;
  static constexpr std::uint64_t kRoundTripsOfElection = 4;
  static constexpr std::uint64_t kAdviceUs = 10'000;
  /// Instances that it knows of and has not executed; under load there are always some.
  static constexpr std::uint64_t kFarBehind = 10'000;

  /// `peer_addresses`: of all replicas, in order of their ids.
  explicit Watch(std::vector<std::string> peer_addresses = {})
      : peer_addresses_(std::move(peer_addresses)) {}

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
  void look_for_unreached(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_leader(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_members(const NodeStatus& status, std::vector<Remark>& out);
  void look_at_timers(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_catch_up(const NodeStatus& status, std::vector<Remark>& out);
  void look_at_refusals(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_open_files(const NodeStatus& status, Tick now, std::vector<Remark>& out);
  void look_at_progress(const NodeStatus& status, Tick now, std::vector<Remark>& out);

  bool voting_ = true;
  std::string non_voting_reason_;
  Subject store_{.state = "ready"};
  struct Peer {
    Subject connection{.state = "not connected"};
    bool reached = false;
    bool is_stranger = false;  // Told.
    Tick unreached_told_at = 0;
  };

  std::vector<std::string> peer_addresses_;
  std::vector<Peer> peers_;
  Subject leader_;
  std::optional<MemberStatus> members_;  // At the last look.
  std::optional<Tick> timers_short_since_;
  bool timers_told_ = false;
  std::uint64_t images_installed_ = 0;
  bool joined_ = false;              // It has caught up once since its start.
  bool far_ = false;                 // It has been far behind since it began to catch up.
  std::vector<Slot> catches_up_to_;  // A row each; empty: it does not catch up.
  std::optional<std::uint64_t> executed_before_;  // When it began to.
  /// A counter that has a line of its own, and when that was last told.
  struct Told {
    std::uint64_t value = 0;
    Tick at = 0;
  };
  static std::uint64_t grown(Told& told, std::uint64_t value, Tick now);
  Told refused_connections_;
  Told no_descriptor_left_;
  std::map<std::string, std::uint64_t> refusals_;
  Tick refusals_told_at_ = 0;
  std::uint64_t executed_ = 0;
  Tick progress_told_at_ = 0;
};

}  // namespace epaxos
