#pragma once

// The configurations of a log: which entry says who belongs to the group. "A server always uses the
// latest configuration in its log, regardless of whether the entry is committed" (Raft paper, 6);
// so what is overwritten is taken back, and an image says what held where it ends.

#include <algorithm>
#include <iterator>
#include <vector>

#include "compare/log/members.h"
#include "compare/raft/message.h"
#include "deps/types/check.h"

namespace epaxos::compare::raft {

class Configurations {
 public:
  explicit Configurations(const Members& first) : known_{{LogIndex(), first}} {}

  [[nodiscard]] const Members& latest() const { return known_.back().members; }
  /// Of the entry that says so; 0: nobody has, these are the first ones.
  [[nodiscard]] LogIndex latest_index() const { return known_.back().index; }
  /// What held at an index. Precondition: settle() and restart() have not gone beyond it.
  [[nodiscard]] const Members& at(LogIndex index) const {
    std::size_t place = known_.size() - 1;
    while (place > 0 && known_[place].index > index) --place;
    return known_[place].members;
  }

  /// Whether it has a vote in what held at an index, or in anything since. The same precondition.
  [[nodiscard]] bool votes_since(LogIndex index, ReplicaId replica) const {
    const auto later = std::ranges::upper_bound(known_, index, {}, &Known::index);
    const auto from = later == known_.begin() ? later : std::prev(later);
    return std::any_of(from, known_.end(),
                       [&](const Known& each) { return each.members.votes(replica); });
  }

  /// Whether an entry up to this index, or an image, says so. The same precondition.
  [[nodiscard]] bool is_said_at(LogIndex index) const {
    return known_.front().index > LogIndex() || (known_.size() > 1 && known_[1].index <= index);
  }

  /// An entry was added to the log.
  void add(LogIndex index, const Members& members) {
    check(index > latest_index(), "a log has its entries in order");
    known_.push_back({index, members});
  }
  /// The log was cut: what stands at `index` or behind is gone.
  void drop_from(LogIndex index) {
    while (known_.size() > 1 && known_.back().index >= index) known_.pop_back();
  }
  /// Nobody asks again about what held before `index`.
  void settle(LogIndex index) {
    while (known_.size() > 1 && known_[1].index <= index) known_.erase(known_.begin());
  }
  /// An image has taken the place of everything up to `index`.
  void restart(LogIndex index, const Members& members) {
    settle(index);
    known_.front() = {index, members};
  }

 private:
  struct Known {
    LogIndex index;
    Members members;
  };

  std::vector<Known> known_;  // Ascending; never empty.
};

}  // namespace epaxos::compare::raft
