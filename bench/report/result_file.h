#pragma once

// A file for results that are only there at the end of a long run: opened at its beginning, so that
// nobody waits for what cannot be written. What it holds stays until then.

#include <cstdio>
#include <initializer_list>
#include <memory>
#include <string>

#include "deps/types/result.h"

namespace epaxos::bench {

/// Whether both name one regular file, so that what is written to one replaces the other. False:
/// also for an empty path, and for pipes and devices.
bool is_one_file(const std::string& one, const std::string& other);

class ResultFile {
 public:
  /// `option`: the one that names the file, for sentences.
  explicit ResultFile(const char* option) : option_(option) {}

  /// An empty path: write() does nothing. Errors: io - the file cannot be written.
  Result<void> open(const std::string& path);
  /// Once. Errors: io - something could not be written.
  Result<void> write(const std::string& text);

  /// Each opens the path beside it.
  /// Errors: io; invalid argument - two of them would write to one file.
  struct Named {
    ResultFile& file;
    const std::string& path;
  };
  static Result<void> open_all(std::initializer_list<Named> files);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  [[nodiscard]] Failure not_written() const;

  const char* const option_;
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace epaxos::bench
