#include "epaxos/sim/load.h"

namespace epaxos::sim {

void note(Outcomes& outcomes, OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kExecuted:
      ++outcomes.executed;
      break;
    case OutcomeKind::kRejected:
      ++outcomes.rejected;
      break;
    case OutcomeKind::kUnknown:
      ++outcomes.unknown;
      break;
  }
}

Load::Load(Cluster& cluster, const LoadOptions& options)
    : cluster_(cluster), options_(options), random_(stream(options.seed, Purpose::kWorkload, 0)) {
  for (int client = 0; client < options.clients; ++client) {
    homes_.push_back(client % cluster.size());
  }
  if (options.sessions.clients_each == 0) return;
  sessions_ =
      std::make_unique<SessionClients>(cluster, options.sessions, options.clients, options.seed);
}

void Load::start() {
  for (int client = 0; client < options_.clients; ++client) {
    if (options_.begins_within_us == 0) {
      next(client);
    } else {
      const Tick begin = cluster_.now() + random_.below(options_.begins_within_us);
      cluster_.at(begin, [this, client] { next(client); });
    }
  }
}

void Load::next(int client) {
  if (proposed_ == options_.commands) return;
  ++proposed_;
  std::vector<std::byte> payload = command(random_, proposed_);
  if (sessions_) {
    return sessions_->ask(client, std::move(payload),
                          [this, client](OutcomeKind kind) { ended(client, kind); });
  }
  const int home = homes_[static_cast<std::size_t>(client)];
  propose(client, ReplicaId(static_cast<std::uint16_t>(home)), payload);
}

void Load::propose(int client, ReplicaId replica, Bytes payload) {
  runtime::Completion done = [this, client](const Outcome& outcome) {
    ended(client, outcome.kind);
  };
  if (options_.timeout_us == 0) {
    cluster_.propose(replica, payload, std::move(done));
  } else {
    cluster_.propose(replica, payload, cluster_.now() + options_.timeout_us, std::move(done));
  }
}

std::vector<std::string> Load::violations() const {
  return sessions_ ? sessions_->violations() : std::vector<std::string>();
}

void Load::ended(int client, OutcomeKind kind) {
  note(outcomes_, kind);
  if (options_.moves && kind != OutcomeKind::kExecuted) {
    int& home = homes_[static_cast<std::size_t>(client)];
    home = (home + 1) % cluster_.size();
  }
  // Whoever was refused does not ask again at once.
  const Tick least = kind == OutcomeKind::kExecuted ? 0 : 50'000;
  Tick pause = least + random_.below(options_.think_us + 1);
  if (sessions_) pause += sessions_->rest();
  cluster_.at(cluster_.now() + pause, [this, client] { next(client); });
}

}  // namespace epaxos::sim
