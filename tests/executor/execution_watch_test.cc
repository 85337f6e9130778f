// Who watches the dependency graph learns why instances run when they do.

#include "executor/execution_watch.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "executor/dependency_graph.h"

namespace epaxos::executor {
namespace {

class Notes final : public ExecutionWatch {
 public:
  void on_wait(InstanceId instance, InstanceId blocker, WaitsFor what) override {
    lines.push_back(to_string(instance) + " waits for " + to_string(blocker) +
                    (what == WaitsFor::kPayload ? ", unknown" : ", undecided"));
  }
  void on_retry(InstanceId instance, InstanceId by) override {
    lines.push_back(to_string(instance) + " again after " + to_string(by));
  }
  void on_run(InstanceId instance, std::size_t component, InstanceId found_by) override {
    lines.push_back(to_string(instance) + " runs with " + std::to_string(component) + " from " +
                    to_string(found_by));
  }
  std::vector<std::string> lines;
};

const InstanceId kA1{ReplicaId(0), Slot(1)};
const InstanceId kB1{ReplicaId(1), Slot(1)};

TEST(ExecutionWatch, TellsWhatIsWaitedForAndWhatEndsTheWait) {
  Notes notes;
  DependencyGraph graph(2);
  graph.watch(&notes);
  std::vector<InstanceId> order;

  graph.record(kA1, Footprint::write("x"));
  graph.decide(kA1, {0, 1});
  graph.take_ready(order);
  graph.record(kB1, Footprint::write("x"));
  graph.take_ready(order);
  graph.decide(kB1, {0, 0});
  graph.take_ready(order);

  EXPECT_EQ(notes.lines, (std::vector<std::string>{
                             "R0.1 waits for R1.1, unknown", "R0.1 again after R1.1",
                             "R0.1 waits for R1.1, undecided", "R1.1 runs with 1 from R1.1",
                             "R0.1 again after R1.1", "R0.1 runs with 1 from R0.1"}));
  EXPECT_EQ(order, (std::vector{kB1, kA1}));
}

TEST(ExecutionWatch, ACircleRunsFromWhereItWasClosed) {
  Notes notes;
  DependencyGraph graph(2);
  graph.watch(&notes);
  std::vector<InstanceId> order;

  graph.record(kA1, Footprint::write("x"));
  graph.record(kB1, Footprint::write("x"));
  graph.decide(kA1, {0, 1});
  graph.take_ready(order);
  graph.decide(kB1, {1, 0});
  graph.take_ready(order);

  EXPECT_EQ(notes.lines, (std::vector<std::string>{
                             "R0.1 waits for R1.1, undecided", "R0.1 runs with 2 from R1.1",
                             "R1.1 runs with 2 from R1.1", "R0.1 again after R1.1"}));
}

}  // namespace
}  // namespace epaxos::executor
