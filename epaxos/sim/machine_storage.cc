#include "epaxos/sim/machine_storage.h"

#include <utility>

#include "deps/types/check.h"

namespace epaxos::sim {

MachineStorage::MachineStorage(ReplicaId replica, std::uint64_t seed, const EventQueue& events)
    : events_(events), random_(stream(seed, Purpose::kDisk, (1u << 17) + replica.value())) {
}

bool MachineStorage::is_done() const {
  return on_its_way_ && on_its_way_->done_at <= events_.now();
}

void MachineStorage::settle() {
  if (!is_done()) return;
  if (on_its_way_->arrives) kept_ = std::move(on_its_way_->state);
  on_its_way_.reset();
}

Result<void> MachineStorage::keep(State state) {
  settle();
  check(!on_its_way_, "a state machine was asked to keep two states at once");
  check(state.number > kept_.number, "the numbers of the states that are kept ascend");
  const Tick latency = random_.below(2 * conditions_.latency_us + 1);
  const bool fails = random_.chance(conditions_.fail_ppm);
  if (fails && random_.below(2) == 0) {
    return fail(ErrorCode::kIo, "the virtual storage of the state machine failed");
  }
  const bool arrives = !fails || random_.below(2) == 0;
  on_its_way_ = OnItsWay{std::move(state), events_.now() + latency, fails, arrives};
  return {};
}

Result<std::uint64_t> MachineStorage::kept_number() const {
  if (is_done() && on_its_way_->fails) {
    return fail(ErrorCode::kIo, "the virtual storage of the state machine failed later");
  }
  return kept().number;
}

const MachineStorage::State& MachineStorage::kept() const {
  return is_done() && on_its_way_->arrives ? on_its_way_->state : kept_;
}

void MachineStorage::crash() {
  if (on_its_way_ && !is_done()) on_its_way_->arrives = random_.below(2) == 0;
  if (on_its_way_) on_its_way_->done_at = 0;
  settle();
}

void MachineStorage::set_back(State state) {
  on_its_way_.reset();
  kept_ = std::move(state);
}

}  // namespace epaxos::sim
