// A seed is the same run everywhere: on every compiler, optimised or not, under every sanitizer.
// What a find of the nightly run shows elsewhere, and a bisection, rests on that. When the
// simulator changes on purpose, its runs change too; then
//
//   EPAXOS_RENEW_TRACE_HASHES=1 build/release/bin/seeds_tests --gtest_filter='TraceHash.*'
//
// writes the table again.

#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/programs/simulate.h"

namespace epaxos::testing {
namespace {

constexpr const char* kTable = EPAXOS_SOURCE_DIR "/tests/epaxos/seeds/trace_hashes.txt";

struct Row {
  std::uint64_t seed = 0;
  std::string profile;
  std::uint64_t hash = 0;
};

std::vector<Row> read_table() {
  std::ifstream file(kTable);
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Row row;
    words >> row.profile >> row.seed >> std::hex >> row.hash;
    rows.push_back(row);
  }
  return rows;
}

void write_table(const std::vector<Row>& rows) {
  std::ofstream file(kTable);
  file << "# Profile, seed and trace hash of runs of epaxos-sim; see trace_hash_test.cc.\n";
  for (const Row& row : rows) {
    file << row.profile << " " << row.seed << " " << std::hex << std::setfill('0') << std::setw(16)
         << row.hash << std::dec << "\n";
  }
}

std::uint64_t hash_of(const Row& row) {
  sim::SwarmOptions options = simulated_epaxos().swarm;
  if (row.profile == "nightly") options.limits.profile = sim::Profile::kNightly;
  return run_swarm(options, row.seed).trace_hash;
}

TEST(TraceHash, ASeedIsTheSameRunInEveryBuild) {
  const bool renew = std::getenv("EPAXOS_RENEW_TRACE_HASHES") != nullptr;
  std::vector<Row> rows = read_table();
  ASSERT_GE(rows.size(), 8u) << kTable;
  for (Row& row : rows) {
    const std::uint64_t hash = hash_of(row);
    if (renew) row.hash = hash;
    EXPECT_EQ(row.hash, hash)
        << row.profile << " seed " << row.seed
        << ": if the simulator was changed on purpose, and only then, write the table again with\n"
           "  EPAXOS_RENEW_TRACE_HASHES=1 build/release/bin/seeds_tests "
           "--gtest_filter='TraceHash.*'";
  }
  if (renew) write_table(rows);
}

}  // namespace
}  // namespace epaxos::testing
