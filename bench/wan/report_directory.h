#pragma once

// `--out DIRECTORY`: a report as files. summary.txt, results.csv, results.json and series.csv;
// histograms/ with two files a run and site, of reads and of writes apart; figures/ with a script
// of gnuplot a figure; and report.html.

#include <string>

#include "bench/wan/wan.h"

namespace epaxos::bench {

class ReportDirectory {
 public:
  /// Makes it, before anything runs. An empty path: write() does nothing.
  /// Errors: invalid argument - it has other files than those of an earlier report.
  ///         io               - it cannot be made or written.
  Result<void> open(const std::string& path);

  /// In place of an earlier report. What could not be drawn is told by the text, which is empty
  /// when all is there. Errors: io - something could not be written.
  [[nodiscard]] Result<std::string> write(const WanOptions& options, const WanPlan& plan,
                                          const WanResult& result) const;

 private:
  std::string path_;
};

}  // namespace epaxos::bench
