#pragma once

// Elections wait ever longer while they are in vain, so that candidates do not stop each other and
// answers have time to come. But where the others were gone, the waiting was for nothing, and who
// comes back must not find a group that waits for many seconds more.

#include <array>
#include <cstddef>

#include "deps/types/ids.h"
#include "deps/types/replica_set.h"

namespace epaxos::compare {

/// How many questions in a row each peer has left without a word.
class AskedInVain {
 public:
  void asked(ReplicaSet whom) {
    for (std::size_t peer = 0; peer < times_.size(); ++peer) {
      if ((whom.bits() >> peer & 1u) != 0) ++times_[peer];
    }
  }

  /// Something of it was heard. True: it is back after it had been silent for several questions.
  /// Fewer are no silence, as answers may take longer than the time from one to the next.
  bool is_back(ReplicaId from) {
    const bool was_gone = times_[from.value()] >= kSilence;
    times_[from.value()] = 0;
    return was_gone;
  }

 private:
  static constexpr unsigned kSilence = 3;

  std::array<unsigned, kReplicasMax> times_{};
};

}  // namespace epaxos::compare
