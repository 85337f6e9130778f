#pragma once

// What epaxosctl asks replicas for: its commands and questions, once the command line is read.
// Private to the programs.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "epaxos/node/config.h"
#include "epaxos/programs/control_output.h"
#include "epaxos/programs/control_statuses.h"

namespace epaxos {

struct ControlOptions {
  std::string config_path;
  std::optional<int> replica;
  std::string timeout = "5s";
  std::string output = "table";

  std::string key;
  std::string value;
  std::string expected;
  std::string delta = "1";
  std::vector<std::string> words;
  std::string instance;
  std::optional<int> to;
  int member = 0;
  bool absent = false;
  bool slowest = false;
  bool stale = false;
  bool all = false;
  bool no_session = false;
  bool wait = false;

  [[nodiscard]] OutputFormat format() const {
    return output == "json" ? OutputFormat::kJson : OutputFormat::kTable;
  }
};

/// A wish and its cluster; what the subcommands work with.
class Control {
 public:
  Control(const ControlOptions& options, ClusterConfig cluster);

  Result<void> open();

  // Each of these returns the exit status.
  int run(const kv::Payload& payload, bool reads_only, const std::vector<std::string>& keys = {});
  int status();
  int digest();
  /// What a replica, by default the owner, knows of the life of one instance, or which of its own
  /// took longest.
  int explain();
  /// Wishes for an image of every replica's state. To wait for it ends with --timeout.
  int snapshot();
  int leader();
  int members();
  /// Wishes that another replica leads, and waits for that, for --timeout at most.
  int transfer_leadership();
  /// Wishes that a replica joins the members or leaves them, and waits likewise.
  int change_members(MemberChange change);

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Asks for statuses, and hands them to `print`; its exit status.
  int tell(const std::function<int(const std::vector<ReplicaReport>&)>& print);
  /// The end of --timeout, which bounds all that a subcommand asks one after the other.
  [[nodiscard]] Deadline deadline() const;
  /// For the first of several questions: who is down leaves half of --timeout to the others.
  [[nodiscard]] Deadline half_way() const;
  int explain_slowest();
  /// The statuses of all that are asked.
  [[nodiscard]] Statuses statuses();
  /// Who leads, in this term or a later one, once that is known; nobody: `why_none` says why.
  static std::optional<ReplicaId> leader_for(Statuses& statuses, std::string& why_none,
                                             std::uint64_t least_term = 0);
  net::CallOutcome wish_of(ReplicaId leader, net::RequestKind kind, Bytes payload,
                           const Statuses& statuses);
  void wait_for_images(const std::vector<ReplicaReport>& before,
                       std::vector<SnapshotReport>& reports);

  [[nodiscard]] std::optional<ReplicaId> place_of(int replica) const;
  [[nodiscard]] ReplicaId id_of(ReplicaId place) const;
  [[nodiscard]] int no_such_replica() const;
  /// A report for every replica, or the one that was wished for; empty: there is none such.
  [[nodiscard]] std::vector<ReplicaReport> all_asked() const;
  /// Asks all of them at once and waits for their answers, until the deadline at most.
  void ask(net::RequestKind kind, std::vector<ReplicaReport>& reports, Deadline deadline);

  const ControlOptions& options_;
  ClusterConfig cluster_;
  std::vector<int> ids_;  // Of the replicas that the client knows, in its order.
  std::unique_ptr<net::Client> client_;
  Deadline begin_ = std::chrono::steady_clock::now();
};

}  // namespace epaxos
