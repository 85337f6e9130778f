#pragma once

// What the replicas of a virtual cluster say to each other, message by message, in words that a
// test can compare with a figure.

#include <string>
#include <vector>

#include "epaxos/protocol/message.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::testing {

class Conversation final : public sim::Observer {
 public:
  struct Line {
    Tick at = 0;
    ReplicaId from;
    ReplicaId to;
    protocol::MessageType type = protocol::MessageType::kStatus;
    InstanceId instance;
    Dependencies dependencies;  ///< Of PreAccept, PreAcceptOk, Accept and Commit, where it has any.
    bool initial = false;       ///< Of PreAcceptOk and Commit: as the owner proposed.
  };

  explicit Conversation(sim::Cluster& cluster);

  void on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk& disk) override;

  /// What was said about one instance, in order.
  [[nodiscard]] std::vector<Line> about(const InstanceId& instance) const;
  /// The same as sentences: "A > C PreAcceptOk [0,0,0,0,1]"; "=" stands for the initial ones.
  [[nodiscard]] std::vector<std::string> sentences(const InstanceId& instance) const;
  /// When something of this type was first said about an instance; kNever if it never was.
  [[nodiscard]] Tick first(protocol::MessageType type, const InstanceId& instance) const;

 private:
  void hear(const net::Frame& frame, Line line);

  sim::Cluster& cluster_;
  std::vector<Line> lines_;
};

}  // namespace epaxos::testing
