#pragma once

// A host between parts that a test plays by hand: a core whose answers are scripted, a disk that
// completes batches on command, and a network that keeps what it is given.

#include <cstring>
#include <functional>
#include <gmock/gmock.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/runtime/host.h"

namespace epaxos::runtime::testing {

inline constexpr ReplicaId kA{0};
inline constexpr ReplicaId kB{1};
inline constexpr ReplicaId kC{2};

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Calls, in order; every part writes into it, so that their order can be read.
using Diary = std::vector<std::string>;

class ScriptedCore final : public Core {
 public:
  explicit ScriptedCore(Diary& diary) : diary_(diary) {}

  using Step = std::function<void(Effects&)>;
  Step on_start, on_tick, on_end_of_turn, on_install;
  std::function<void(std::span<const Proposal>, Effects&)> on_propose;
  std::function<void(ReplicaId, const net::Frame&, Effects&)> on_receive;
  std::function<void(BatchNumber, Effects&)> on_durable;
  std::function<void(std::uint64_t, Effects&)> on_applied;
  Tick deadline = kNever;
  std::string covers = "all";
  int parts_of_coverage = 1;  ///< In which a coverage for a peer is made.
  int coverage_parts = 0;     ///< Made so far.
  bool refuses_to_give = false;
  ErrorCode refusal = ErrorCode::kUnavailable;
  bool refuses_to_install = false;
  std::vector<std::string> restored;

  Result<void> restore(const RecordKey&, Bytes value) override {
    restored.push_back(text_of(value));
    return {};
  }
  void start(Tick, Effects& out) override { note("start", on_start, out); }
  void propose(std::span<const Proposal> proposals, Effects& out) override {
    std::string all = "propose";
    for (const Proposal& each : proposals) all += " " + text_of(each.command.payload);
    diary_.push_back(all);
    if (on_propose) on_propose(proposals, out);
  }
  void receive(ReplicaId from, const net::Frame& frame, Effects& out) override {
    diary_.push_back("receive " + text_of(frame.body).substr(0, 1) + " from " + to_string(from));
    if (on_receive) on_receive(from, frame, out);
  }
  void durable(BatchNumber batch, Effects& out) override {
    diary_.push_back("durable " + std::to_string(batch));
    if (on_durable) on_durable(batch, out);
  }
  void applied(std::uint64_t position, Effects& out) override {
    diary_.push_back("applied " + std::to_string(position));
    if (on_applied) on_applied(position, out);
  }
  void tick(Tick now, Effects& out) override {
    EXPECT_EQ(out.now, now);
    if (on_tick) on_tick(out);
  }
  void read_from(RecordReader) override {}
  Result<void> restore_coverage(Bytes coverage) override {
    diary_.push_back("covers " + text_of(coverage));
    return {};
  }
  void coverage(std::vector<std::byte>& out) const override {
    const Bytes bytes = bytes_of(covers);
    out.assign(bytes.begin(), bytes.end());
  }
  void image_durable(Bytes coverage, Effects&) override {
    diary_.push_back("image of " + text_of(coverage));
  }
  Result<bool> coverage_for(ReplicaId, Bytes coverage, std::vector<std::byte>& out) override {
    if (refuses_to_give) return fail(refusal, "scripted");
    if (++coverage_parts % parts_of_coverage != 0) return false;
    out.assign(coverage.begin(), coverage.end());
    return true;
  }
  [[nodiscard]] Result<void> may_install(Bytes) const override {
    return refuses_to_install ? fail(ErrorCode::kInvalidArgument, "scripted") : Result<void>();
  }
  void install(Bytes coverage, Effects& out) override {
    diary_.push_back("install " + text_of(coverage));
    if (on_install) on_install(out);
  }
  [[nodiscard]] Tick next_deadline() const override { return deadline; }
  void end_of_turn(Effects& out) override {
    if (on_end_of_turn) on_end_of_turn(out);
  }
  void peer_forgot(ReplicaId peer) override { diary_.push_back(to_string(peer) + " forgot"); }
  void storage_full(bool full) override { diary_.push_back(full ? "disk full" : "disk has room"); }
  [[nodiscard]] bool reads_write_nothing() const override { return free_reads; }
  [[nodiscard]] HeldMemory held_memory() const override { return memory; }
  void status(CoreStatus& out) const override { out.role = "scripted"; }

