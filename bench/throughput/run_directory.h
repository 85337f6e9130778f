#pragma once

// A directory of a run's own for the data of its replicas, removed when it is over.

#include <string>

#include "deps/types/result.h"

namespace epaxos::bench {

class RunDirectory {
 public:
  RunDirectory() = default;
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  /// In `where`, or in the system's place for temporary files when that is empty.
  /// Errors: io - it cannot be made there.
  Result<void> make(const std::string& where);
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Leaves it for a look. Returns where it is.
  std::string keep();

 private:
  std::string path_;
};

}  // namespace epaxos::bench
