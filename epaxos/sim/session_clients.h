#pragma once

// Clients whose commands are numbered in sessions. Who gets no answer sends the same number again,
// to another replica, also while the first attempt is under way; some send it twice although they
// have their answer. Several clients share a session, so that several of its numbers are under way.
// All chance is of a stream of its own. Source: protocol.md 16, reliability.md 3.6.

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/outcome.h"
#include "deps/types/session.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::sim {

struct SessionOptions {
  std::uint64_t clients_each = 0;  ///< Share a session; 0: there are none.
  Tick patience_us = 100'000;      ///< A second attempt comes after it, a third after twice of it.
  Tick timeout_us = 0;             ///< A client gives up after it; 0: it never does.
  std::uint32_t repeat_ppm = 0;    ///< This share is sent once more, sooner or later.
  std::uint64_t commands_max = 0;  ///< Then the next one opens another session; 0: never.
  std::uint64_t kept_numbers = 0;  ///< So many answers are acknowledged later than they could be.
  std::uint64_t gap_max = 0;       ///< Numbers that are left out between two.
  Tick ttl_us = 0;                 ///< Of sessions, where the replicas have another one than usual.
};

class SessionClients {
 public:
  using Done = std::function<void(OutcomeKind)>;

  SessionClients(Cluster& cluster, const SessionOptions& options, int clients, std::uint64_t seed);
  SessionClients(const SessionClients&) = delete;
  SessionClients& operator=(const SessionClients&) = delete;

  /// A command of a client, which has no other one under way. "Rejected": it took no effect and
  /// never will.
  void ask(int client, std::vector<std::byte> payload, Done done);
  /// How long a client rests now and then: so long that its session expires.
  Tick rest();
  /// At most so long clients still rest: those who do now, and then all the others one by one.
  [[nodiscard]] Tick rests_left_us() const;
  /// Whether no replica will be asked any more, or has not answered yet.
  [[nodiscard]] bool idle() const { return under_way_ == 0; }
  /// Commands that took effect although their clients were told that they never would.
  [[nodiscard]] std::vector<std::string> violations() const;

 private:
  struct Session {
    std::uint64_t last = 0;                  // Number.
    std::uint64_t commands = 0;              // Numbered.
    std::set<std::uint64_t> without_answer;  // Numbers.
    bool left = false;                       // Its clients use another one.
  };
  /// Clients that share a session.
  struct Group {
    std::uint64_t session = 0;
    bool open = false;                 // Else it is being opened, or session is 0.
    Tick opened_at = 0;                // When this was tried first.
    int attempt = 0;                   // To open it.
    int home = 0;                      // Where new commands go.
    std::vector<std::size_t> waiting;  // Clients.
  };
  struct Client {
    std::vector<std::byte> payload;
    Done done;  // Empty: it has no command.
    CommandId id;
    Tick since = 0;
    int attempt = 0;
    int replica = 0;
    bool uncertain = false;  // An attempt may still take effect.
  };

  void enter(std::size_t client);
  void send(std::size_t client);
  [[nodiscard]] bool waits(std::size_t client, CommandId id, int attempt) const;
  void lose_patience(std::size_t client, CommandId id, int attempt);
  void again(std::size_t client, CommandId id, int attempt);
  void answered(std::size_t client, CommandId id, int attempt, const Outcome& outcome);
  void give_up(std::size_t client);
  void finish(std::size_t client, OutcomeKind kind);
  void repeat(Client& client);
  void propose(int replica, const std::vector<std::byte>& payload, CommandId id,
               runtime::Completion done, Tick deadline = kNever);

  void open(Group& group);
  void send_opening(Group& group);
  void open_again(Group& group, std::uint64_t session, int attempt);
  void opening_answered(Group& group, std::uint64_t session, int attempt, const Outcome& outcome);
  void leave(Group& group);
  void close(std::uint64_t session, int replica);
  void control(int replica, SessionOperation operation, std::uint64_t session,
               runtime::Completion done);

  Group& group_of(std::size_t client) { return groups_[client / options_.clients_each]; }
  [[nodiscard]] Tick patience(int attempt) const;
  [[nodiscard]] std::uint64_t acknowledged_up_to(const Session& session) const;
  [[nodiscard]] int next(int replica) const { return (replica + 1) % cluster_.size(); }
  int anybody();
  void later(Tick us, std::function<void()> action) {
    cluster_.at(cluster_.now() + us, std::move(action));
  }

  Cluster& cluster_;
  const SessionOptions options_;
  Random random_;
  int rests_left_ = 8;  // So that a run ends.
  Tick rests_until_ = 0;
  std::vector<Client> clients_;
  std::vector<Group> groups_;
  std::map<std::uint64_t, Session> sessions_;
  std::vector<CommandId> refused_;
  std::uint64_t opened_ = 0;
  std::uint64_t under_way_ = 0;
};

}  // namespace epaxos::sim
