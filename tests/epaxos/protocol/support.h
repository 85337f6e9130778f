#pragma once

// Builders for tests of single handlers: one real core, messages in, effects out. What is durable
// is said by hand, so that a test can stand between any two effects.

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/protocol/core.h"

namespace epaxos::protocol {

inline constexpr ReplicaId kA{0};
inline constexpr ReplicaId kB{1};
inline constexpr ReplicaId kC{2};
inline constexpr ReplicaId kD{3};
inline constexpr ReplicaId kE{4};

inline InstanceId id(ReplicaId row, std::uint64_t slot) {
  return {row, Slot(slot)};
}

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// A command that touches `footprint`, numbered so that commands differ.
inline Proposal command(const Footprint& footprint, std::uint64_t number = 1,
                        std::string_view payload = "payload") {
  return {{{7, number}, 0, !footprint.writes(), bytes_of(payload)}, footprint};
}
inline Proposal write(std::string_view key, std::uint64_t number = 1) {
  return command(Footprint::write(key), number);
}
inline Proposal read(std::string_view key, std::uint64_t number = 1) {
  return command(Footprint::read(key), number);
}

inline std::vector<std::byte> block_of(const std::vector<Proposal>& proposals) {
  const Footprint footprint = merged_footprint(proposals);
  std::vector<std::byte> block(block_bytes(proposals, footprint));
  encode_block(proposals, footprint, block);
  return block;
}

inline const InstanceId kA1 = id(kA, 1);
inline const InstanceId kE1 = id(kE, 1);
inline const Dependencies kNone{0, 0, 0, 0, 0};  ///< Of five replicas.
inline const std::vector<std::byte> kBlock = block_of({write("x")});

inline CoreConfig config(ReplicaId self, int n) {
  CoreConfig config;
  config.self = self;
  config.replica_count = n;
  return config;
}

/// One core and its effects of the last call. Batches are numbered as a host would.
class Subject {
 public:
  /// With `may_read_back` the core can look at what is on `disk`.
  explicit Subject(const CoreConfig& config, bool may_read_back = false)
      : core(config), n(config.replica_count), reads_back(may_read_back) {
    lend_disk();
    effects.batch = 1;
    core.start(0, effects);
    end_turn();
  }
  Subject(ReplicaId self, int replicas) : Subject(config(self, replicas)) {}

  template <class Message>
  const Effects& deliver(ReplicaId from, const Message& message) {
    Effects encoded;
    const Slice body = encode(message, encoded);
    return deliver_bytes(from, Message::kType, encoded.view(body));
  }

  const Effects& deliver_bytes(ReplicaId from, MessageType type, Bytes body) {
    begin();
    // Frames arrive in memory of their own; the copy keeps the alignment.
    std::vector<std::uint64_t> copy((body.size() + 7) / 8);
    if (!body.empty()) std::memcpy(copy.data(), body.data(), body.size());
    core.receive(from,
                 {GroupId(),
                  Epoch(),
                  static_cast<net::FrameType>(type),
                  {reinterpret_cast<const std::byte*>(copy.data()), body.size()}},
                 effects);
    return effects;
  }

  const Effects& propose(const std::vector<Proposal>& proposals) {
    begin();
    core.propose(proposals, effects);
    return effects;
  }

  /// Everything up to the current batch reaches the disk.
  const Effects& durable() {
    const BatchNumber batch = effects.batch;
    begin();
    core.durable(batch, effects);
    return effects;
  }

  const Effects& end_turn() {
    begin();
    core.end_of_turn(effects);
    return effects;
  }

  const Effects& advance(Tick us) {
    now += us;
    begin();
    core.tick(now, effects);
    return effects;
  }

  /// Before the core starts.
  void lend_disk() {
    if (!reads_back) return;
    core.read_from({[this](const RecordKey& key, std::vector<std::byte>& value) {
                      const auto found = disk.find(key);
                      if (found == disk.end()) return false;
                      value = found->second;
                      return true;
                    },
                    [this] { return effects.batch - 1; }});
  }

