#include "epaxos/programs/simulate_trace.h"

#include <fstream>
#include <memory>

#include "epaxos/programs/cluster_trace.h"

namespace epaxos {
namespace {

Failure not_written(const std::string& path) {
  return fail(ErrorCode::kIo, "The trace " + path + " cannot be written.");
}

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return file.good();
}

/// Draws as long as the cluster lives, and writes the file when it goes.
class TraceOfRun final : public sim::Checker {
 public:
  TraceOfRun(sim::Cluster& cluster, const CommandTraceOptions& options, std::string path)
      : commands_(cluster, options, trace_), path_(std::move(path)) {
    cluster.watch(commands_);
  }
  ~TraceOfRun() override {
    commands_.end();
    write_file(path_, trace_.json());
  }

  [[nodiscard]] std::string_view name() const override { return "trace"; }
  [[nodiscard]] std::vector<std::string> violations() const override { return {}; }

 private:
  Trace trace_;
  ClusterTrace commands_;
  const std::string path_;
};

}  // namespace

Result<void> begin_trace(const std::string& path) {
  if (write_file(path, Trace().json())) return {};
  return not_written(path);
}

Result<void> write_trace(const SimulatedRuns& runs, const sim::SwarmOptions& swarm,
                         const sim::SwarmPlan& plan, const std::string& path) {
  SimulatedRuns watched = runs;
  watched.run = [&](const sim::SwarmPlan& one) {
    sim::SwarmOptions options = swarm;
    options.checkers.emplace_back([&](sim::Cluster& cluster) {
      CommandTraceOptions how;
      how.is_epaxos = swarm.protocol.name == "epaxos";
      return std::make_unique<TraceOfRun>(cluster, how, path);
    });
    return run_swarm(options, one);
  };
  const sim::SwarmResult result = run_apart(watched, plan);
  // What the process could not write it could not tell, either.
  std::ifstream file(path);
  file.seekg(-1, std::ios::end);
  if (file.get() == '\n') return {};
  return not_written(path);
}

}  // namespace epaxos
