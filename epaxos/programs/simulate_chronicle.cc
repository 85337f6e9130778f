#include "epaxos/programs/simulate_chronicle.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include "epaxos/programs/simulate_words.h"

namespace epaxos {
namespace {

constexpr const char* kHead =
    "# Virtual time in us and a replica, which\n"
    "#   > R1: sends to R1      < R1: takes what R1 sent      x R1: never gets what R1 sent\n"
    "# or does what is said; what it is given by clients and what becomes durable there as well.\n";

class Chronicle final : public sim::Checker {
 public:
  Chronicle(sim::Cluster& cluster, const SimulatedWords& words, std::ostream& to)
      : cluster_(cluster),
        words_(words),
        to_(to),
        looks_(static_cast<std::size_t>(cluster.size())) {
    for (const ReplicaId replica : cluster.replicas()) on_started(replica);
  }

  [[nodiscard]] std::string_view name() const override { return "chronicle"; }
  [[nodiscard]] std::vector<std::string> violations() const override { return {}; }

  void on_started(ReplicaId replica) override { say(replica, "starts"); }
  void on_stopped(ReplicaId replica) override { say(replica, "stops"); }
  void on_proposed(ReplicaId replica, const Proposal& proposal) override {
    say(replica, "is given " + epaxos::words_of(proposal.command.id) +
                     (proposal.command.reads_only ? ", which only reads" : ""));
  }
  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk&) override {
    tell(from, '>', from, to, bundle);
  }
  void on_arrived(ReplicaId from, ReplicaId to, Bytes bundle, bool taken) override {
    tell(to, taken ? '<' : 'x', from, to, bundle);
  }
  void on_executed(ReplicaId replica, const Command& command, Bytes) override {
    say(replica, "executes " + epaxos::words_of(command.id));
  }
  void on_acknowledged(ReplicaId replica, CommandId command, Bytes) override {
    say(replica, "tells its client the reply to " + epaxos::words_of(command));
  }

  /// What has reached the disks since the last look. After every event.
  void look_at_disks() {
    for (const ReplicaId replica : cluster_.replicas()) {
      const sim::VirtualDisk& disk = cluster_.disk(replica);
      Look& last = looks_[replica.value()];
      if (disk.changes() == last.changes) continue;
      last.changes = disk.changes();
      const sim::VirtualDisk::Image& now = disk.image();
      sim::VirtualDisk::Image& before = last.image;
      for (const auto& [key, value] : now) {
        const auto known = before.find(key);
        if (known != before.end() && known->second == value) continue;
        if (key.kind == kRecordKindMax) continue;  // How many batches there were.
        say(replica, "durable: " + words_of(key, value));
      }
      if (now.size() < before.size()) say(replica, "lost what its disk held");
      before = now;
    }
  }

 private:
  /// What a disk held.
  struct Look {
    std::uint64_t changes = 0;
    sim::VirtualDisk::Image image;
  };

  /// Every line is written at once: the process may not live to see the last.
  void say(ReplicaId replica, const std::string& what) {
    to_.width(10);
    to_ << cluster_.now() << " " << to_string(replica) << " " << what << "\n";
    to_.flush();
  }

  void tell(ReplicaId who, char how, ReplicaId from, ReplicaId to, Bytes bundle) {
    const ReplicaId other = who == from && how == '>' ? to : from;
    const std::string before = std::string(1, how) + " " + to_string(other) + " ";
    net::BundleReader reader(cluster_.at_replica(to).identity(), cluster_.size());
    if (reader.open(bundle)) {
      say(who, before + "a damaged bundle");
      return;
    }
    for (net::Frame frame; reader.next(frame);) {
      say(who, before + words_of(frame));
    }
  }

  [[nodiscard]] std::string words_of(const net::Frame& frame) const {
    if (words_.frame) return words_.frame(frame, cluster_.size());
    return "type " + std::to_string(frame.type) + ", " + std::to_string(frame.body.size()) +
           " bytes";
  }
  [[nodiscard]] std::string words_of(const RecordKey& key, Bytes value) const {
    if (words_.record) return words_.record(key, value, cluster_.size());
    return "kind " + std::to_string(key.kind) + " of " + to_string(InstanceId{key.row, key.slot});
  }

  sim::Cluster& cluster_;
  const SimulatedWords& words_;
  std::ostream& to_;
  std::vector<Look> looks_;  // The last ones.
};

}  // namespace

Result<void> write_chronicle(const SimulatedRuns& runs, const sim::SwarmOptions& swarm,
                             const SimulatedWords& words, const sim::SwarmPlan& plan,
                             const std::string& replay_line, const std::string& path) {
  std::error_code ignored;  // The file cannot be written then.
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  const Failure not_written = fail(ErrorCode::kIo, "The chronicle " + path + " cannot be written.");
  std::ofstream head(path);
  head << "# " << replay_line << "\n" << kHead;
  head.close();
  if (!head.good()) return not_written;

  SimulatedRuns watched = runs;
  watched.run = [&](const sim::SwarmPlan& one) {
    std::ofstream to(path, std::ios::app);
    sim::SwarmOptions options = swarm;
    Chronicle* chronicle = nullptr;
    options.checkers.insert(options.checkers.begin(), [&](sim::Cluster& cluster) {
      auto made = std::make_unique<Chronicle>(cluster, words, to);
      chronicle = made.get();
      return made;
    });
    options.after_event = [&](sim::Cluster& cluster) {
      chronicle->look_at_disks();
      if (swarm.after_event) swarm.after_event(cluster);
    };
    return run_swarm(options, one);
  };
  const sim::SwarmResult result = run_apart(watched, plan);

  std::ofstream file(path, std::ios::app);
  for (const sim::Violation& each : result.violations) {
    file << "# " << each.checker << ": " << each.what << "\n";
  }
  file.flush();
  if (file.good()) return {};
  return not_written;
}

}  // namespace epaxos
