#pragma once

// The state machine of a virtual replica: it shows every command that it runs, and every image.
// A machine of any kind can be made one that keeps itself, in a virtual storage: what save() writes
// is kept, and loaded at the next start.

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "epaxos/sim/machine_storage.h"
#include "executor/state_machine.h"

namespace epaxos::sim {

class WatchedMachine final : public StateMachine {
 public:
  struct Watch {
    std::function<void(std::span<const Command>, const Replies&)> applied;
    std::function<void(std::span<const Command>, const Replies&)> read;
    std::function<std::uint64_t()> imaged;  ///< Gives the image, or the kept state, its number.
    std::function<void(std::uint64_t)> loaded;
    /// Asked before a state is kept, and told after: whether the replica is dead meanwhile.
    std::function<bool()> dying;
    std::function<void()> keeping;
  };
  /// `storage`: null unless the machine keeps itself; outlives it.
  WatchedMachine(std::unique_ptr<StateMachine> machine, MachineStorage* storage, Watch watch)
      : machine_(std::move(machine)), storage_(storage), watch_(std::move(watch)) {}

  /// The start of a life: the machine holds what its storage does.
  void begin();

  [[nodiscard]] Result<Footprint> admit(Bytes payload) const override {
    return machine_->admit(payload);
  }
  void apply(std::span<const Command> batch, Replies& replies) override;
  void read(std::span<const Command> batch, Replies& replies) override;
  [[nodiscard]] Result<std::vector<std::byte>> query(Bytes request) const override {
    return machine_->query(request);
  }
  [[nodiscard]] Result<void> save(const Sink& sink) const override { return machine_->save(sink); }
  Result<void> load(const Source& source) override;
  [[nodiscard]] Result<std::unique_ptr<Image>> image() override;
  [[nodiscard]] std::uint64_t digest() const override { return machine_->digest(); }

  [[nodiscard]] bool keeps_itself() const override { return storage_ != nullptr; }
  Result<void> keep(std::uint64_t number, Bytes mark) override;
  [[nodiscard]] Result<std::uint64_t> kept() override { return storage_->kept_number(); }
  [[nodiscard]] Result<std::vector<std::byte>> kept_mark() const override {
    return storage_->kept().mark;
  }

  [[nodiscard]] StateMachine& watched() { return *machine_; }

 private:
  const std::unique_ptr<StateMachine> machine_;
  MachineStorage* const storage_;
  const Watch watch_;
};

}  // namespace epaxos::sim
