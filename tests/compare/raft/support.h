#pragma once

// Builders for tests of single handlers: one real core, messages in, effects out. What is durable
// is said by hand, so that a test can stand between any two effects.

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compare/raft/core.h"
#include "epaxos/storage/record_map.h"
#include "tests/compare/log/support.h"

namespace epaxos::compare::raft {

inline constexpr ReplicaId kA{0};
inline constexpr ReplicaId kB{1};
inline constexpr ReplicaId kC{2};
inline constexpr ReplicaId kD{3};
inline constexpr ReplicaId kE{4};

using Disk = storage::RecordMap;
using Terms = std::vector<std::uint64_t>;

inline CoreConfig config(ReplicaId self, int n) {
  CoreConfig config;
  config.self = self;
  config.replica_count = n;
  config.life = 1;
  return config;
}

/// An entry that depends on its term and its place only, so that logs with the same terms are the
/// same.
inline std::vector<std::byte> entry_at(std::uint64_t index, std::uint64_t term) {
  return entry_of(term, kB, index, 100 + term);
}
/// Entries of these terms in a row, the first of which has this index.
inline std::vector<std::byte> entries(std::uint64_t first, const Terms& terms) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const std::vector<std::byte> entry = entry_at(first + i, terms[i]);
    bytes.insert(bytes.end(), entry.begin(), entry.end());
  }
  return bytes;
}

/// What a disk holds of a log with these terms.
inline Disk disk_of(const Terms& log, std::uint64_t current_term,
                    std::optional<ReplicaId> voted_for = {}) {
  Disk disk;
  Effects out;
  const Bytes state = out.view(encode(HardState{Term(current_term), voted_for}, out));
  disk[{static_cast<std::uint8_t>(RecordKind::kHardState), {}, {}, {}, Slot(1)}].assign(
      state.begin(), state.end());
  for (std::size_t i = 0; i < log.size(); ++i) {
    disk[{static_cast<std::uint8_t>(RecordKind::kEntry), {}, {}, {}, Slot(i + 1)}] =
        entry_at(i + 1, log[i]);
  }
  return disk;
}

/// One core. Each call is a turn of its own; its effects stay until the next one.
class Subject {
 public:
  explicit Subject(const CoreConfig& config, Disk on_disk = {}, Bytes image = {},
                   const Options& options = {})
      : disk(std::move(on_disk)), core(config, options), n(config.replica_count) {
    core.read_from({[this](const RecordKey& key, std::vector<std::byte>& value) {
                      return storage::read_record(disk, key, value);
                    },
                    [this] { return effects.batch; }});
    if (!image.empty()) {
      EXPECT_TRUE(core.restore_coverage(image));
    }
    for (const auto& [key, value] : Disk(disk)) EXPECT_TRUE(core.restore(key, value));
    turn([&] { core.start(now, effects); });
  }
  Subject(ReplicaId self, int replicas) : Subject(config(self, replicas)) {}

  template <class Message>
  const Effects& deliver(ReplicaId from, const Message& message) {
    return turn([&] { give(from, message); });
  }
  /// Without a turn of its own.
  template <class Message>
  void give(ReplicaId from, const Message& message) {
    Effects encoded;
    const AlignedBytes body(encoded.view(encode(message, encoded)));
    core.receive(from, {{}, {}, static_cast<net::FrameType>(Message::kType), body.bytes()},
                 effects);
  }
  const Effects& deliver_bytes(ReplicaId from, net::FrameType type, Bytes body) {
    const AlignedBytes aligned(body);
    return turn([&] { core.receive(from, {{}, {}, type, aligned.bytes()}, effects); });
  }
  const Effects& propose(std::uint64_t number) {
    const Proposal proposal{{{7, number}, 0, false, epaxos::bytes_of("payload")},
                            Footprint::write("x")};
    return turn([&] { core.propose({&proposal, 1}, effects); });
  }
  /// Everything that the turns so far have written reaches the disk.
  const Effects& durable() {
    const BatchNumber batch = effects.batch;
    return turn([&] { core.durable(batch, effects); });
  }
  /// Of the batches that are under way the first `batch` are on disk.
  const Effects& durable_up_to(BatchNumber batch) {
    return turn([&] { core.durable(batch, effects); });
  }
  const Effects& advance(Tick us) {
    now += us;
    return turn([&] { core.tick(now, effects); });
  }
  const Effects& apply() {
    return turn([&] { core.applied(position_, effects); });
  }
  template <class Action>
  const Effects& turn(Action action) {
    begin();
    action();
    core.end_of_turn(effects);
    return effects;
  }

  /// Time passes until it asks for pre-votes.
  const Effects& wait_for_election() {
    while (!has<RequestVote>(effects)) advance(core.next_deadline() - now);
    return effects;
  }
  /// It stands for election and wins it, and everything it has written is on disk.
  Subject& lead() {
    wait_for_election();
    for (int i = 0; core.role() == Role::kPreCandidate; ++i) {
      if (replica_at(i) != self()) deliver(replica_at(i), pre_vote());
    }
    durable();
    for (int i = 0; core.role() == Role::kCandidate; ++i) {
      if (replica_at(i) != self()) deliver(replica_at(i), vote());
    }
    EXPECT_EQ(core.role(), Role::kLeader);
    durable();
    return *this;
  }
  [[nodiscard]] RequestVoteReply pre_vote() const {
    return {core.current_term().next(), true, true};
  }
  [[nodiscard]] RequestVoteReply vote() const { return {core.current_term(), true, false}; }
  /// A follower has its log up to here.
  const Effects& acknowledge(ReplicaId from, std::uint64_t match) {
    return deliver(
        from, AppendEntriesReply{
                  core.current_term(), true, true, LogIndex(match), LogIndex(match), {}, {}, 0});
  }

