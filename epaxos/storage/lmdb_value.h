#pragma once

// Between LMDB's values and our bytes.

#include <cstddef>

#include <lmdb.h>

#include "deps/types/command.h"

namespace epaxos::storage {

inline MDB_val value_of(Bytes bytes) {
  return {bytes.size(), const_cast<std::byte*>(bytes.data())};  // LMDB does not write to it.
}

inline Bytes bytes_of(const MDB_val& value) {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

}  // namespace epaxos::storage
