#pragma once

// A few real cores whose network, disks and clocks stand still until a test moves them by name: a
// letter is delivered, lost, repeated or left lying; a disk lags; a replica loses its power and
// comes back with what was durable. For scenarios that are told message by message.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/epaxos/protocol/support.h"

namespace epaxos::protocol {

/// A message on its way.
struct Letter {
  ReplicaId from;
  ReplicaId to;
  MessageType type = MessageType::kStatus;
  InstanceId about;
  std::vector<std::uint64_t> words;  ///< Keeps the body aligned.
  std::size_t bytes = 0;

  [[nodiscard]] Bytes body() const {
    return {reinterpret_cast<const std::byte*>(words.data()), bytes};
  }
};

/// A replica's host in miniature: numbered batches, the prefix gate, a disk that may lag.
class StagedReplica {
 public:
  explicit StagedReplica(const CoreConfig& config) : config_(config) { boot(); }

  /// With what is on the disk.
  void boot() {
    core = std::make_unique<EpaxosCore>(config_);
    if (!image_.empty()) {
      EXPECT_TRUE(core->restore_coverage(image_));
    }
    for (const auto& [key, value] : disk_) EXPECT_TRUE(core->restore(key, value));
    executed.clear();
    turn([this](Effects& out) { core->start(now, out); });
  }
  /// The power fails: what was not durable is gone, and what waited for it was never said.
  void lose_power() {
    pending_.clear();
    held_.clear();
    batch_ = durable_ = 0;
    core.reset();
  }

  template <class Input>
  void turn(Input input) {
    run(input);
    while (!lags && !pending_.empty()) catch_up();
    release();
  }
  /// All that waits for the disk reaches it.
  void catch_up() {
    for (; !pending_.empty(); pending_.pop_front()) {
      for (Change& each : pending_.front()) change_disk(std::move(each));
      ++durable_;
    }
    run([this](Effects& out) { core->durable(durable_, out); });
    release();
  }

  /// The state of a peer takes the place of this one's.
  void install(Bytes coverage, std::vector<std::pair<InstanceId, Footprint>> state) {
    image_.assign(coverage.begin(), coverage.end());
    executed = std::move(state);
    turn([this](Effects& out) { core->install(image_, out); });
  }

  /// An image of its own state: the next start begins with it.
  void make_image() {
    image_.clear();
    core->coverage(image_);
    turn([this](Effects& out) { core->image_durable(image_, out); });
  }

  std::unique_ptr<EpaxosCore> core;  ///< None while it has no power.
  Tick now = 0;
  bool lags = false;
  bool applies = false;        ///< What is executed counts as applied, so that it may be dropped.
  std::vector<Letter> spoken;  ///< Left the replica, not yet collected.
  std::vector<std::pair<InstanceId, Footprint>> executed;

 private:
  struct Change {
    RecordKey key;
    RecordChange change = RecordChange::kPut;
    std::vector<std::byte> value;
  };

  void change_disk(Change each) {
    if (each.change == RecordChange::kPut) {
      disk_[each.key] = std::move(each.value);
    } else {
      RecordKey first = each.key;
      if (each.change == RecordChange::kEraseThrough) first.slot = Slot();
      disk_.erase(disk_.lower_bound(first), disk_.upper_bound(each.key));
    }
  }

  template <class Input>
  void run(Input input) {
    Effects out;
    out.batch = batch_ + 1;
    out.now = now;
    input(out);
    core->end_of_turn(out);
    if (!out.records.empty()) {
      ++batch_;
      auto& batch = pending_.emplace_back();
      for (const RecordEffect& record : out.records) {
        const Bytes value = out.view(record.value);
        batch.push_back({record.key, record.change, {value.begin(), value.end()}});
      }
    }
    speak(out, Release::kNow);
    held_.emplace_back(batch_, std::move(out));
  }

