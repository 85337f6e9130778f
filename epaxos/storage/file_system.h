#pragma once

// The few calls to the operating system that durability rests on, as Results with sentences.

#include <cstdint>
#include <string>
#include <string_view>

#include "deps/types/result.h"

namespace epaxos::storage {

/// "PATH: WHAT: what errno means", with the code for it: full disks are out_of_space, missing
/// permission and the like invalid_argument, everything else io.
Failure system_failure(std::string_view path, std::string_view what, int error_number);

/// Whether this errno says that there is no room.
[[nodiscard]] bool means_no_space(int error_number);

/// Replaces `path` atomically and durably: a second file, fsync, an exchange of the two names,
/// fsync of the directory. On error the old content is still there. The second file, NAME.new,
/// stays: its blocks are what the next replacement needs on a disk that is full. Precondition: the
/// content fits into one block.
Result<void> replace_file(const std::string& directory, const std::string& name,
                          std::string_view content);

/// Makes `path` a file of this many zeros, with room on the disk for each. Not durable.
Result<void> write_zeros(const std::string& path, std::size_t bytes);

/// The whole file, at most `bytes_max`. Errors: too_large, io, and those of system_failure().
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

/// Makes the names in a directory durable.
Result<void> sync_directory(const std::string& directory);

/// Bytes that this process may still write to the file system of `path`; the maximum when unknown.
std::uint64_t available_bytes(const std::string& path);

}  // namespace epaxos::storage
