#include "compare/log/members.h"

namespace epaxos::compare {
namespace {

constexpr unsigned kBits = kReplicasMax;  // Of each set.
static_assert(3 * kBits <= 32, "an image keeps them in 32 bits");

ReplicaSet set_at(std::uint64_t number, unsigned place) {
  return ReplicaSet::of_bits(
      static_cast<std::uint16_t>(number >> (place * kBits) & ((1u << kBits) - 1)));
}

}  // namespace

std::uint64_t packed(const Members& members) {
  return members.voters.bits() | std::uint64_t{members.old_voters.bits()} << kBits |
         std::uint64_t{members.learners.bits()} << (2 * kBits);
}

bool unpack(std::uint64_t number, int replicas, Members& out) {
  out = {set_at(number, 0), set_at(number, 1), set_at(number, 2)};
  ReplicaSet voters = out.voters;
  voters.add(out.old_voters);
  return number >> (3 * kBits) == 0 && out.voters.size() > 0 &&
         out.everybody().without(ReplicaSet::all(replicas)).size() == 0 &&
         out.learners.without(voters) == out.learners;
}

}  // namespace epaxos::compare