  void release() {
    std::uint64_t position = 0;
    for (; !held_.empty() && held_.front().first <= durable_; held_.pop_front()) {
      const Effects& out = held_.front().second;
      speak(out, Release::kGated);
      for (const ExecutionEffect& e : out.executions) {
        executed.emplace_back(e.instance, decode_block_footprint(e.block).value());
        position = e.position;
      }
    }
    if (applies && position > 0) core->applied(position, scratch_);
  }

  void speak(const Effects& out, Release release) {
    for (const SendEffect& send : out.sends) {
      if (send.release != release) continue;
      const Bytes body = out.view(send.body);
      for (std::uint16_t to = 0; to < config_.replica_count; ++to) {
        if ((send.to >> to & 1) == 0) continue;
        Letter letter{config_.self, ReplicaId(to), static_cast<MessageType>(send.type), {},
                      {},           body.size()};
        letter.words.resize(body.size() / 8);
        std::memcpy(letter.words.data(), body.data(), body.size());
        letter.about = about(letter);
        spoken.push_back(std::move(letter));
      }
    }
  }

  [[nodiscard]] InstanceId about(const Letter& letter) const {
    InstanceId found;
    const auto with = [&]<class Message>(Message message) {
      if (Message::kType != letter.type) return;
      EXPECT_TRUE(decode(letter.body(), config_.replica_count, message));
      if constexpr (requires { message.instance; }) found = message.instance;
    };
    const auto each = [&](auto... messages) { (with(messages), ...); };
    each(PreAccept(), PreAcceptOk(), Accept(), AcceptOk(), Commit(), Nack(), Recover(), RecoverOk(),
         Validate(), ValidateOk(), Waiting(), Status(), Learn(), Truncated());
    return found;
  }

  CoreConfig config_;
  std::map<RecordKey, std::vector<std::byte>> disk_;
  std::vector<std::byte> image_;  // What the one on the disk covers; none: empty.
  std::deque<std::vector<Change>> pending_;
  std::deque<std::pair<BatchNumber, Effects>> held_;
  Effects scratch_;
  BatchNumber batch_ = 0;
  BatchNumber durable_ = 0;
};

/// Two commands that conflict.
inline const Proposal kFirst = write("k", 1);
inline const Proposal kSecond = write("k", 2);

class StagedGroup {
 public:
  explicit StagedGroup(int n) : n_(n) {
    for (int r = 0; r < n; ++r) {
      replicas_.push_back(
          std::make_unique<StagedReplica>(config(ReplicaId(static_cast<std::uint16_t>(r)), n)));
      collect();
    }
  }

  // ---- Clients, clocks, power, disks ----

  /// The instance that the command went into.
  InstanceId propose(ReplicaId at, const std::vector<Proposal>& batch) {
    turn(at, [&](Effects& out) { replica(at).core->propose(batch, out); });
    return {at, replica(at).core->instances().row(at).highest_known};
  }
  InstanceId propose(ReplicaId at, const Proposal& command) {
    return propose(at, std::vector{command});
  }

  void advance(ReplicaId at, Tick us) {
    replica(at).now += us;
    turn(at, [&](Effects& out) { replica(at).core->tick(replica(at).now, out); });
  }
  /// Long enough that an owner no longer waits for a fast quorum.
  void waits_in_vain(ReplicaId at) { advance(at, CoreConfig{}.fast_wait_us); }

  /// Time passes at one replica until it asks for promises with a new ballot, which is returned.
  /// What it asked for in earlier attempts is lost on the way.
  Ballot recover(ReplicaId at, const InstanceId& which) {
    const Instance* const known = core(at).instances().find(which);
    const Ballot before = known == nullptr ? kInitialBallot : known->ballot();
    const auto is_old = [&](const Letter& letter) {
      return is<Recover>(letter, at, which) && read<Recover>(letter).ballot <= before;
    };
    for (int step = 0; step < 1'000; ++step) {
      advance(at, CoreConfig{}.question_us / 2);
      std::erase_if(mail_, is_old);
      lose<Validate>(at, which);
      lose<Accept>(at, which);
      for (const Letter& letter : mail_) {
        if (is<Recover>(letter, at, which)) return read<Recover>(letter).ballot;
      }
    }
    ADD_FAILURE() << to_string(at) << " does not recover " << to_string(which);
    return {};
  }
  /// The same, answered by these, with whatever comes of it.
  Ballot recover(ReplicaId at, const InstanceId& which, std::initializer_list<ReplicaId> with) {
    const Ballot ballot = recover(at, which);
    ask<Recover>(at, with, which);
    return ballot;
  }

