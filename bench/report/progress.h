#pragma once

// What a long run tells while it runs: one line that is rewritten on a terminal, and only the ends
// of stages elsewhere. On the standard error, so that results stay alone on the standard output.

#include <string>
#include <string_view>

namespace epaxos::bench {

class Progress {
 public:
  /// `total_s`: how long everything is expected to take.
  explicit Progress(double total_s);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Begins a stage: a line elsewhere, part of the rewritten one on a terminal.
  void stage(std::string_view name);
  /// Call now and then; draws at most ten times a second.
  void tick();
  /// Clears the rewritten line.
  void clear();

 private:
  void draw();

  const bool terminal_;
  const double total_s_;
  const double begin_;
  double drawn_ = 0;
  std::string stage_;
};

}  // namespace epaxos::bench
