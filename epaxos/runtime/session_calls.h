#pragma once

// Who waits at this replica for which request of a session. A request that is repeated while its
// first proposal is under way here is not proposed again: it waits with the first. Nobody iterates
// over it, so its order reaches nothing.

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "deps/types/ids.h"

namespace epaxos::runtime {

class SessionCalls {
 public:
  /// Numbers of Pending.
  using Tickets = std::vector<std::uint64_t>;

  /// One more waits. Returns whether it is the first, so that the command is to be proposed.
  bool join(CommandId id, std::uint64_t ticket) {
    const auto [call, is_new] = calls_.try_emplace(id);
    call->second.waiters.push_back(ticket);
    return is_new;
  }
  /// One waits no longer. The command stays under way.
  void leave(CommandId id, std::uint64_t ticket) {
    const auto call = calls_.find(id);
    if (call != calls_.end()) std::erase(call->second.waiters, ticket);
  }
  /// Before the command is given to the core: false when nobody waits any more; then it is
  /// forgotten.
  bool give(CommandId id) {
    const auto call = calls_.find(id);
    if (call == calls_.end()) return false;
    if (call->second.waiters.empty()) {
      calls_.erase(call);
      return false;
    }
    call->second.given = true;
    return true;
  }
  /// Whether the core has it.
  [[nodiscard]] bool is_given(CommandId id) const {
    const auto call = calls_.find(id);
    return call != calls_.end() && call->second.given;
  }
  /// It has its outcome: those who wait for it.
  Tickets end(CommandId id) {
    if (calls_.empty()) return {};
    const auto call = calls_.find(id);
    if (call == calls_.end()) return {};
    Tickets waiters = std::move(call->second.waiters);
    calls_.erase(call);
    return waiters;
  }
  void clear() { calls_.clear(); }
  [[nodiscard]] std::size_t size() const { return calls_.size(); }

 private:
  struct Call {
    bool given = false;
    Tickets waiters;
  };
  struct Hash {
    std::size_t operator()(CommandId id) const noexcept {
      return mix64(id.session ^ mix64(id.number));
    }
  };

  std::unordered_map<CommandId, Call, Hash> calls_;
};

}  // namespace epaxos::runtime
