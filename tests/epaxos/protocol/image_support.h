#pragma once

// What the tests of floors and of images share: a replica of a group of three that is told
// decisions, and whose host applies what is executed.

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {

inline const std::vector<std::byte> kWritesX = block_of({write("x")});
inline const std::vector<std::byte> kWritesY = block_of({write("y")});
inline const Dependencies kZero{0, 0, 0};
inline const InstanceId kA2 = id(kA, 2);
inline const InstanceId kB1 = id(kB, 1);
inline const InstanceId kC1 = id(kC, 1);

inline void tell_commit(Subject& subject, ReplicaId from, const InstanceId& which,
                        const Dependencies& dependencies = kZero, Bytes block = kWritesX) {
  subject.deliver(from, Commit{which, CommitKind::kFull, dependencies, block});
}

/// The host applies what can be executed, and the core forgets what it may.
inline void apply_all(Subject& subject) {
  subject.end_turn();
  subject.apply();
  subject.end_turn();
}

inline const Footprint kTouchesX = Footprint::write("x");
inline const Footprint kTouchesY = Footprint::write("y");

/// Of a group of three, about one row.
inline Coverage covers_a(std::uint64_t executed, std::uint64_t floor = 0) {
  Coverage coverage{{floor, 0, 0}, {executed, 0, 0}, {}};
  for (std::uint64_t slot = floor + 1; slot <= executed; ++slot) {
    coverage.instances.push_back({id(kA, slot), false, kTouchesX});
  }
  return coverage;
}

inline Result<void> may_install(const Subject& subject, const Coverage& coverage) {
  return subject.core.may_install(Subject::coded(coverage));
}

inline Result<Coverage> coverage_for(Subject& subject, ReplicaId peer, const Coverage& image) {
  std::vector<std::byte> told;
  Result<bool> done = false;
  while (done && !*done) done = subject.core.coverage_for(peer, Subject::coded(image), told);
  if (!done) return fail(done.error());
  return decode_coverage(told, subject.n);
}

/// When it next asks for an image, and whom.
inline std::vector<ReplicaId> wishes(Subject& subject, int turns) {
  std::vector<ReplicaId> asked;
  for (int i = 0; i < turns; ++i) {
    subject.advance(CoreConfig{}.question_us);
    if (const auto& wish = subject.end_turn().image_wish) asked.push_back(wish->from);
  }
  return asked;
}

/// B of a group of three.
class Install : public ::testing::Test {
 protected:
  Install() : b(kB, 3) {}
  Dependencies vote(const InstanceId& which, const Dependencies& initial, Bytes block) {
    const auto answer =
        only<PreAcceptOk>(b.deliver(which.row, PreAccept{which, initial, block}), 3);
    return answer.initial ? initial : answer.dependencies;
  }
  Subject b;
};

}  // namespace epaxos::protocol
