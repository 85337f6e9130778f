#include "epaxos/sim/load.h"

namespace epaxos::sim {

void note(Outcomes& outcomes, const Outcome& outcome) {
  switch (outcome.kind) {
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
}

void Load::start() {
  for (int client = 0; client < options_.clients; ++client) next(client);
}

void Load::next(int client) {
  if (proposed_ == options_.commands) return;
  ++proposed_;
  const int home = homes_[static_cast<std::size_t>(client)];
  propose(client, ReplicaId(static_cast<std::uint16_t>(home)), command(random_, proposed_));
}

void Load::propose(int client, ReplicaId replica, Bytes payload) {
  runtime::Completion done = [this, client](const Outcome& outcome) { ended(client, outcome); };
  if (options_.timeout_us == 0) {
    cluster_.propose(replica, payload, std::move(done));
  } else {
    cluster_.propose(replica, payload, cluster_.now() + options_.timeout_us, std::move(done));
  }
}

void Load::ended(int client, const Outcome& outcome) {
  note(outcomes_, outcome);
  if (options_.moves && outcome.kind != OutcomeKind::kExecuted) {
    int& home = homes_[static_cast<std::size_t>(client)];
    home = (home + 1) % cluster_.size();
  }
  // Whoever was refused does not ask again at once.
  const Tick least = outcome.kind == OutcomeKind::kExecuted ? 0 : 50'000;
  const Tick pause = least + random_.below(options_.think_us + 1);
  cluster_.at(cluster_.now() + pause, [this, client] { next(client); });
}

}  // namespace epaxos::sim
