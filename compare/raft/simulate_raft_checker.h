#pragma once

// Holds the cores of a run against the five properties of the Raft paper (Figure 3) after every
// event, and every word that leaves against the disk of its speaker: nothing may be said that a
// power loss would take back, and a restart takes back no term, vote or entry that was ever told.
// Who leads, and what is committed, must have its majorities of the members on disk; who the
// members are is read from the committed entries (section 6).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compare/raft/core.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::compare::raft {

class RaftChecker final : public sim::Checker {
 public:
  explicit RaftChecker(sim::Cluster& cluster);

  [[nodiscard]] std::string_view name() const override { return "raft"; }
  void on_started(ReplicaId replica) override;
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;
  [[nodiscard]] std::vector<std::string> violations() const override { return violations_; }

 private:
  /// An entry of some log, known by its index and term.
  struct Known {
    std::uint64_t hash = 0;
    std::uint64_t prev_term = 0;
    std::optional<Members> members{};  ///< What it says about them, if it does.

    friend bool operator==(const Known&, const Known&) = default;
  };
  struct Committed {
    std::uint64_t term = 0;  ///< Of the entry.
    std::uint64_t hash = 0;
    std::uint64_t known_in = 0;  ///< The term in which somebody first counted it.
  };
  /// What a replica looked like after the last event.
  struct Seen {
    std::uint64_t last = 0;
    std::uint64_t last_term = 0;
    std::uint64_t commit = 0;
    std::uint64_t overwritten = 0;
    std::uint64_t term = 0;
    bool leads = false;
  };
  /// The most that a replica ever told, in all lives.
  struct Told {
    HardState state;
    std::uint64_t match = 0;
  };

  void look();
  void look_at(ReplicaId replica, const RaftCore& core);
  void expect_log_matching(const RaftCore& core, std::uint64_t from);
  void expect_committed(const RaftCore& core, Seen& seen);
  void expect_completeness(const RaftCore& core);
  void note_committed_members(const RaftCore& core, std::uint64_t after);
  void expect_members(const RaftCore& core);
  void expect_elected(const RaftCore& core);
  void expect_own_term(const RaftCore& core);
  void expect_quorum_holds(const RaftCore& core, LogIndex counted_up_to);
  [[nodiscard]] bool holds_durably(ReplicaId replica, std::uint64_t index, std::uint64_t term);
  [[nodiscard]] std::optional<std::uint64_t> committed_term(const RaftCore& core,
                                                            std::uint64_t index) const;
  void check_frame(ReplicaId to, const net::Frame& frame);
  void expect_durable(std::uint64_t term, const char* what);
  void expect_vote(std::uint64_t term, ReplicaId whom, const char* what);
  [[nodiscard]] std::optional<HardState> durable_state() const;
  [[nodiscard]] std::uint64_t durable_last() const;
  void expect(bool holds, const std::string& what);

  sim::Cluster& cluster_;
  const int n_;
  std::vector<Seen> seen_;
  std::vector<Told> told_;
  std::vector<bool> forgetful_;
  std::map<std::uint64_t, ReplicaId> leaders_;                        ///< By term.
  std::map<std::pair<std::uint64_t, std::uint64_t>, Known> entries_;  ///< By index and term.
  std::map<std::uint64_t, Committed> committed_;                      ///< By index.
  std::map<std::uint64_t, Members> members_;                          ///< By index; committed.
  bool members_are_known_ = true;
  // The word that is being checked.
  ReplicaId from_;
  const sim::VirtualDisk* disk_ = nullptr;
  std::vector<std::string> violations_;
};

}  // namespace epaxos::compare::raft
