// Three EPaxos cores in one process, without network or disk: the protocol itself, codec included,
// from proposal to execution at all three. Frames are handed over in memory, and a batch is durable
// when the turn ends.

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "epaxos/protocol/core.h"

namespace epaxos::protocol {
namespace {

constexpr int kReplicas = 3;
constexpr int kInFlight = 100;

/// Frames on their way to one core. Two boxes: what arrives during a turn belongs to the next one.
class Inbox {
 public:
  void put(std::uint16_t from, net::FrameType type, Bytes body) {
    const std::size_t at = next_.words.size();
    next_.words.resize(at + body.size() / 8);
    std::memcpy(next_.words.data() + at, body.data(), body.size());
    next_.frames.push_back({from, type, at, body.size()});
  }

  void deliver(Core& core, Effects& out) {
    std::swap(now_, next_);
    for (const Frame& f : now_.frames) {
      const auto* const body = reinterpret_cast<const std::byte*>(now_.words.data() + f.at);
      core.receive(ReplicaId(f.from), {GroupId(), Epoch(), f.type, {body, f.bytes}}, out);
    }
    now_.frames.clear();
    now_.words.clear();
  }

 private:
  struct Frame {
    std::uint16_t from;
    net::FrameType type;
    std::size_t at;
    std::size_t bytes;
  };
  struct Box {
    std::vector<std::uint64_t> words;
    std::vector<Frame> frames;
  };
  Box now_;
  Box next_;
};

class Trio {
 public:
  explicit Trio(unsigned hot_percent) : hot_percent_(hot_percent) {
    for (std::uint16_t r = 0; r < kReplicas; ++r) {
      CoreConfig config;
      config.self = ReplicaId(r);
      config.replica_count = kReplicas;
      members_[r].core = make_core(config);
      members_[r].effects.batch = 1;
      members_[r].core->start(0, members_[r].effects);
    }
  }

  /// One turn of each replica; returns how many commands were executed by their proposers.
  std::uint64_t turn() {
    now_ += 100;
    std::uint64_t done = 0;
    for (std::uint16_t r = 0; r < kReplicas; ++r) done += turn_of(r);
    return done;
  }

 private:
  struct Member {
    std::unique_ptr<Core> core;
    Effects effects;
    Inbox inbox;
    BatchNumber batch = 0;
    int in_flight = 0;
  };

  std::uint64_t turn_of(std::uint16_t r) {
    Member& me = members_[r];
    me.effects.now = now_;
    me.core->tick(now_, me.effects);
    me.inbox.deliver(*me.core, me.effects);
    propose(me, r);
    std::uint64_t done = 0;
    for (bool more = true; more;) {
      me.core->end_of_turn(me.effects);
      done += hand_over(me, r);
      more = !me.effects.records.empty();
      const BatchNumber batch = me.effects.batch;
      if (more) me.batch = batch;
      me.effects.clear();
      me.effects.batch = me.batch + 1;
      if (more) me.core->durable(batch, me.effects);
    }
    return done;
  }

  void propose(Member& me, std::uint16_t r) {
    proposals_.clear();
    for (; me.in_flight < kInFlight; ++me.in_flight) {
      ++commands_;
      const bool hot = commands_ % 100 < hot_percent_;
      Proposal& proposal = proposals_.emplace_back();
      proposal.command.id = {r + 1u, commands_};
      proposal.command.payload = {reinterpret_cast<const std::byte*>(payload_.data()),
                                  payload_.size()};
      proposal.footprint.add(Access::write(hot ? 2 : mix64(commands_ % 100'000)));
    }
    if (!proposals_.empty()) me.core->propose(proposals_, me.effects);
  }

  std::uint64_t hand_over(Member& me, std::uint16_t r) {
    for (const SendEffect& send : me.effects.sends) {
      for (std::uint16_t to = 0; to < kReplicas; ++to) {
        if ((send.to >> to & 1) == 0) continue;
        members_[to].inbox.put(r, send.type, me.effects.view(send.body));
      }
    }
    std::uint64_t done = 0;
    for (const ExecutionEffect& execution : me.effects.executions) {
      if (execution.instance.row == ReplicaId(r)) ++done;
    }
    me.in_flight -= static_cast<int>(done);
    return done;
  }

  std::array<Member, kReplicas> members_;
  std::vector<Proposal> proposals_;
  const std::string payload_ = std::string(64, 'x');
  unsigned hot_percent_;
  std::uint64_t commands_ = 0;
  Tick now_ = 0;
};

/// range(0): percent of commands on one key. Time per command over all three replicas.
void three_cores(benchmark::State& state) {
  Trio trio(static_cast<unsigned>(state.range(0)));
  std::uint64_t done = 0;
  for (auto _ : state) {
    const std::uint64_t goal = done + 10'000;
    while (done < goal) done += trio.turn();
  }
  state.counters["time/command"] = benchmark::Counter(
      static_cast<double>(done), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(three_cores)->Arg(0)->Arg(2)->Arg(100)->Iterations(40);

}  // namespace
}  // namespace epaxos::protocol