  void kill(ReplicaId at) {
    replica(at).lose_power();
    std::erase_if(mail_, [&](const Letter& letter) { return letter.to == at; });
  }
  void restart(ReplicaId at) {
    if (replica(at).core) replica(at).lose_power();
    replica(at).lags = false;
    replica(at).boot();
    collect();
  }

  /// From now on nothing becomes durable there.
  void disk_lags(ReplicaId at) { replica(at).lags = true; }
  void disk_catches_up(ReplicaId at) {
    replica(at).lags = false;
    replica(at).catch_up();
    collect();
  }

  // ---- Floors and images ----

  /// From now on what was executed counts as applied, so that it may be dropped.
  void all_apply() {
    for (const auto& each : replicas_) each->applies = true;
  }
  /// Time for gossip. These hear what it says, the others do not.
  void gossip(ReplicaId from, std::initializer_list<ReplicaId> to) {
    lose<Frontier>(from, {});
    advance(from, 16 * CoreConfig{}.gossip_us);
    deliver<Frontier>(from, to, {});
    lose<Frontier>(from, {});
  }
  void makes_image(ReplicaId at) {
    replica(at).make_image();
    collect();
  }
  /// What `of` has applied, as an image for this peer; empty if it does not do for it.
  [[nodiscard]] std::vector<std::byte> image_for(ReplicaId peer, ReplicaId of) {
    std::vector<std::byte> own;
    core(of).coverage(own);
    std::vector<std::byte> told;
    Result<bool> complete = false;
    while (complete && !*complete) complete = replica(of).core->coverage_for(peer, own, told);
    return told;
  }
  /// The state of `of` as it is now takes the place of this one's.
  void install(ReplicaId at, ReplicaId of, Bytes coverage) {
    ASSERT_TRUE(core(at).may_install(coverage));
    replica(at).install(coverage, replica(of).executed);
    collect();
  }

  // ---- Letters ----

  /// Delivers the oldest letter of this kind; fails if there is none.
  template <class Message>
  void deliver(ReplicaId from, ReplicaId to, const InstanceId& about) {
    const auto found = find<Message>(from, to, about);
    if (found == mail_.end()) {
      ADD_FAILURE() << "no message of type " << static_cast<int>(Message::kType) << " from "
                    << to_string(from) << " to " << to_string(to) << " about " << to_string(about);
      return;
    }
    const Letter letter = *found;
    mail_.erase(found);
    hand_over(letter);
  }
  template <class Message>
  void deliver(ReplicaId from, std::initializer_list<ReplicaId> to, const InstanceId& about) {
    for (const ReplicaId each : to) deliver<Message>(from, each, about);
  }
  /// Delivers a request, and its answer.
  template <class Message>
  void ask(ReplicaId from, std::initializer_list<ReplicaId> to, const InstanceId& about) {
    for (const ReplicaId each : to) {
      deliver<Message>(from, each, about);
      if constexpr (std::is_same_v<Message, PreAccept>) deliver<PreAcceptOk>(each, from, about);
      if constexpr (std::is_same_v<Message, Accept>) deliver<AcceptOk>(each, from, about);
      if constexpr (std::is_same_v<Message, Recover>) deliver<RecoverOk>(each, from, about);
      if constexpr (std::is_same_v<Message, Validate>) deliver<ValidateOk>(each, from, about);
    }
  }
  /// Delivers the same once more as was delivered last of this kind.
  template <class Message>
  void repeat(ReplicaId from, ReplicaId to, const InstanceId& about) {
    const auto found = std::find_if(delivered_.rbegin(), delivered_.rend(), [&](const Letter& l) {
      return is<Message>(l, from, about) && l.to == to;
    });
    ASSERT_NE(found, delivered_.rend()) << "nothing was delivered that could come twice";
    hand_over(Letter(*found));
  }
  /// Everything of this kind is lost.
  template <class Message>
  void lose(ReplicaId from, const InstanceId& about) {
    std::erase_if(mail_, [&](const Letter& letter) { return is<Message>(letter, from, about); });
  }
  /// A letter that nobody of the group has written.
  template <class Message>
  void forge(ReplicaId from, ReplicaId to, const Message& message) {
    Effects encoded;
    const Bytes body = encoded.view(encode(message, encoded));
    Letter letter{from, to, Message::kType, {}, {}, body.size()};
    letter.words.resize(body.size() / 8);
    std::memcpy(letter.words.data(), body.data(), body.size());
    hand_over(letter);
  }
  /// A peer asks about an instance, which tells that it exists.
  void hears_of(ReplicaId at, const InstanceId& which, ReplicaId from) {
    forge(from, at, Status{which});
  }