  [[nodiscard]] const Instance& instance(const InstanceId& which) const {
    const Instance* const found = core.instances().find(which);
    EXPECT_NE(found, nullptr);
    return *found;
  }
  [[nodiscard]] std::uint64_t count(Count what) const { return core.counters()[what]; }
  [[nodiscard]] std::uint64_t status(std::string_view counter) const {
    CoreStatus status;
    core.status(status);
    for (const Counter& each : status.counters) {
      if (each.name == counter) return each.value;
    }
    ADD_FAILURE() << "nobody counts " << counter;
    return 0;
  }

  // Its host applies what was executed, and takes images.

  const Effects& apply() {
    begin();
    core.applied(position_, effects);
    return effects;
  }
  /// What an image of this moment covers.
  [[nodiscard]] Coverage image() const {
    std::vector<std::byte> bytes;
    core.coverage(bytes);
    return decode_coverage(bytes, n).value();
  }
  /// Such an image is made, and the next start begins with it.
  const Effects& keep_image() {
    image_on_disk = coded(image());
    begin();
    core.image_durable(image_on_disk, effects);
    return effects;
  }
  /// The image of a peer takes the place of the state machine.
  const Effects& install(const Coverage& coverage) {
    apply();
    image_on_disk = coded(coverage);
    const Result<void> may = core.may_install(image_on_disk);
    EXPECT_TRUE(may) << (may ? "" : may.error().message);
    begin();
    core.install(image_on_disk, effects);
    return effects;
  }
  static std::vector<std::byte> coded(const Coverage& coverage) {
    std::vector<std::byte> bytes;
    encode(coverage, bytes);
    return bytes;
  }
  std::vector<std::byte> image_on_disk;  ///< Its coverage; none: empty.
  std::vector<InstanceId> executed;      ///< In this life, before the last call.

  /// Records of all turns, as a disk would hold them: the last change of a key wins.
  std::map<RecordKey, std::vector<std::byte>> disk;

  EpaxosCore core;
  Effects effects;
  Tick now = 0;
  int n;
  bool reads_back;
  Ballot last_ballot;  ///< That recovers() saw.

 private:
  void begin() {
    for (const RecordEffect& record : effects.records) change(record);
    for (const ExecutionEffect& each : effects.executions) {
      position_ = each.position;
      executed.push_back(each.instance);
    }
    const BatchNumber next = effects.batch + 1;
    effects.clear();
    effects.batch = next;
    effects.now = now;
  }
  void change(const RecordEffect& record) {
    if (record.change == RecordChange::kEraseThrough) {
      RecordKey first = record.key;
      first.slot = Slot();
      disk.erase(disk.lower_bound(first), disk.upper_bound(record.key));
    } else if (record.change == RecordChange::kErase) {
      disk.erase(record.key);
    } else {
      const Bytes value = effects.view(record.value);
      disk[record.key].assign(value.begin(), value.end());
    }
  }

