#pragma once

// What happens next in a virtual world. Events are taken in the order of (time, tie, number): the
// tie is drawn by chance, so that what happens at one moment happens in any order, and the number
// makes the order total. Taking an event moves the clock.
//
// A replica's turn is put off and brought forward with nearly everything that it does, and it has
// one at a time. So turns are kept beside the others, one for each replica: as one event among
// thousands every turn that was moved would stay behind, to be taken for nothing.

#include <array>
#include <cstdint>
#include <vector>

#include "deps/types/ids.h"
#include "epaxos/sim/random.h"

namespace epaxos::sim {

enum class EventKind : std::uint8_t {
  kDelivery,  ///< A bundle arrives; `subject` is its number in the network.
  kDiskDone,  ///< A disk completes its first batch; `subject` tells its lives apart.
  kTurn,      ///< A replica's host runs a turn.
  kAction,    ///< Something that a test or a fault plan wanted at this time.
};

struct Event {
  Tick time = 0;
  std::uint32_t tie = 0;
  EventKind kind = EventKind::kAction;
  ReplicaId replica;
  std::uint64_t number = 0;
  std::uint64_t subject = 0;
};

class EventQueue {
 public:
  explicit EventQueue(std::uint64_t seed);

  [[nodiscard]] Tick now() const { return now_; }

  /// `time` before now counts as now.
  void push(Tick time, EventKind kind, ReplicaId replica, std::uint64_t subject);
  /// The replica's next turn is then, and at no other time; kNever: it has none.
  void set_turn(ReplicaId replica, Tick time);

  [[nodiscard]] bool empty() const { return heap_.empty() && next_turn().time == kNever; }
  /// Precondition of both: not empty().
  [[nodiscard]] Tick next_time() const;
  Event pop();

  /// Moves the clock without an event. Precondition: no event is earlier.
  void advance(Tick time);

  [[nodiscard]] std::uint64_t taken() const { return taken_; }

 private:
  [[nodiscard]] Event event(Tick time, EventKind kind, ReplicaId replica, std::uint64_t subject);
  [[nodiscard]] const Event& next_turn() const { return turns_[soonest_]; }
  /// Precondition: not empty().
  [[nodiscard]] bool turn_is_next() const;
  void sift_up();
  void sift_down();

  static constexpr std::size_t kChildren = 4;

  Random ties_;
  std::vector<Event> heap_;
  std::array<Event, kReplicasMax> turns_;
  std::size_t soonest_ = 0;  // Of turns_.
  Tick now_ = 0;
  std::uint64_t numbers_ = 0;
  std::uint64_t taken_ = 0;
};

}  // namespace epaxos::sim
