#include "epaxos/contract/effects.h"

namespace epaxos {

Slice Effects::append(Bytes bytes) {
  const std::size_t at = (arena_.size() + 7) / 8 * 8;
  check(at + bytes.size() <= UINT32_MAX, "the effects of one turn exceed 4 GiB");
  arena_.resize(at);
  arena_.insert(arena_.end(), bytes.data(), bytes.data() + bytes.size());
  return {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(bytes.size())};
}

void Effects::clear() {
  records.clear();
  sends.clear();
  executions.clear();
  rejections.clear();
  reads.clear();
  superseded.clear();
  image_wish.reset();
  ends_component = false;
  arena_.clear();
}

}  // namespace epaxos
