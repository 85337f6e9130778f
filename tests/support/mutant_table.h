#pragma once

// The tables of docs/testing.md 1: each row names a known bug, the seed that shows it and the
// checker that says so, or a test. For programs that link the libraries NAME_mutable.

#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "deps/types/mutant.h"

namespace epaxos::testing {

struct Row {
  std::string mutant;
  std::string source;
  std::string checker;  ///< Or the test, if there is no seed.
  std::optional<std::uint64_t> seed;
  std::string what;
};

/// `source`: the folder of the project.
inline std::vector<Row> table(const std::string& source) {
  std::ifstream page(std::filesystem::path(source) / "docs/testing.md");
  const std::regex form(
      R"(\| `([a-z-]+)` \| ([^|]+) \| `([A-Za-z.]+)` \| ([0-9]+|test) \| ([^|]+) \|)");
  std::vector<Row> rows;
  std::smatch match;
  for (std::string line; std::getline(page, line);) {
    if (!std::regex_match(line, match, form)) continue;
    Row& row = rows.emplace_back(Row{match[1], match[2], match[3], {}, match[5]});
    if (match[4] != "test") row.seed = std::stoull(match[4]);
  }
  return rows;
}

#ifdef EPAXOS_MUTANTS
/// The bug of this process, for a while.
class Active {
 public:
  explicit Active(Mutant mutant) { active_mutant = mutant; }
  ~Active() { active_mutant = Mutant::kNone; }
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;
};
#endif

inline bool is_test(const std::string& name) {
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      if (std::string(suite.name()) + "." + suite.GetTestInfo(j)->name() == name) return true;
    }
  }
  return false;
}

/// The bugs of Raft have names that begin like this; tests/compare/simulate is about them.
inline bool is_of_raft(const Row& row) {
  return row.mutant.starts_with("raft-");
}

/// And those of Paxos like this.
inline bool is_of_paxos(const Row& row) {
  return row.mutant.starts_with("paxos-");
}

}  // namespace epaxos::testing