  HeldMemory memory;
  bool free_reads = false;

 private:
  void note(const char* what, const Step& step, Effects& out) {
    diary_.emplace_back(what);
    if (step) step(out);
  }
  Diary& diary_;
};

class HandStore final : public storage::Store {
 public:
  explicit HandStore(Diary& diary) : diary_(diary) {}
  Result<void> load(const RecordVisitor& visit) override {
    for (const std::string& value : contents) {
      if (const auto seen = visit({}, bytes_of(value)); !seen) return seen;
    }
    return {};
  }
  Result<bool> read(const RecordKey&, std::vector<std::byte>&) const override { return false; }
  void submit(const Effects& effects) override {
    EXPECT_EQ(effects.batch, ++submitted) << "batches are numbered without gaps";
    diary_.push_back("submit " + std::to_string(effects.batch));
  }
  [[nodiscard]] BatchNumber durable() const override { return durable_up_to; }
  [[nodiscard]] storage::StoreState state() const override { return now; }
  [[nodiscard]] std::string error() const override { return "scripted trouble"; }
  [[nodiscard]] storage::Space space() const override { return room; }
  [[nodiscard]] std::uint64_t pending_bytes() const override { return 0; }

  std::vector<std::string> contents;
  BatchNumber submitted = 0;
  storage::Space room;
  BatchNumber durable_up_to = 0;
  storage::StoreState now = storage::StoreState::kReady;

 private:
  Diary& diary_;
};

/// Replies with the payload.
class EchoMachine final : public StateMachine {
 public:
  explicit EchoMachine(Diary& diary) : diary_(diary) {}
  [[nodiscard]] Result<Footprint> admit(Bytes) const override { return Footprint(); }
  void apply(std::span<const Command> batch, Replies& replies) override {
    for (const Command& command : batch) {
      diary_.push_back("apply " + text_of(command.payload));
      if (padding == 0) {
        replies.add(command.payload);
      } else {
        replies.add(bytes_of(std::string(padding, 'x')));
      }
    }
  }
  [[nodiscard]] Result<std::vector<std::byte>> query(Bytes) const override {
    return fail(ErrorCode::kUnsupported, "no queries here");
  }
  [[nodiscard]] Result<void> save(const Sink&) const override { return {}; }
  Result<void> load(const Source&) override { return {}; }
  [[nodiscard]] std::uint64_t digest() const override { return 42; }

  std::size_t padding = 0;  ///< Bytes of each reply, if it is not to be an echo.

 private:
  Diary& diary_;
};

/// Writes "send X to R2" for every frame, X being the first letter of its body.
class HandNetwork final : public PeerSink {
 public:
  HandNetwork(Diary& diary, const net::BundleIdentity& sender, int replica_count)
      : diary_(diary), sender_(sender), replica_count_(replica_count) {}
  bool send(ReplicaId to, Bytes bundle) override {
    net::BundleIdentity receiver = sender_;
    receiver.self = to;
    net::BundleReader reader(receiver, replica_count_);
    EXPECT_FALSE(reader.open(bundle)) << "the host made a bundle that its receiver refuses";
    net::Frame frame;
    while (reader.next(frame)) {
      diary_.push_back("send " + text_of(frame.body).substr(0, 1) + " to " + to_string(to));
    }
    bundles.push_back({to, reader.header(), bundle.size()});
    return takes;
  }
  struct Seen {
    ReplicaId to;
    net::BundleHeader header;
    std::size_t bytes = 0;
  };
  std::vector<Seen> bundles;
  bool takes = true;

 private:
  Diary& diary_;
  const net::BundleIdentity sender_;
  const int replica_count_;
};

/// The parts together. Outcomes are written as "executed: reply" or "rejected: reason".
class Stage {
 public:
  explicit Stage(Durability durability = Durability::kSync, std::size_t pending_max = 1000) {
    config.identity.cluster.fill(std::byte{7});
    config.identity.self = kA;
    config.identity.incarnation = 5;
    config.replica_count = 3;
    config.durability = durability;
    config.pending_max = pending_max;
  }

