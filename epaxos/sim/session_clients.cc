#include "epaxos/sim/session_clients.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::sim {
namespace {

constexpr Tick kPatienceMaxUs = 5'000'000;
constexpr Tick kAfterRefusalUs = 50'000;  // Whoever was refused does not ask again at once.
constexpr Tick kRestLifetimes = 4;        // Of a session.
constexpr Tick kOpeningUs = 30'000'000;   // So long one id is tried where sessions do not expire.

ReplicaId replica_at(int index) {
  return ReplicaId(static_cast<std::uint16_t>(index));
}

}  // namespace

SessionClients::SessionClients(Cluster& cluster, const SessionOptions& options, int clients,
                               std::uint64_t seed)
    : cluster_(cluster),
      options_(options),
      random_(stream(seed, Purpose::kWorkload, 1)),
      clients_(static_cast<std::size_t>(clients)) {
  check(options.clients_each > 0, "a session has at least one client");
  groups_.resize(clients_.size() / options.clients_each + 1);
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    groups_[i].home = static_cast<int>(i) % cluster.size();
  }
}

Tick SessionClients::patience(int attempt) const {
  return std::min(options_.patience_us << std::min(attempt, 16), kPatienceMaxUs);
}

int SessionClients::anybody() {
  return static_cast<int>(random_.below(static_cast<std::uint64_t>(cluster_.size())));
}

Tick SessionClients::rest() {
  if (random_.below(32) != 0 || rests_left_ == 0) return 0;
  --rests_left_;
  const Tick rest_us = kRestLifetimes * options_.ttl_us;
  rests_until_ = std::max(rests_until_, cluster_.now() + rest_us);
  return rest_us;
}

Tick SessionClients::rests_left_us() const {
  const Tick now = cluster_.now();
  const auto to_come = static_cast<Tick>(rests_left_) * kRestLifetimes * options_.ttl_us;
  return std::max(rests_until_, now) - now + to_come;
}

// --- Commands ----------------------------------------------------------------------------------

void SessionClients::ask(int number, std::vector<std::byte> payload, Done done) {
  const auto client = static_cast<std::size_t>(number);
  check(!clients_[client].done, "a client asks for one thing at a time");
  Client& asks = clients_[client];
  asks.payload = std::move(payload);
  asks.done = std::move(done);
  asks.id = {};  // Until there is a session, nothing that is said of its last one concerns it.
  asks.since = cluster_.now();
  enter(client);
}

/// Numbers the command of a client as soon as there is a session.
void SessionClients::enter(std::size_t client) {
  Group& group = group_of(client);
  if (!group.open) {
    group.waiting.push_back(client);
    if (group.session == 0) open(group);
    return;
  }
  Session& session = sessions_[group.session];
  session.last += 1 + random_.below(options_.gap_max + 1);
  session.without_answer.insert(session.last);
  Client& asks = clients_[client];
  asks.id = {group.session, session.last};
  asks.attempt = 0;
  asks.uncertain = false;
  asks.replica = group.home;
  send(client);
  if (random_.chance(options_.repeat_ppm)) repeat(asks);
  if (++session.commands == options_.commands_max) leave(group);
}

void SessionClients::send(std::size_t client) {
  const Client& asks = clients_[client];
  const CommandId id = asks.id;
  const int attempt = asks.attempt;
  const Tick patience_us = patience(attempt);
  propose(
      asks.replica, asks.payload, id,
      [this, client, id, attempt](const Outcome& outcome) {
        answered(client, id, attempt, outcome);
      },
      random_.below(2) == 0 ? cluster_.now() + patience_us : kNever);
  later(patience_us, [this, client, id, attempt] { lose_patience(client, id, attempt); });
}

/// Whether this is the last attempt of what the client is waiting for.
bool SessionClients::waits(std::size_t client, CommandId id, int attempt) const {
  const Client& asks = clients_[client];
  return asks.done && asks.id == id && asks.attempt == attempt;
}

void SessionClients::lose_patience(std::size_t client, CommandId id, int attempt) {
  if (!waits(client, id, attempt)) return;
  clients_[client].uncertain = true;
  again(client, id, attempt);
}

/// The same number at the next replica, whatever the last one still does with it.
void SessionClients::again(std::size_t client, CommandId id, int attempt) {
  if (!waits(client, id, attempt)) return;
  Client& asks = clients_[client];
  if (options_.timeout_us > 0 && cluster_.now() - asks.since >= options_.timeout_us) {
    return give_up(client);
  }
  ++asks.attempt;
  asks.replica = next(asks.replica);
  group_of(client).home = asks.replica;
  send(client);
}

void SessionClients::answered(std::size_t client, CommandId id, int attempt,
                              const Outcome& outcome) {
  Client& asks = clients_[client];
  if (!asks.done || asks.id != id) return;
  if (outcome.kind == OutcomeKind::kExecuted) return finish(client, OutcomeKind::kExecuted);
  check(outcome.kind != OutcomeKind::kRejected || outcome.code != ErrorCode::kInvalidArgument,
        "a client was told that it has acknowledged what it has no answer to");
  if (outcome.code == ErrorCode::kUnknownSession) {
    Group& group = group_of(client);
    if (group.session == id.session) leave(group);
    return give_up(client);
  }
  if (outcome.kind == OutcomeKind::kUnknown) asks.uncertain = true;
  later(kAfterRefusalUs, [this, client, id, attempt] { again(client, id, attempt); });
}

