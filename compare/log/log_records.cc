#include "compare/log/log_records.h"

#include <algorithm>

namespace epaxos::compare {

bool LogRecords::read(Slot slot, std::vector<std::byte>& encoded) const {
  if (!reader_.read || !reader_.read(key(slot), encoded)) return false;
  Bytes rest = encoded;
  Entry entry;
  return take_entry(rest, replicas_, entry) && rest.empty();
}

Slot LogRecords::forgettable(Slot limit, const Effects& turn) {
  if (!reader_.read) return limit;
  if (!next_ && limit > readable_) {
    // A turn without records uses up no number.
    next_.emplace(turn.records.empty() ? turn.batch - 1 : turn.batch, limit);
  }
  if (next_ && next_->first <= reader_.readable()) {
    readable_ = next_->second;
    next_.reset();
  }
  return std::min(limit, readable_);
}

}  // namespace epaxos::compare
