#pragma once

// What a program asks of the disk, in order. The test program defines write(), fsync() and their
// like itself, so that the calls of liblmdb and of the store come here first; they are carried out,
// and written down while a trace of their directory is taken.

#include <cstdint>
#include <string>
#include <vector>

namespace epaxos::storage {

struct TraceEvent {
  enum class Kind {
    kWrite,
    kSync,           ///< fsync() or fdatasync() of a file.
    kTruncate,       ///< Of `file` to `number` bytes.
    kRename,         ///< Of `file` to `renamed_to`.
    kExchange,       ///< Of these two names.
    kSyncDirectory,  ///< fsync() of the directory itself: its names are durable.
    kSyncParent,     ///< fsync() of the directory that holds it.
    kOther,          ///< A call that no image can be made of; `bytes` names it.
    kSubmitted,      ///< The store was given batch `number`.
    kAcknowledged,   ///< The store called batch `number` durable.
  };

  Kind kind = Kind::kOther;
  std::string file;  ///< Its name in the directory.
  std::string renamed_to;
  std::uint64_t offset = 0;  ///< Of a write.
  std::string bytes;
  bool is_synchronous = false;  ///< A write through O_DSYNC or O_SYNC: durable when it returns.
  std::uint64_t number = 0;
};

/// The one trace of this process. An event is in it before the call that it is about returns.
class Trace {
 public:
  /// From now on, what happens to the files of this directory. Precondition: no trace is taken.
  static void begin(const std::string& directory);
  static std::vector<TraceEvent> end();

  static void submitted(std::uint64_t number);
  static void acknowledged(std::uint64_t number);
};

}  // namespace epaxos::storage
