#pragma once

// What the message codec and the record codec share beside the support of every protocol:
// dependencies.

#include "deps/types/dependencies.h"
#include "epaxos/contract/codec_support.h"

namespace epaxos::protocol::codec {

using epaxos::codec::build;
using epaxos::codec::bytes_of;
using epaxos::codec::data_of;
using epaxos::codec::parse;
using epaxos::codec::read_ballot;
using epaxos::codec::words_of;

inline std::size_t words_of(const Dependencies& d) {
  return static_cast<std::size_t>(d.rows());
}
/// The length of a Cap'n Proto list of them.
inline unsigned rows_of(const Dependencies& d) {
  return static_cast<unsigned>(d.rows());
}
template <class ListBuilder>
void fill(ListBuilder list, const Dependencies& dependencies) {
  for (unsigned row = 0; row < list.size(); ++row) {
    list.set(row, dependencies[ReplicaId(static_cast<std::uint16_t>(row))].value());
  }
}

/// Copies a list of exactly `rows` slots, each at most `slot_max`.
template <class ListReader>
bool read(ListReader list, int rows, std::uint64_t slot_max, Dependencies& out) {
  if (list.size() != static_cast<unsigned>(rows)) return false;
  out = Dependencies(rows);
  for (unsigned row = 0; row < list.size(); ++row) {
    const std::uint64_t slot = list[row];
    if (slot > slot_max) return false;
    out[ReplicaId(static_cast<std::uint16_t>(row))] = Slot(slot);
  }
  return true;
}

}  // namespace epaxos::protocol::codec
