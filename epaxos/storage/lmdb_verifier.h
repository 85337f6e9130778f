#pragma once

// Checks the structure of an LMDB data file before LMDB maps it, because LMDB trusts its file: a
// damaged page makes it abort, read outside of the map, or hand out old data. Walks the newest tree
// with pread and accepts only what LMDB 0.9 writes: every page in its place and used once, every
// node inside its page, every key in order, every count right, both meta pages one transaction
// apart and each naming the transaction that its own tree names. Knows nothing of liblmdb.
// Source: mdb.c of LMDB 0.9.24; reliability.md 5.1.

#include <cstdint>
#include <string>

#include "deps/types/result.h"
#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_layout.h"

namespace epaxos::storage {

/// Walks the file at `path`, which nobody writes meanwhile.
///
/// Cost: reads every page in use once; memory of one byte a page of the file.
/// Errors: corrupted - with the page and what is wrong with it; wrong_identity - the state record
/// is
///         another replica's; io - it cannot be read.
Result<StateRecord> verify_lmdb_file(const std::string& path, const DirectoryIdentity& identity);

}  // namespace epaxos::storage
