#pragma once

// A directory that a benchmark of the store writes into, and that vanishes with it: in that of
// EPAXOS_BENCH_DIR, or else the current one, since a file system in memory would hide what matters.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdlib.h>
#include <string>

namespace epaxos::bench {

inline void must(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "epaxos-micro: %s\n", what);
  std::abort();
}

class BenchDirectory {
 public:
  BenchDirectory() {
    const char* root = std::getenv("EPAXOS_BENCH_DIR");
    path_ = std::string(root == nullptr ? "." : root) + "/epaxos-micro-XXXXXX";
    must(::mkdtemp(path_.data()) != nullptr, "the directory cannot be created");
  }
  ~BenchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  BenchDirectory(const BenchDirectory&) = delete;
  BenchDirectory& operator=(const BenchDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace epaxos::bench
