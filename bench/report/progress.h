#pragma once

// What a long run tells while it runs: one line that is rewritten on a terminal, and only the ends
// of stages elsewhere. On the standard error, so that results stay alone on the standard output.

#include <optional>
#include <string>
#include <string_view>

namespace epaxos::bench {

class Progress {
 public:
  enum class Elsewhere { kStages, kNothing };  ///< What is told where there is no terminal.

  /// `total_s`: how long everything is expected to take; 0: nobody knows before expect().
  explicit Progress(double total_s, Elsewhere elsewhere = Elsewhere::kStages);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Begins a stage: a line elsewhere, part of the rewritten one on a terminal.
  void stage(std::string_view name);
  /// Corrects the estimate: so much is left from now on.
  void expect(double left_s);
  /// Call now and then; draws at most ten times a second.
  void tick();
  /// Clears the rewritten line.
  void clear();

 private:
  void draw();

  const bool terminal_;
  const Elsewhere elsewhere_;
  const double begin_;
  std::optional<double> end_;  // As expected; none: nobody knows yet.
  double drawn_ = 0;
  std::string stage_;
};

}  // namespace epaxos::bench
