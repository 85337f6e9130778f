// `epaxos-bench wan-merge`: the command line.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <tuple>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/report/result_file.h"
#include "bench/subcommands.h"
#include "bench/wan/gate_argument.h"
#include "bench/wan/report_directory.h"
#include "bench/wan/site_merge.h"
#include "bench/wan/timeline_report.h"
#include "bench/wan/wan_report.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {
namespace {

struct MergeCommand {
  std::vector<std::string> paths;
  MergeOptions merge;
  std::vector<std::string> gates;
  std::string csv;
  std::string json;
  std::string series;
  std::string out;
  std::string measured_topology;
};

/// Of a file; an hour of many clients has some tens of megabytes.
constexpr std::size_t kFileBytesMax = std::size_t{512} * 1024 * 1024;

/// Also of a pipe, but not without an end.
Result<std::string> text_at(const std::string& path) {
  std::error_code ignored;
  const bool is_file = !std::filesystem::is_directory(path, ignored);
  std::ifstream file(path, std::ios::binary);
  if (!is_file || !file) {
    return fail(ErrorCode::kIo, path + " cannot be read. Name the files of all sites.");
  }
  std::string text;
  std::vector<char> some(std::size_t{64} * 1024);
  while (text.size() <= kFileBytesMax && file) {
    file.read(some.data(), static_cast<std::streamsize>(some.size()));
    text.append(some.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return fail(ErrorCode::kIo, path + " cannot be read to its end.");
  if (text.size() <= kFileBytesMax) return text;
  return fail(ErrorCode::kInvalidArgument,
              path + " is larger than a result of a site, which has at most 512 MiB.");
}

Result<SiteFile> site_file_at(const std::string& path) {
  const Result<std::string> text = text_at(path);
  if (!text) return fail(text.error());
  auto result = read_site_result(*text);
  if (result) return SiteFile{path, *std::move(result)};
  return fail(ErrorCode::kInvalidArgument,
              path + " " + result.error().message +
                  ". Write one with: epaxos-bench client --site NAME --out " + path);
}

Result<Merged> merged_from(const MergeCommand& command) {
  std::vector<SiteFile> files;
  for (const std::string& path : command.paths) {
    Result<SiteFile> file = site_file_at(path);
    if (!file) return fail(file.error());
    files.push_back(*std::move(file));
  }
  return merge_sites(std::move(files), command.merge);
}

/// What was measured is never replaced by what it was merged into.
Result<void> check_inputs_stay(const MergeCommand& command) {
  for (const std::string& input : command.paths) {
    for (const auto& [option, path] : {std::pair("--csv", &command.csv),
                                       {"--json", &command.json},
                                       {"--series", &command.series},
                                       {"--write-topology", &command.measured_topology}}) {
      if (!is_one_file(*path, input)) continue;
      return fail(ErrorCode::kInvalidArgument,
                  std::string(option) + " names " + input +
                      ", which is to be merged and would be replaced. Name another file.");
    }
  }
  return {};
}

int run(const MergeCommand& command) {
  if (const auto stay = check_inputs_stay(command); !stay) {
    return complain("wan-merge", stay.error().message);
  }
  Result<Merged> merged = merged_from(command);
  if (!merged) return complain("wan-merge", merged.error().message);
  for (const std::string& text : command.gates) merged->options.gates.push_back(*Gate::parse(text));
  const WanOptions& options = merged->options;
  const WanResult& result = merged->result;
  ResultFile csv("--csv");
  ResultFile json("--json");
  ResultFile series("--series");
  ResultFile topology("--write-topology");
  const auto opened_all = ResultFile::open_all({{csv, command.csv},
                                                {json, command.json},
                                                {series, command.series},
                                                {topology, command.measured_topology}});
  if (!opened_all) return complain("wan-merge", opened_all.error().message);
  for (const auto& written :
       {csv.write(to_csv(options, result)), json.write(to_json(options, result)),
        series.write(to_series(merged->plan, result)),
        topology.write(to_toml(result.placement.topology()))}) {
    if (!written) return complain("wan-merge", written.error().message);
  }
  ReportDirectory report;
  if (const auto opened = report.open(command.out); !opened) {
    return complain("wan-merge", opened.error().message);
  }
  std::fputs(to_text(options, result).c_str(), stdout);
  std::fflush(stdout);
  for (const std::string& sentence : merged->remarks) complain("wan-merge", sentence);
  const Result<std::string> missing = report.write(options, merged->plan, result);
  if (!missing) return complain("wan-merge", missing.error().message);
  if (!missing->empty()) complain("wan-merge", *missing);
  const std::vector<std::string> broken = broken_gates(options, result);
  for (const std::string& sentence : broken) complain("wan-merge", sentence);
  return broken.empty() ? 0 : kGateBroken;
}

constexpr const char* kMergeFooter = R"(
Files are those that epaxos-bench client --site has written on the machines of one experiment. They
have to agree in everything but the site and the run. Histograms are added; with files of several
runs (client --run), of all sites each, the median and the range of each run's own percentiles stand
beside them, as with wan --repeat. The slow path is that of the site's
replica in the measured time, whoever's commands they were. docs/wan.md 9 has the steps.

Without --topology, bounds come from the round trips that the clients have measured before the load;
where the cluster file has an emulated network, from that.

Exit status: 0 all went well, 1 the files do not belong together or something cannot be read or
written, 3 what was asserted does not hold.)";

}  // namespace

void add_wan_merge(CLI::App& app, int& status) {
  auto command = std::make_shared<MergeCommand>();
  auto* const sub = app.add_subcommand("wan-merge", "Results of several sites as one of wan");
  sub->add_option("FILES", command->paths, "Files that client --site wrote, of all sites and runs")
      ->required()
      ->check(refuse_empty);
  auto* const topology =
      sub->add_option("--topology", command->merge.topology,
                      "Where the sites are, a file or a name as for wan; else as measured")
          ->check(refuse_empty);
  sub->add_flag("--add-clients", command->merge.add_clients,
                "Several files may be of one site and run: their clients add up");
  sub->add_flag("--by-protocol", command->merge.by_protocol,
                "Files of several protocols, each at the same sites");
  sub->add_option("--assert", command->gates, "What every site must hold, as 'p50<=1.1*bound+2ms'")
      ->check(gate_argument());
  sub->add_option("--csv", command->csv, "A file for the figures as CSV")->check(refuse_empty);
  sub->add_option("--json", command->json, "A file for everything as JSON")->check(refuse_empty);
  sub->add_option("--series", command->series, "A file for commands and latency second by second")
      ->check(refuse_empty);
  sub->add_option("--out", command->out, "A directory for a report with figures")
      ->check(refuse_empty);
  sub->add_option("--write-topology", command->measured_topology,
                  "A file for the measured topology, for --topology here and elsewhere")
      ->check(refuse_empty)
      ->excludes(topology);
  sub->footer(kMergeFooter);
  sub->callback([command, &status] { status = run(*command); });
}

}  // namespace epaxos::bench
