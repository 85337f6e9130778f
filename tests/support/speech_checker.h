#pragma once

// The checker of what replicas say, for tests that build a cluster by hand.

#include "epaxos/programs/simulate_speech_checker.h"

namespace epaxos::testing {

/// Watches by itself. The cluster outlives it.
class SpeechChecker final : public epaxos::SpeechChecker {
 public:
  explicit SpeechChecker(sim::Cluster& cluster) : epaxos::SpeechChecker(cluster) {
    cluster.watch(*this);
  }
  /// violations(), and what can be judged only when all is decided.
  [[nodiscard]] std::vector<std::string> final_violations() {
    finish();
    return violations();
  }
};

}  // namespace epaxos::testing
