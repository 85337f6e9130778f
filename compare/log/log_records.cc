#include "compare/log/log_records.h"

#include <algorithm>

namespace epaxos::compare {
namespace {

/// Records that one turn erases.
constexpr std::uint64_t kEraseMax = 4096;

}  // namespace

bool LogRecords::read(Slot slot, std::vector<std::byte>& encoded) const {
  if (!reader_.read || !reader_.read(key(slot), encoded)) return false;
  Bytes rest = encoded;
  Entry entry;
  return take_entry(rest, replicas_, entry) && rest.empty();
}

Slot LogRecords::erase_some(Slot erased, Slot limit, Effects& out) {
  if (limit <= erased || !has_erased()) return erased;
  erasing_ = out.batch;
  const Slot last = std::min(limit, Slot(erased.value() + kEraseMax));
  erase_through(last, out);
  return last;
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