  std::uint64_t position_ = 0;
};

/// All messages of a type among the sends, decoded, with their receivers. Blocks stay valid with
/// the effects.
template <class Message>
std::vector<std::pair<ReplicaSet, Message>> sends(const Effects& effects, int n) {
  std::vector<std::pair<ReplicaSet, Message>> found;
  for (const SendEffect& send : effects.sends) {
    if (send.type != static_cast<net::FrameType>(Message::kType)) continue;
    Message message;
    EXPECT_TRUE(decode(effects.view(send.body), n, message));
    ReplicaSet to;
    for (std::uint16_t r = 0; r < n; ++r) {
      if ((send.to >> r & 1) != 0) to.add(ReplicaId(r));
    }
    found.emplace_back(to, message);
  }
  return found;
}

/// The only message of its type; fails the test otherwise.
template <class Message>
Message only(const Effects& effects, int n) {
  const auto all = sends<Message>(effects, n);
  EXPECT_EQ(all.size(), 1u) << "messages of the wanted type";
  return all.empty() ? Message{} : all.front().second;
}

template <class Message>
bool any(const Effects& effects) {
  for (const SendEffect& send : effects.sends) {
    if (send.type == static_cast<net::FrameType>(Message::kType)) return true;
  }
  return false;
}

inline std::vector<RecordKind> record_kinds(const Effects& effects, const InstanceId& which) {
  std::vector<RecordKind> kinds;
  for (const RecordEffect& record : effects.records) {
    if (record.key.row == which.row && record.key.slot == which.slot) {
      kinds.push_back(static_cast<RecordKind>(record.key.kind));
    }
  }
  return kinds;
}

/// How the only message of this type may leave.
template <class Message>
Release release_of(const Effects& effects) {
  int found = 0;
  Release release = Release::kNow;
  for (const SendEffect& send : effects.sends) {
    if (send.type != static_cast<net::FrameType>(Message::kType)) continue;
    ++found;
    release = send.release;
  }
  EXPECT_EQ(found, 1);
  return release;
}

/// Time passes for the subject, and nobody answers, until it asks for promises about `which`. The
/// ballot that it asks with; its effects are those of that moment.
inline Ballot recovers(Subject& subject, const InstanceId& which) {
  subject.end_turn();
  for (int i = 0; i < 1'000; ++i) {
    for (const auto& [to, recover] :
         sends<Recover>(subject.advance(CoreConfig{}.question_us / 2), subject.n)) {
      const bool is_new = recover.ballot != subject.last_ballot;
      if (recover.instance == which && is_new) return subject.last_ballot = recover.ballot;
    }
    subject.end_turn();
  }
  ADD_FAILURE() << "nobody recovers " << to_string(which);
  return {};
}

/// Answers to Recover.
inline RecoverOk knows_nothing(const InstanceId& which, Ballot ballot) {
  RecoverOk answer;
  answer.instance = which;
  answer.ballot = ballot;
  return answer;
}
inline RecoverOk has_recorded(const InstanceId& which, Ballot ballot, const Dependencies& initial,
                              Bytes block) {
  RecoverOk answer = knows_nothing(which, ballot);
  answer.recorded = true;
  answer.initial = initial;
  answer.block = block;
  return answer;
}
inline RecoverOk has_pre_accepted(const InstanceId& which, Ballot ballot,
                                  const Dependencies& initial, Bytes block,
                                  const Dependencies& dependencies) {
  RecoverOk answer = has_recorded(which, ballot, initial, block);
  answer.pre_accepted = true;
  answer.pre_accept_dependencies = dependencies;
  return answer;
}
inline RecoverOk has_matched(const InstanceId& which, Ballot ballot, const Dependencies& initial,
                             Bytes block) {
  return has_pre_accepted(which, ballot, initial, block, initial);
}
/// Adds a vote: for Nop without dependencies.
inline RecoverOk and_voted(RecoverOk answer, Ballot accepted,
                           const std::optional<Dependencies>& dependencies, Bytes block = {}) {
  answer.voted = true;
  answer.accepted_ballot = accepted;
  answer.vote_nop = !dependencies;
  if (dependencies) answer.vote_dependencies = *dependencies;
  if (!block.empty()) answer.block = block;
  return answer;
}

/// A fresh core with what the subject's disk held, beginning with the image on it.
inline std::unique_ptr<Subject> restarted(Subject& before, const CoreConfig& config) {
  before.advance(0);  // Moves the last records to the disk.
  auto after = std::make_unique<Subject>(config, before.reads_back);
  // start() ran on the empty core; begin again on one that was restored.
  std::destroy_at(&after->core);
  std::construct_at(&after->core, config);
  after->lend_disk();
  if (!before.image_on_disk.empty()) {
    EXPECT_TRUE(after->core.restore_coverage(before.image_on_disk));
    after->image_on_disk = before.image_on_disk;
  }
  for (const auto& [key, value] : before.disk) {
    const Result<void> restored = after->core.restore(key, value);
    EXPECT_TRUE(restored) << (restored ? "" : restored.error().message);
  }
  after->disk = before.disk;
  after->effects.clear();
  after->effects.batch = 1;
  after->effects.now = 0;
  after->core.start(0, after->effects);
  return after;
}

}  // namespace epaxos::protocol