  [[nodiscard]] ReplicaId self() const { return self_of(core); }
  [[nodiscard]] Terms terms() const {
    Terms terms;
    for (LogIndex i = core.log().base().next(); i <= core.log().last(); i = i.next()) {
      terms.push_back(core.log().round(i));
    }
    return terms;
  }
  [[nodiscard]] std::uint64_t count(Count what) const { return core.counters()[what]; }
  [[nodiscard]] std::uint64_t commit() const { return core.commit_index().value(); }

  template <class Message>
  static bool has(const Effects& effects) {
    for (const SendEffect& send : effects.sends) {
      if (send.type == static_cast<net::FrameType>(Message::kType)) return true;
    }
    return false;
  }

  Disk disk;  ///< What all turns have written, whether it is durable or not.
  RaftCore core;
  Effects effects;
  Tick now = 0;
  int n;
  std::vector<ExecutionEffect> executed;  ///< Of all turns; the blocks belong to the core.

 private:
  void begin() {
    note();
    const BatchNumber next = effects.batch + 1;
    effects.clear();
    effects.batch = next;
    effects.now = now;
  }
  void note() {
    for (const RecordEffect& record : effects.records) {
      const Bytes value = effects.view(record.value);
      storage::make_change(disk, record.key, record.change, {value.begin(), value.end()});
    }
    for (const ExecutionEffect& each : effects.executions) {
      position_ = each.position;
      executed.push_back(each);
    }
  }
  static ReplicaId self_of(const RaftCore& core) { return core.self(); }

  std::uint64_t position_ = 0;
};

/// All messages of a type among the sends, decoded, with their receivers.
template <class Message>
std::vector<std::pair<ReplicaSet, Message>> sends(const Effects& effects, int n) {
  std::vector<std::pair<ReplicaSet, Message>> found;
  for (const SendEffect& send : effects.sends) {
    if (send.type != static_cast<net::FrameType>(Message::kType)) continue;
    Message message;
    EXPECT_TRUE(decode(effects.view(send.body), n, message));
    found.emplace_back(ReplicaSet::of_bits(send.to), message);
  }
  return found;
}

/// The only message of its type; fails the test otherwise.
template <class Message>
Message only(const Subject& subject) {
  const auto all = sends<Message>(subject.effects, subject.n);
  EXPECT_EQ(all.size(), 1u) << "messages of the wanted type";
  return all.empty() ? Message{} : all.front().second;
}

/// How the only message of this type may leave.
template <class Message>
Release release_of(const Subject& subject) {
  int found = 0;
  Release release = Release::kNow;
  for (const SendEffect& send : subject.effects.sends) {
    if (send.type != static_cast<net::FrameType>(Message::kType)) continue;
    ++found;
    release = send.release;
  }
  EXPECT_EQ(found, 1);
  return release;
}

/// The term and the vote that this turn writes down.
inline std::optional<HardState> hard_state(const Subject& subject) {
  std::optional<HardState> found;
  for (const RecordEffect& record : subject.effects.records) {
    if (record.key.kind != static_cast<std::uint8_t>(RecordKind::kHardState)) continue;
    EXPECT_TRUE(decode(subject.effects.view(record.value), subject.n, found.emplace()));
  }
  return found;
}

inline AppendEntries append(std::uint64_t term, std::uint64_t prev, std::uint64_t prev_term,
                            Bytes entries = {}, std::uint64_t commit = 0) {
  AppendEntries message;
  message.term = Term(term);
  message.prev_log_index = LogIndex(prev);
  message.prev_log_term = Term(prev_term);
  message.leader_commit = LogIndex(commit);
  message.answer = true;
  message.entries = entries;
  return message;
}

/// Messages go back and forth between a leader and one follower until nothing is said any more;
/// everything is durable at once.
inline void converse(Subject& leader, Subject& follower) {
  const auto hand_over = [](const Effects& said, Subject& from, Subject& to) {
    bool any = false;
    std::vector<std::pair<net::FrameType, std::vector<std::byte>>> frames;
    for (const SendEffect& send : said.sends) {
      if ((send.to >> to.self().value() & 1) == 0) continue;
      const Bytes body = said.view(send.body);
      frames.emplace_back(send.type, std::vector<std::byte>(body.begin(), body.end()));
    }
    to.turn([&] {
      for (const auto& [type, body] : frames) {
        const AlignedBytes aligned(body);
        to.core.receive(from.self(), {{}, {}, type, aligned.bytes()}, to.effects);
        any = true;
      }
    });
    return any;
  };
  for (int i = 0; i < 200; ++i) {
    if (!hand_over(leader.effects, leader, follower)) return;
    hand_over(follower.effects, follower, leader);
    // What waits for the disk is told in the turn that follows.
    const Effects& more = leader.effects;
    if (more.sends.empty()) return;
  }
  ADD_FAILURE() << "the two never stop talking";
}

}  // namespace epaxos::compare::raft