  Host& host() {
    if (host_ == nullptr) {
      network = std::make_unique<HandNetwork>(diary, config.identity, config.replica_count);
      host_ = std::make_unique<Host>(config, core, store, machine, *network);
    }
    return *host_;
  }

  void start() {
    ASSERT_TRUE(host().start(now));
    diary.clear();
  }
  /// A turn with these inputs. Returns the diary of it.
  Diary turn(const std::function<void()>& inputs = {}) {
    diary.clear();
    host().begin_turn(++now);
    if (inputs) inputs();
    host().end_turn();
    return diary;
  }
  /// The disk completes everything up to this batch, and a turn notices.
  Diary durable(BatchNumber batch) {
    store.durable_up_to = batch;
    return turn();
  }

  CommandId propose(std::string_view payload, Tick deadline = kNever) {
    return host().propose(bytes_of(payload), Footprint::write("k"), deadline,
                          [this](const Outcome& outcome) { note(outcome); });
  }
  void note(const Outcome& outcome) {
    const std::string_view kind = to_string(outcome.kind);
    diary.push_back(std::string(kind) + ": " +
                    (outcome.kind == OutcomeKind::kExecuted ? text_of(outcome.reply)
                                                            : std::string(outcome.reason)));
    codes.push_back(outcome.code);
    waits.push_back(outcome.execution_wait_us);
  }

  /// A bundle of frames, each of one letter, from a peer to this host.
  /// `durable`: how many batches were ever durable at the sender; `at_start`: in earlier lives.
  std::vector<std::byte> bundle(ReplicaId from, std::string_view letters,
                                std::uint64_t incarnation = 1, std::uint64_t durable = 0,
                                std::uint64_t at_start = 0) {
    net::BundleIdentity sender = config.identity;
    sender.self = from;
    sender.incarnation = incarnation;
    sender.durable_at_start = at_start;
    net::BundleWriter writer;
    writer.start(sender, config.identity.self, durable);
    for (const char letter : letters) {
      std::vector<std::byte> body(8, static_cast<std::byte>(letter));
      writer.append({GroupId(), Epoch(), 3, body});
    }
    const Bytes bytes = writer.bytes();
    return {bytes.begin(), bytes.end()};
  }

  Diary diary;
  HostConfig config;
  ScriptedCore core{diary};
  HandStore store{diary};
  EchoMachine machine{diary};
  std::unique_ptr<HandNetwork> network;
  Tick now = 100;
  std::vector<ErrorCode> codes;
  std::vector<Tick> waits;

 private:
  std::unique_ptr<Host> host_;
};

// --- What a scripted core asks for.

inline void record(Effects& out, std::string_view value = "r") {
  out.put({}, out.append(bytes_of(value)));
}
/// A frame whose body is this letter, eight times.
inline void send(Effects& out, char letter, std::uint16_t to = 0b110,
                 Release release = Release::kGated, std::size_t bytes = 8) {
  const std::vector<std::byte> body(bytes, static_cast<std::byte>(letter));
  out.sends.push_back({to, release, 3, GroupId(), Epoch(), out.append(body)});
}

/// Blocks that live as long as the test.
class Blocks {
 public:
  /// One instance of these commands.
  Bytes block(std::span<const Proposal> proposals) {
    const Footprint footprint = merged_footprint(proposals);
    std::vector<std::byte>& bytes = *blocks_.emplace_back(
        std::make_unique<std::vector<std::byte>>(block_bytes(proposals, footprint)));
    encode_block(proposals, footprint, bytes);
    return bytes;
  }
  void execute(std::span<const Proposal> proposals, Effects& out, Tick committed_at = 0,
               ReplicaId proposer = kA) {
    ++position_;
    out.executions.push_back(
        {position_, {proposer, Slot(position_)}, committed_at, block(proposals), proposer == kA});
  }
  /// A command of somebody else.
  void execute_foreign(std::string_view payload, Effects& out) {
    const CommandId id{Pending::anonymous_session(1, kB), 1};
    const Proposal proposal{{id, 0, false, bytes_of(payload)}, Footprint::write("k")};
    execute(std::span(&proposal, 1), out);
  }

 private:
  std::vector<std::unique_ptr<std::vector<std::byte>>> blocks_;
  std::uint64_t position_ = 0;
};

}  // namespace epaxos::runtime::testing