  /// Whether such a letter is on its way.
  template <class Message>
  [[nodiscard]] bool said(ReplicaId from, ReplicaId to, const InstanceId& about) {
    return find<Message>(from, to, about) != mail_.end();
  }
  /// The oldest one. Views in it stay valid until the next letter is delivered.
  template <class Message>
  [[nodiscard]] Message message(ReplicaId from, ReplicaId to, const InstanceId& about) {
    const auto found = find<Message>(from, to, about);
    EXPECT_NE(found, mail_.end()) << "no such message is on its way";
    return found == mail_.end() ? Message{} : read<Message>(*found);
  }

  // ---- What has become of it ----

  [[nodiscard]] const EpaxosCore& core(ReplicaId at) const { return *replica(at).core; }
  [[nodiscard]] const Instance& instance(ReplicaId at, const InstanceId& which) const {
    const Instance* const found = core(at).instances().find(which);
    EXPECT_NE(found, nullptr) << to_string(at) << " has never heard of " << to_string(which);
    return *found;
  }
  [[nodiscard]] std::uint64_t count(ReplicaId at, Count what) const {
    return core(at).counters()[what];
  }
  /// "open", "Nop", or the dependencies.
  [[nodiscard]] std::string decision(ReplicaId at, const InstanceId& which) const {
    const Instance* const found = core(at).instances().find(which);
    if (found == nullptr || !found->decided()) return "open";
    return found->decided_nop() ? "Nop" : to_string(found->decided_dependencies());
  }
  /// "none", "Nop", or the dependencies of the last vote.
  [[nodiscard]] std::string vote(ReplicaId at, const InstanceId& which) const {
    const Instance* const found = core(at).instances().find(which);
    if (found == nullptr || found->vote() == nullptr) return "none";
    return found->vote()->nop ? "Nop" : to_string(found->vote()->dependencies);
  }
  [[nodiscard]] std::vector<InstanceId> executed(ReplicaId at) const {
    std::vector<InstanceId> order;
    for (const auto& [which, footprint] : replica(at).executed) order.push_back(which);
    return order;
  }

