// `epaxos-bench wan-diff`: the command line.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/subcommands.h"
#include "bench/wan/report_diff.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {
namespace {

/// The exit status when something changed.
constexpr int kChanged = 3;

Result<WanFigures> figures_in(const std::string& path) {
  std::error_code ignored;
  const bool is_file = !std::filesystem::is_directory(path, ignored);
  std::ifstream file(path);
  if (!is_file || !file) {
    return fail(ErrorCode::kIo, path + " cannot be read. Name two results of wan --json.");
  }
  return read_figures({std::istreambuf_iterator<char>(file), {}}, path);
}

}  // namespace

int show_wan_diff(const char* name, const std::string& before_path, const std::string& after_path) {
  const Result<WanFigures> before = figures_in(before_path);
  if (!before) return complain(name, before.error().message);
  const Result<WanFigures> after = figures_in(after_path);
  if (!after) return complain(name, after.error().message);
  const WanDiff found = diff(*before, *after);
  std::fputs(to_text(found).c_str(), stdout);
  if (found.compared == 0) return 1;
  return found.changes.empty() ? 0 : kChanged;
}

namespace {

constexpr const char* kDiffFooter = R"(
Medians and 99th percentiles of commit and execution are compared, for every protocol, leader and
site that both have. Each shows its median over the runs, and their range.

Exit status: 0 nothing changed, 1 a file is missing or is no result, or they have nothing in common,
3 something changed.)";

}  // namespace

void add_wan_diff(CLI::App& app, int& status) {
  auto paths = std::make_shared<std::pair<std::string, std::string>>();
  auto* const sub = app.add_subcommand("wan-diff", "What changed between two results of wan");
  sub->add_option("BEFORE", paths->first, "A file that wan --json or --out wrote")
      ->required()
      ->check(refuse_empty);
  sub->add_option("AFTER", paths->second, "Another one")->required()->check(refuse_empty);
  sub->footer(kDiffFooter);
  sub->callback(
      [paths, &status] { status = show_wan_diff("wan-diff", paths->first, paths->second); });
}

}  // namespace epaxos::bench
