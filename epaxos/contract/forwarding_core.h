#pragma once

// A core around another one, for who wants to see what goes in and what comes out: every call goes
// on to the inner one. Whoever watches overrides some of them, and changes nothing.

#include <memory>
#include <utility>

#include "epaxos/contract/core.h"

namespace epaxos {

class ForwardingCore : public Core {
 public:
  explicit ForwardingCore(std::unique_ptr<Core> core) : core_(std::move(core)) {}

  void read_from(RecordReader reader) override { core_->read_from(std::move(reader)); }
  Result<void> restore(const RecordKey& key, Bytes value) override {
    return core_->restore(key, value);
  }
  void start(Tick now, Effects& out) override { core_->start(now, out); }
  void propose(std::span<const Proposal> proposals, Effects& out) override {
    core_->propose(proposals, out);
  }
  void receive(ReplicaId from, const net::Frame& frame, Effects& out) override {
    core_->receive(from, frame, out);
  }
  void durable(BatchNumber batch, Effects& out) override { core_->durable(batch, out); }
  void applied(std::uint64_t position, Effects& out) override { core_->applied(position, out); }
  void tick(Tick now, Effects& out) override { core_->tick(now, out); }
  [[nodiscard]] Tick next_deadline() const override { return core_->next_deadline(); }
  Result<void> restore_coverage(Bytes coverage) override {
    return core_->restore_coverage(coverage);
  }
  void coverage(std::vector<std::byte>& out) const override { core_->coverage(out); }
  void image_durable(Bytes coverage, Effects& out) override { core_->image_durable(coverage, out); }
  Result<bool> coverage_for(ReplicaId peer, Bytes coverage, std::vector<std::byte>& out) override {
    return core_->coverage_for(peer, coverage, out);
  }
  [[nodiscard]] Result<void> may_install(Bytes coverage) const override {
    return core_->may_install(coverage);
  }
  void install(Bytes coverage, Effects& out) override { core_->install(coverage, out); }
  void end_of_turn(Effects& out) override { core_->end_of_turn(out); }
  void storage_full(bool full) override { core_->storage_full(full); }
  [[nodiscard]] bool reads_write_nothing() const override { return core_->reads_write_nothing(); }
  void peer_forgot(ReplicaId peer) override { core_->peer_forgot(peer); }
  Result<void> transfer_leadership(ReplicaId to, Effects& out) override {
    return core_->transfer_leadership(to, out);
  }
  Result<void> change_members(MemberChange change, ReplicaId replica, Effects& out) override {
    return core_->change_members(change, replica, out);
  }
  [[nodiscard]] HeldMemory held_memory() const override { return core_->held_memory(); }
  void status(CoreStatus& out) const override { core_->status(out); }
  [[nodiscard]] Result<InstanceHistory> history(const InstanceId& id) const override {
    return core_->history(id);
  }
  [[nodiscard]] Result<std::vector<InstanceHistory>> slowest(std::size_t most) const override {
    return core_->slowest(most);
  }

  [[nodiscard]] const Core& watched() const { return *core_; }

 private:
  const std::unique_ptr<Core> core_;
};

}  // namespace epaxos