  /// Every letter arrives, and time passes, until all who live have decided and executed all that
  /// anybody of them knows; then they agree on everything.
  void settle() {
    for (int round = 0; round < 5'000 && !settled(); ++round) {
      for (std::uint16_t r = 0; r < n_; ++r) {
        if (replicas_[r]->core) advance(ReplicaId(r), 20'000);
      }
      for (int letters = 0; letters < 10'000 && !mail_.empty(); ++letters) {
        const Letter letter = mail_.front();
        mail_.pop_front();
        if (replica(letter.to).core) hand_over(letter);
      }
    }
    ASSERT_TRUE(settled()) << "something stays undecided or is never executed";
    expect_agreement();
  }

 private:
  [[nodiscard]] StagedReplica& replica(ReplicaId at) const { return *replicas_[at.value()]; }

  template <class Input>
  void turn(ReplicaId at, Input input) {
    ASSERT_NE(replica(at).core, nullptr) << to_string(at) << " has no power";
    replica(at).turn(input);
    collect();
  }
  void collect() {
    for (const auto& each : replicas_) {
      for (Letter& letter : each->spoken) mail_.push_back(std::move(letter));
      each->spoken.clear();
    }
  }
  void hand_over(const Letter& letter) {
    delivered_.push_back(letter);
    turn(letter.to, [&](Effects& out) {
      const auto type = static_cast<net::FrameType>(letter.type);
      replica(letter.to).core->receive(letter.from, {GroupId(), Epoch(), type, letter.body()}, out);
    });
  }

  template <class Message>
  [[nodiscard]] static bool is(const Letter& letter, ReplicaId from, const InstanceId& about) {
    return letter.type == Message::kType && letter.from == from && letter.about == about;
  }
  template <class Message>
  [[nodiscard]] std::deque<Letter>::iterator find(ReplicaId from, ReplicaId to,
                                                  const InstanceId& about) {
    return std::find_if(mail_.begin(), mail_.end(), [&](const Letter& letter) {
      return is<Message>(letter, from, about) && letter.to == to;
    });
  }
  template <class Message>
  [[nodiscard]] Message read(const Letter& letter) const {
    Message message;
    EXPECT_TRUE(decode(letter.body(), n_, message));
    return message;
  }

  [[nodiscard]] std::vector<ReplicaId> alive() const {
    std::vector<ReplicaId> all;
    for (std::uint16_t r = 0; r < n_; ++r) {
      if (replicas_[r]->core) all.emplace_back(r);
    }
    return all;
  }
  [[nodiscard]] bool settled() const {
    const std::vector<ReplicaId> all = alive();
    for (std::uint16_t row = 0; row < n_; ++row) {
      const Slot known = core(all[0]).instances().row(ReplicaId(row)).highest_known;
      for (const ReplicaId at : all) {
        const RowState& state = core(at).instances().row(ReplicaId(row));
        if (state.highest_known != known || state.committed_up_to != known) return false;
      }
    }
    return std::ranges::all_of(all, [&](ReplicaId at) {
      return replica(at).executed.size() == replica(all[0]).executed.size();
    });
  }
  void expect_agreement() const {
    const std::vector<ReplicaId> all = alive();
    for (std::uint16_t row = 0; row < n_; ++row) {
      const Slot known = core(all[0]).instances().row(ReplicaId(row)).highest_known;
      for (Slot slot{1}; slot <= known; slot = slot.next()) {
        const InstanceId which{ReplicaId(row), slot};
        for (const ReplicaId at : all) {
          EXPECT_EQ(decision(at, which), decision(all[0], which))
              << to_string(which) << " at " << to_string(at);
        }
      }
    }
    for (const ReplicaId at : all) expect_same_order(replica(all[0]), replica(at));
  }
  static void expect_same_order(const StagedReplica& one, const StagedReplica& other) {
    std::map<InstanceId, std::size_t> place;
    for (std::size_t i = 0; i < one.executed.size(); ++i) place[one.executed[i].first] = i;
    EXPECT_EQ(place.size(), one.executed.size()) << "something was executed twice";
    for (std::size_t i = 0; i < other.executed.size(); ++i) {
      for (std::size_t j = i + 1; j < other.executed.size(); ++j) {
        if (!conflicts(other.executed[i].second, other.executed[j].second)) continue;
        EXPECT_LT(place[other.executed[i].first], place[other.executed[j].first])
            << to_string(other.executed[i].first) << " before "
            << to_string(other.executed[j].first);
      }
    }
  }

  const int n_;
  std::vector<std::unique_ptr<StagedReplica>> replicas_;
  std::deque<Letter> mail_;
  std::vector<Letter> delivered_;
};

}  // namespace epaxos::protocol
