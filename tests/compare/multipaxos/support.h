#pragma once

// Groups of Multi-Paxos cores that stand still until a test moves them.

#include <gmock/gmock.h>

#include "compare/multipaxos/core.h"
#include "tests/compare/paxos/staged_cores.h"

namespace epaxos::compare::multipaxos {

inline constexpr Ballot kBallot{3, kB};

constexpr CommandId command(std::uint64_t number) {
  return {7, number};
}

inline std::vector<CommandId> commands(std::uint64_t first, std::uint64_t last) {
  std::vector<CommandId> all;
  for (; first <= last; ++first) all.push_back(command(first));
  return all;
}

inline bool is(const Letter& letter, MessageType type) {
  return letter.type == static_cast<net::FrameType>(type);
}

template <class Message>
std::vector<std::uint64_t> words_of(const Message& message) {
  Effects out;
  const Bytes body = out.view(encode(message, out));
  std::vector<std::uint64_t> words(body.size() / 8);
  copy_bytes(body, words.data());
  return words;
}

/// An entry without commands, proposed at this ballot.
inline std::vector<std::byte> nop_at(Ballot ballot) {
  std::vector<std::byte> encoded(kEntryHeaderBytes);
  encode_entry({ballot.packed(), {}, {}}, encoded);
  return encoded;
}

class Group : public StagedCores {
 public:
  explicit Group(int n, const Options& options = {}, const CoreConfig& config = {})
      : StagedCores(multipaxos(options), n, config) {}

  /// Time passes in which nobody is heard, of which one replica takes notice first; and then
  /// letters travel, until it leads.
  void make_leader(int replica) {
    StagedCore& one = (*this)[replica];
    for (int i = 0; i < size(); ++i) (*this)[i].now += 20 * CoreConfig{}.election_us;
    one.turn([&](Effects& out) { one.core->tick(one.now, out); });
    collect();
    deliver_all();
    EXPECT_EQ(one.status().role, "leader");
  }
  /// The same as settle(), and whoever needs an image gets one.
  void settle_with_images(Tick us) {
    for (Tick passed = 0; passed < us; passed += kSecond) {
      settle(kSecond);
      for (int i = 0; i < size(); ++i) {
        const auto wish = std::exchange((*this)[i].wish, std::nullopt);
        if (!wish) continue;
        StagedCore& peer = (*this)[wish->from.value()];
        if (peer.image().empty()) peer.make_image();
        std::vector<std::byte> coverage;
        if (!peer.core->coverage_for(replica_at(i), peer.image(), coverage)) continue;
        if ((*this)[i].core->may_install(coverage)) (*this)[i].install(peer, coverage);
      }
      collect();
    }
  }
  [[nodiscard]] int leader() {
    for (int i = 0; i < size(); ++i) {
      if ((*this)[i].is_up() && (*this)[i].status().role == "leader") return i;
    }
    return -1;
  }
  [[nodiscard]] std::size_t on_their_way(MessageType type) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(letters, [&](const Letter& each) { return is(each, type); }));
  }
  /// Nothing of this is delivered any more.
  void lose(const std::function<bool(const Letter&)>& is_lost) {
    for (int i = 0; i < 100'000; ++i) {
      drop_if(is_lost);
      if (letters.empty()) return;
      deliver(0);
    }
  }
};

/// What one core says when it gets this.
template <class Message>
std::deque<Letter> answers(Group& group, ReplicaId from, ReplicaId to, const Message& message) {
  group.letters.clear();
  const auto words = words_of(message);
  group.letters.push_back(
      {from, to, static_cast<net::FrameType>(Message::kType), words, words.size() * 8});
  group.deliver(0);
  return group.letters;
}

}  // namespace epaxos::compare::multipaxos
