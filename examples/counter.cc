// A counter that three replicas agree on. Each adds to it at the same time as the others and is
// told the sum: nothing is lost, and no two see the same one. The three share this process to keep
// the example in one file. In earnest each has a process and a machine of its own, and the cluster
// is a file that all of them read: ClusterConfig::load().

#include <cstdio>

#include "epaxos/node/node.h"

using epaxos::Bytes, epaxos::Command, epaxos::Footprint, epaxos::Node, epaxos::OwnedOutcome;
using epaxos::bytes_of, epaxos::number_from, epaxos::ReplicaId, epaxos::Replies, epaxos::Result;

struct Counter final : epaxos::StateMachine {
  // Is this a command, and what does it touch? Commands that touch different keys need no order.
  Result<Footprint> admit(Bytes payload) const override {
    if (number_from<std::int64_t>(payload)) return Footprint::write("the counter");
    return epaxos::fail(epaxos::ErrorCode::kMalformed, "an addition is a number of eight bytes");
  }

  // What do commands do? Every replica runs this on the same commands, in the same order.
  void apply(std::span<const Command> batch, Replies& replies) override {
    for (const Command& command : batch) {
      value += *number_from<std::int64_t>(command.payload);
      replies.add(bytes_of(value));
    }
  }

  // What is the state?
  Result<void> save(const epaxos::Sink& sink) const override { return sink(bytes_of(value)); }
  Result<void> load(const epaxos::Source& source) override { return load_number(source, value); }

  std::int64_t value = 0;
};

int main() {
  const auto cluster = epaxos::ClusterConfig::loopback("counter", 3);
  if (!cluster) return std::puts(cluster.error().message.c_str()), 1;

  std::vector<std::unique_ptr<Node>> replicas;
  for (ReplicaId id; id.value() < 3; id = id.next()) {
    auto node = Node::open({.cluster = *cluster, .self = id}, std::make_unique<Counter>());
    if (!node) return std::puts(node.error().message.c_str()), 1;
    replicas.push_back(std::move(*node));
  }

  const std::int64_t five = 5;
  std::vector<std::future<OwnedOutcome>> additions;
  for (auto& replica : replicas) additions.push_back(replica->propose(bytes_of(five)));
  for (auto& addition : additions) {
    const OwnedOutcome outcome = addition.get();
    if (outcome.kind != epaxos::OutcomeKind::kExecuted) return std::puts(outcome.reason.c_str()), 1;
    std::printf("added 5; the counter is %ld\n", *number_from<std::int64_t>(outcome.reply));
  }
}
