#include "tests/support/conversation.h"

#include "deps/types/check.h"
#include "epaxos/protocol/message_codec.h"
#include "net/bundle.h"

namespace epaxos::testing {
namespace {

using protocol::CommitKind;
using protocol::MessageType;

std::string name(ReplicaId replica) {
  return std::string(1, static_cast<char>('A' + replica.value()));
}

}  // namespace

Conversation::Conversation(sim::Cluster& cluster) : cluster_(cluster) {
  cluster.watch(*this);
}

void Conversation::on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk&) {
  net::BundleReader reader(cluster_.at_replica(to).identity(), cluster_.size());
  check(!reader.open(bundle), "a bundle left that its receiver would refuse");
  for (net::Frame frame; reader.next(frame);) {
    Line line;
    line.at = cluster_.now();
    line.from = from;
    line.to = to;
    line.type = static_cast<MessageType>(frame.type);
    hear(frame, line);
  }
}

void Conversation::hear(const net::Frame& frame, Line line) {
  const auto with = [&](auto message, auto&& take) {
    check(decode(frame.body, cluster_.size(), message), "a message left that does not decode");
    line.instance = message.instance;
    take(message);
    lines_.push_back(line);
  };
  switch (line.type) {
    case MessageType::kPreAccept:
      return with(protocol::PreAccept(), [&](const auto& m) { line.dependencies = m.initial; });
    case MessageType::kPreAcceptOk:
      return with(protocol::PreAcceptOk(), [&](const auto& m) {
        line.initial = m.initial;
        line.dependencies = m.dependencies;
      });
    case MessageType::kAccept:
      return with(protocol::Accept(), [&](const auto& m) { line.dependencies = m.dependencies; });
    case MessageType::kAcceptOk:
      return with(protocol::AcceptOk(), [](const auto&) {});
    case MessageType::kCommit:
      return with(protocol::Commit(), [&](const auto& m) {
        line.initial = m.kind == CommitKind::kInitial;
        line.dependencies = m.dependencies;
      });
    default:
      return;  // No part of a figure.
  }
}

std::vector<Conversation::Line> Conversation::about(const InstanceId& instance) const {
  std::vector<Line> found;
  for (const Line& line : lines_) {
    if (line.instance == instance) found.push_back(line);
  }
  return found;
}

std::vector<std::string> Conversation::sentences(const InstanceId& instance) const {
  std::vector<std::string> all;
  for (const Line& line : about(instance)) {
    std::string& sentence = all.emplace_back(name(line.from) + " > " + name(line.to) + " ");
    sentence += name_of(line.type);
    if (line.type == MessageType::kAcceptOk) continue;
    sentence += " " + (line.initial ? std::string("=") : to_string(line.dependencies));
  }
  return all;
}

Tick Conversation::first(MessageType type, const InstanceId& instance) const {
  for (const Line& line : about(instance)) {
    if (line.type == type) return line.at;
  }
  return kNever;
}

}  // namespace epaxos::testing