/// A command that every attempt was refused to takes no effect.
void SessionClients::give_up(std::size_t client) {
  const Client& asks = clients_[client];
  if (asks.uncertain) return finish(client, OutcomeKind::kUnknown);
  refused_.push_back(asks.id);
  finish(client, OutcomeKind::kRejected);
}

std::vector<std::string> SessionClients::violations() const {
  std::vector<std::string> all;
  for (const CommandId& id : refused_) {
    for (const ReplicaId replica : cluster_.replicas()) {
      if (!cluster_.executions().has_executed(replica, id)) continue;
      all.push_back("request " + std::to_string(id.session) + "/" + std::to_string(id.number) +
                    " was refused whenever it was made, and is executed");
      break;
    }
  }
  return all;
}

void SessionClients::finish(std::size_t client, OutcomeKind kind) {
  Client& asks = clients_[client];
  Session& session = sessions_[asks.id.session];
  session.without_answer.erase(asks.id.number);
  if (session.left && session.without_answer.empty()) {
    // Some clients end without a word.
    if (random_.below(8) != 0) close(asks.id.session, asks.replica);
  }
  std::exchange(asks.done, {})(kind);
}

/// As a network does that delivers what it has reported as failed.
void SessionClients::repeat(Client& client) {
  client.uncertain = true;
  ++under_way_;
  const int replica = anybody();  // Two draws are two statements, in the same order everywhere.
  later(random_.below(8 * options_.patience_us),
        [this, id = client.id, payload = client.payload, replica] {
          --under_way_;
          propose(replica, payload, id, [](const Outcome&) {});
        });
}

void SessionClients::propose(int replica, const std::vector<std::byte>& payload, CommandId id,
                             runtime::Completion done, Tick deadline) {
  ++under_way_;
  const SessionRequest request{id, acknowledged_up_to(sessions_[id.session])};
  cluster_.propose(replica_at(replica), payload, deadline, request,
                   [this, done = std::move(done)](const Outcome& outcome) {
                     --under_way_;
                     done(outcome);
                   });
}

std::uint64_t SessionClients::acknowledged_up_to(const Session& session) const {
  const std::uint64_t answered =
      session.without_answer.empty() ? session.last : *session.without_answer.begin() - 1;
  return answered - std::min(answered, options_.kept_numbers);
}

// --- Sessions ----------------------------------------------------------------------------------

void SessionClients::open(Group& group) {
  group.session = ++opened_;
  group.opened_at = cluster_.now();
  group.attempt = 0;
  send_opening(group);
}

void SessionClients::send_opening(Group& group) {
  const std::uint64_t session = group.session;
  const int attempt = group.attempt;
  control(group.home, SessionOperation::kOpen, session,
          [this, &group, session, attempt](const Outcome& outcome) {
            opening_answered(group, session, attempt, outcome);
          });
  later(patience(attempt),
        [this, &group, session, attempt] { open_again(group, session, attempt); });
}

/// At another replica. An id that was tried for long is given up: its session may have expired, and
/// must not begin anew (decision record 14).
void SessionClients::open_again(Group& group, std::uint64_t session, int attempt) {
  if (group.open || group.session != session || group.attempt != attempt) return;
  group.home = next(group.home);
  const Tick longest = options_.ttl_us == 0 ? kOpeningUs : options_.ttl_us / 8;
  if (cluster_.now() - group.opened_at > longest) return open(group);
  ++group.attempt;
  send_opening(group);
}

void SessionClients::opening_answered(Group& group, std::uint64_t session, int attempt,
                                      const Outcome& outcome) {
  if (group.open || group.session != session) return;
  if (outcome.kind != OutcomeKind::kExecuted) {
    return later(kAfterRefusalUs,
                 [this, &group, session, attempt] { open_again(group, session, attempt); });
  }
  group.open = true;
  later(0, [this, &group] {
    for (const std::size_t client : std::exchange(group.waiting, {})) enter(client);
  });
}

/// The next command of the group opens another one. Most sessions are closed when all that was
/// asked in them has its answer, some before.
void SessionClients::leave(Group& group) {
  sessions_[group.session].left = true;
  if (random_.below(4) == 0) close(group.session, group.home);
  group.session = 0;
  group.open = false;
}

void SessionClients::close(std::uint64_t session, int replica) {
  control(replica, SessionOperation::kClose, session, [](const Outcome&) {});
}

void SessionClients::control(int replica, SessionOperation operation, std::uint64_t session,
                             runtime::Completion done) {
  ++under_way_;
  cluster_.control_session(replica_at(replica), operation, session,
                           [this, done = std::move(done)](const Outcome& outcome) {
                             --under_way_;
                             done(outcome);
                           });
}

}  // namespace epaxos::sim
