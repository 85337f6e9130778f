#pragma once

// A file for plots: a line a second and replica, of what they have done and what they take.

#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "bench/throughput/measurement.h"
#include "deps/types/result.h"

namespace epaxos::bench {

class Series {
 public:
  /// An empty path: nothing is written, and due() never says yes.
  /// Errors: io - the file cannot be written.
  Result<void> open(const std::string& path);
  /// Whether a second has passed since the last lines.
  [[nodiscard]] bool due() const;
  /// One a replica, from R0 on; one that says nothing about itself (all zeros) gets no line.
  void add(std::span<const Measurement> replicas);
  /// Errors: io - something could not be written.
  Result<void> close();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::unique_ptr<std::FILE, Close> file_;
  std::string path_;
  double begin_s_ = 0;
  double next_s_ = 0;
};

}  // namespace epaxos::bench
