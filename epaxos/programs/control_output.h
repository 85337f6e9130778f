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
  bool refused = false;  ///< By the replica itself, for this reason.
};

/// Prints an outcome of a command of the key-value machine; returns the exit status of epaxosctl.
/// `keys`: of a multi-get, for its lines.
int print_outcome(const net::CallOutcome& outcome, OutputFormat format,
                  const std::vector<std::string>& keys = {});

/// The same for `status`. `all` shows counters that are zero too.
int print_status(const std::vector<ReplicaReport>& reports, OutputFormat format, bool all);

/// Prints the fingerprints of the replicas' states, and who has executed less than another.
/// `statuses`: of those that have answered. Returns the exit status of epaxosctl.
int print_digests(const std::vector<ReplicaReport>& digests,
                  const std::vector<ReplicaReport>& statuses, OutputFormat format);

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
  bool on_disk = true;
  bool waits_for_peer = false;  ///< That fetches the last one.
  std::string trouble;
};
/// Nothing: it is no status, or one of another version.
std::optional<ImageFacts> image_facts(const std::string& status);

/// Who leads, by what the replicas say of themselves.
struct Lead {
  std::string protocol;             ///< Empty: nobody has answered.
  bool has_leader = false;          ///< Whether one replica of the protocol leads the others.
  std::optional<ReplicaId> leader;  ///< Who says of itself that it leads.
  std::uint64_t term = 0;           ///< Of `leader`, where leaders are numbered.
  std::optional<ReplicaId> named;   ///< Who leads by the word of another one.
};
Lead lead_of(const std::vector<ReplicaReport>& reports);
/// One that may take the lead over, by its own word; none: nobody else has answered.
std::optional<ReplicaId> successor_of(ReplicaId leader, const std::vector<ReplicaReport>& reports);

/// Prints who leads and what each replica knows of that; returns the exit status of epaxosctl.
int print_lead(const std::vector<ReplicaReport>& reports, OutputFormat format);
/// Who leads, or why that is not known. `reports`: what `lead` is from.
std::string sentence_about(const Lead& lead, const std::vector<ReplicaReport>& reports);
/// Prints who leads after the lead was given away; the exit status likewise.
int print_new_leader(ReplicaId leader, OutputFormat format);
/// Who belongs to the group, by what the leader says, or whoever has got furthest.
struct MemberFacts {
  bool is_known = false;   ///< Somebody has answered, and the members can change.
  bool of_leader = false;  ///< By the leader's own word ...
  std::uint64_t term = 0;  ///< ... in this term.
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> learners;
  std::string change;     ///< What is under way.
  std::string given_up;   ///< Why the last change was.
  bool may_pass = false;  ///< And the same wish may be granted later.

  [[nodiscard]] bool is_member(ReplicaId replica) const;
  /// A leader of this term or a later one has answered, and no change is under way. An earlier one
  /// may not have heard what was decided since.
  [[nodiscard]] bool is_settled_since(std::uint64_t least_term) const {
    return of_leader && term >= least_term && change.empty();
  }
};
MemberFacts member_facts(const std::vector<ReplicaReport>& reports);

/// Prints the members of the group; returns the exit status of epaxosctl.
int print_members(const std::vector<ReplicaReport>& reports, OutputFormat format);
/// Prints that a replica belongs to the group now, or no longer does; the exit status likewise.
int print_member(ReplicaId replica, bool belongs, OutputFormat format);

/// The table of print_status().
std::string status_text(const std::vector<ReplicaReport>& reports, bool all);

}  // namespace epaxos
