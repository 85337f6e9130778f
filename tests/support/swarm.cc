#include "tests/support/swarm.h"

#include "epaxos/protocol/core.h"
#include "epaxos/protocol/message.h"
#include "tests/support/speech_checker.h"

namespace epaxos::testing {

sim::SwarmOptions epaxos_swarm() {
  using protocol::MessageType;
  sim::SwarmOptions options = sim::key_value_swarm(protocol::epaxos());
  options.checkers.push_back(
      [](sim::Cluster& cluster) { return std::make_unique<epaxos::SpeechChecker>(cluster); });
  // The first Commit after a fast decision is the word that only one replica hears.
  for (const MessageType type : {MessageType::kCommit, MessageType::kCommit, MessageType::kAccept,
                                 MessageType::kPreAccept, MessageType::kPreAcceptOk}) {
    options.targets.push_back(static_cast<net::FrameType>(type));
  }
  options.zero_when_calm = {"slow_path_mismatch", "slow_path_timer"};
  return options;
}

}  // namespace epaxos::testing
