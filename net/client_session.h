#pragma once

// One session of a client, as the client sees it: the numbers of its requests, and up to where all
// of them have ended. Source: protocol.md 16.

#include <cstdint>
#include <deque>

#include "deps/types/check.h"
#include "deps/types/ids.h"

namespace epaxos::net {

class ClientSession {
 public:
  enum class State { kClosed, kOpening, kOpen };

  State state = State::kClosed;
  unsigned attempts = 0;  ///< To open it, since the last one that was answered.

  [[nodiscard]] std::uint64_t id() const { return id_; }
  /// Another session in its place.
  void renew(std::uint64_t id) { *this = ClientSession(), id_ = id; }

  /// Whether one more request may be numbered: replicas keep so many replies and no more.
  [[nodiscard]] bool has_room() const { return ended_.size() < kWindow; }
  CommandId take_number() {
    check(has_room(), "a session has more requests than its window");
    ended_.push_back(false);
    return {id_, acknowledged_ + ended_.size()};
  }
  /// The request has its outcome and is never sent again.
  void end(std::uint64_t number) {
    if (number <= acknowledged_ || number > acknowledged_ + ended_.size()) return;
    ended_[number - acknowledged_ - 1] = true;
    while (!ended_.empty() && ended_.front()) {
      ended_.pop_front();
      ++acknowledged_;
    }
  }
  [[nodiscard]] std::uint64_t acknowledged_up_to() const { return acknowledged_; }

 private:
  static constexpr std::size_t kWindow = 1024;

  std::uint64_t id_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::deque<bool> ended_;  // Of the numbers above it.
};

}  // namespace epaxos::net
