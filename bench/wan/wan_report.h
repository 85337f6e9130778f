#pragma once

// What was measured beside what is possible: for people, as CSV and as JSON.

#include <string>
#include <vector>

#include "bench/wan/wan.h"

namespace epaxos::bench {

/// What was run, under which conditions, and whether histories were judged; lines that end with a
/// newline.
std::string conditions_text(const WanOptions& options, const WanResult& result);

/// The table: what its columns are called, in the manner of TextTable, and its cells.
struct SiteTable {
  struct Row {
    std::vector<std::string> cells;
    bool first_of_run = false;
    bool all_sites = false;
  };
  std::vector<std::string> names;
  /// Every site of every run, and after each run all sites together. Reads and writes have rows of
  /// their own where there are both.
  std::vector<Row> rows;
};
SiteTable table_of(const WanOptions& options, const WanResult& result);

/// Commands that no latency shows, and those that their generator sent late, a line each kind;
/// empty when there are none.
std::string left_out_text(const WanOptions& options, const WanResult& result);

/// Conditions, the table, and what it leaves out.
std::string to_text(const WanOptions& options, const WanResult& result);
/// A line a run and site; where there are reads and writes, one more for each of them.
std::string to_csv(const WanOptions& options, const WanResult& result);
/// With the histograms, so that they can be merged.
std::string to_json(const WanOptions& options, const WanResult& result);

}  // namespace epaxos::bench
