#pragma once

// `epaxos-bench wan-diff A.json B.json`: what changed between two results of `wan`, beyond what
// differs from run to run anyway.

#include <string>
#include <vector>

#include "deps/types/result.h"

namespace epaxos::bench {

/// A percentile of one protocol, leader, site and phase, in each run of a result.
struct Figures {
  std::string what;  ///< "raft led from CA at VA, commit p99".
  std::vector<double> ms;
};

/// What is compared of a result of `wan`.
struct WanFigures {
  std::vector<std::pair<std::string, std::string>> conditions;  ///< "clients", "10".
  std::size_t repeat = 1;                                       ///< Runs that are there.
  bool interrupted = false;
  std::vector<Figures> figures;
};
/// Errors: invalid argument - the text is no such result; names `path`.
Result<WanFigures> read_figures(const std::string& text, const std::string& path);

struct WanDiff {
  struct Change {
    std::string what;
    std::vector<double> before_ms;
    std::vector<double> after_ms;
  };
  std::vector<std::string> conditions;  ///< "clients: 10, then 50".
  std::vector<std::string> only_one;    ///< Figures that only one of them has, a sentence each.
  std::vector<Change> changes;          ///< The largest first, by what it is relative to before.
  std::size_t compared = 0;
  /// How many runs each has; with 1 the spread is not known, and all that differs is a change.
  std::size_t before_runs = 1;
  std::size_t after_runs = 1;
  bool before_interrupted = false;
  bool after_interrupted = false;
};
/// A change: all runs of the one are below all runs of the other, by more than histograms are off.
WanDiff diff(const WanFigures& before, const WanFigures& after);

/// How likely it is that so many runs lie apart from so many others by chance alone.
double chance_to_lie_apart(std::size_t runs, std::size_t others);

std::string to_text(const WanDiff& diff);

}  // namespace epaxos::bench
