#include "compare/log/log_records.h"

namespace epaxos::compare {

bool LogRecords::read(Slot slot, std::vector<std::byte>& encoded) const {
  if (!read_ || !read_(key(slot), encoded)) return false;
  Bytes rest = encoded;
  Entry entry;
  return take_entry(rest, replicas_, entry) && rest.empty();
}

}  // namespace epaxos::compare
