#include "bench/wan/traced_core.h"

#include <array>
#include <deque>
#include <set>
#include <utility>

#include "bench/report/clock.h"
#include "bench/wan/shared_trace.h"
#include "epaxos/contract/forwarding_core.h"

namespace epaxos::bench {
namespace {

class TracedCore final : public ForwardingCore {
 public:
  TracedCore(std::unique_ptr<Core> core, const EmulatedGroup& group, ReplicaId self)
      : ForwardingCore(std::move(core)),
        group_(group),
        rows_(group.placement.replica_count()),
        is_epaxos_(group.protocol.name == "epaxos"),
        self_(self),
        trace_(*group.trace),
        mine_(trace_.replicas[self.value()]) {}

  void propose(std::span<const Proposal> proposals, Effects& out) override {
    for (const Proposal& proposal : proposals) proposed(proposal.command.id);
    ForwardingCore::propose(proposals, out);
  }

  void receive(ReplicaId from, const net::Frame& frame, Effects& out) override {
    if (const auto instance = told_of(frame)) {
      mine_.events.write(
          {now_us(), TraceEvent::Kind::kArrived, frame.type, from, self_, *instance, {}});
    }
    ForwardingCore::receive(from, frame, out);
  }

  void end_of_turn(Effects& out) override {
    ForwardingCore::end_of_turn(out);
    for (const SendEffect& send : out.sends) leaves(send, out.view(send.body));
    for (const ExecutionEffect& execution : out.executions) will_run(execution);
    for (const ReadEffect& read : out.reads) {
      if (trace_.commands > 0 && is_traced(read.command)) ran(read.command);
    }
  }

  void applied(std::uint64_t position, Effects& out) override {
    for (; !running_.empty() && running_.front().first <= position; running_.pop_front()) {
      ran(running_.front().second);
    }
    ForwardingCore::applied(position, out);
  }

 private:
  void proposed(const CommandId& id) {
    const Tick now = now_us();
    const Tick from = group_.shared.from_us;
    const std::size_t most = group_.options.traced_commands_max;
    if (from == 0 || now < from || trace_.commands >= most) return;
    if (trace_.commands.fetch_add(1) >= most) return;
    const std::size_t count = mine_.command_count.load(std::memory_order_relaxed);
    mine_.commands[count] = id;
    mine_.command_count.store(count + 1, std::memory_order_release);
    mine_.events.write(
        {.at = now, .kind = TraceEvent::Kind::kProposed, .replica = self_, .command = id});
  }

  [[nodiscard]] bool is_traced(const CommandId& id) {
    for (std::size_t each = 0; each < known_.size(); ++each) {
      const SharedTrace::Replica& replica = trace_.replicas[each];
      const std::size_t count = replica.command_count.load(std::memory_order_acquire);
      for (; known_[each] < count; ++known_[each]) traced_.insert(replica.commands[known_[each]]);
    }
    return traced_.contains(id);
  }

  /// The instance of a traced command that the message is about.
  [[nodiscard]] std::optional<InstanceId> told_of(const net::Frame& frame) const {
    if (!is_epaxos_ || trace_.commands == 0) return std::nullopt;
    const auto instance = traced_instance(frame, rows_);
    if (!instance) return std::nullopt;
    const SharedTrace::Replica& owner = trace_.replicas[instance->row.value()];
    const std::uint64_t slot = instance->slot.value();
    if (owner.first_slot == 0 || slot < owner.first_slot || slot > owner.last_slot) {
      return std::nullopt;
    }
    return instance;
  }

  void leaves(const SendEffect& send, Bytes body) {
    if (!is_epaxos_ || trace_.commands == 0) return;
    const net::Frame frame{send.group, send.epoch, send.type, body};
    learn_instance(frame);
    const auto instance = told_of(frame);
    if (!instance) return;
    const Tick now = now_us();
    for_each_member(ReplicaSet::of_bits(send.to), [&](ReplicaId to) {
      if (group_.shared.links.get(self_, to).cut) return;
      mine_.events.write({now, TraceEvent::Kind::kSent, send.type, self_, to, *instance, {}});
    });
  }

  /// The traced commands of a proposal have an instance from now on.
  void learn_instance(const net::Frame& frame) {
    for (const CommandId& id : proposed_commands(frame, rows_)) {
      if (!is_traced(id)) continue;
      const InstanceId instance = *traced_instance(frame, rows_);
      if (instance.row != self_) return;
      const std::uint64_t slot = instance.slot.value();
      if (mine_.first_slot == 0) mine_.first_slot = slot;
      if (mine_.last_slot < slot) mine_.last_slot = slot;
      mine_.events.write({.at = now_us(),
                          .kind = TraceEvent::Kind::kInstance,
                          .replica = self_,
                          .instance = instance,
                          .command = id});
    }
  }

  void ran(const CommandId& id) {
    mine_.events.write(
        {.at = now_us(), .kind = TraceEvent::Kind::kExecuted, .replica = self_, .command = id});
  }

  /// The host runs it before the next turn, and says so.
  void will_run(const ExecutionEffect& execution) {
    if (trace_.commands == 0) return;
    commands_.clear();
    decode_block_commands(execution.block, commands_);
    for (const Command& command : commands_) {
      if (is_traced(command.id)) running_.emplace_back(execution.position, command.id);
    }
  }

  const EmulatedGroup& group_;
  const int rows_;
  const bool is_epaxos_;
  const ReplicaId self_;
  SharedTrace& trace_;
  SharedTrace::Replica& mine_;
  std::array<std::size_t, kReplicasMax> known_{};  // By replica: its commands in `traced_`.
  std::set<CommandId> traced_;
  std::vector<Command> commands_;
  std::deque<std::pair<std::uint64_t, CommandId>> running_;  // By position.
};

}  // namespace

Protocol traced_protocol(const EmulatedGroup& group, ReplicaId self) {
  if (group.trace == nullptr) return group.protocol;
  Protocol protocol = group.protocol;
  protocol.make_core = [&group, self](const CoreConfig& config) {
    return std::make_unique<TracedCore>(group.protocol.make_core(config), group, self);
  };
  return protocol;
}

}  // namespace epaxos::bench
