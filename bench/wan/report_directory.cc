#include "bench/wan/report_directory.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <unistd.h>

#include "bench/report/percentile_text.h"
#include "bench/report/result_file.h"
#include "bench/wan/report_figures.h"
#include "bench/wan/report_page.h"
#include "bench/wan/timeline_report.h"
#include "bench/wan/wan_report.h"

namespace epaxos::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOption = "--out";

Failure cannot(const std::string& path, const std::error_code& why) {
  return fail(ErrorCode::kIo, path + " cannot be written: " + why.message() +
                                  ". Name another directory with " + kOption + ".");
}

/// Whether results.json there was written by this program.
bool has_report(const fs::path& directory) {
  std::ifstream file(directory / "results.json");
  std::string begin(64, '\0');
  file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return begin.find("\"benchmark\": \"wan\"") != std::string::npos;
}

Result<void> write_file(const fs::path& path, const std::string& text) {
  ResultFile file(kOption);
  const auto opened = file.open(path);
  return opened ? file.write(text) : opened;
}

/// Of an earlier report: what the new one may not write again.
void remove_rest(const fs::path& directory) {
  std::error_code ignored;
  fs::remove(directory / "report.html", ignored);
  for (const auto& [folder, ending] : {std::pair("histograms", ".hgrm"), {"figures", ".gp"}}) {
    for (const auto& entry : fs::directory_iterator(directory / folder, ignored)) {
      if (entry.path().extension() == ending) fs::remove(entry.path(), ignored);
    }
  }
}

/// Two files: STEM.commit.hgrm and STEM.execution.hgrm.
Result<void> write_latency(const fs::path& folder, const std::string& stem, const Latency& seen) {
  const auto commit = write_file(folder / (stem + ".commit.hgrm"), percentile_text(seen.commit_us));
  if (!commit) return commit;
  return write_file(folder / (stem + ".execution.hgrm"), percentile_text(seen.execution_us));
}

Result<void> write_histograms(const fs::path& folder, const WanOptions& options,
                              const WanResult& result) {
  for (const WanRun& run : result.runs) {
    const std::optional<ReplicaId> leader = run.measured.leader;
    const std::string name =
        run.measured.protocol + (leader ? "-led-from-" + result.placement.name_of(*leader) : "");
    for (std::size_t site = 0; site < run.measured.sites.size(); ++site) {
      const std::string stem = name + "." + result.placement.topology().site(site);
      for (const Kind kind : kinds_of(options.run.mix)) {
        const std::string of = kind == Kind::kAll ? stem : stem + "." + to_string(kind);
        const auto written = write_latency(folder, of, latency_of(run.measured.sites[site], kind));
        if (!written) return written;
      }
    }
  }
  return {};
}

}  // namespace

Result<void> ReportDirectory::open(const std::string& path) {
  if (path.empty()) return {};
  path_ = path;
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) return cannot(path_, error);
  const bool empty = fs::is_empty(path_, error);
  if (error) return cannot(path_, error);
  if (!empty && !has_report(path_)) {
    return fail(ErrorCode::kInvalidArgument,
                path_ +
                    " has files that are no report. Name an empty directory, a new one, or one "
                    "with an earlier report, with --out.");
  }
  for (const char* folder : {"histograms", "figures"}) {
    fs::create_directories(fs::path(path_) / folder, error);
    if (error) return cannot(path_, error);
  }
  if (::access(path_.c_str(), W_OK) != 0) {
    return cannot(path_, std::error_code(errno, std::generic_category()));
  }
  return {};
}

Result<std::string> ReportDirectory::write(const WanOptions& options, const WanPlan& plan,
                                           const WanResult& result) const {
  if (path_.empty()) return std::string();
  const fs::path directory(path_);
  remove_rest(directory);
  const std::vector<Figure> figures = figures_of(result, plan.faults);
  for (const auto& written :
       {write_file(directory / "results.json", to_json(options, result)),
        write_file(directory / "results.csv", to_csv(options, result)),
        write_file(directory / "summary.txt", to_text(options, result) + gaps_text(plan, result)),
        write_file(directory / "series.csv", to_series(plan, result)),
        write_histograms(directory / "histograms", options, result)}) {
    if (!written) return fail(written.error());
  }
  for (const Figure& figure : figures) {
    const auto written = write_file(directory / "figures" / (figure.name + ".gp"), figure.script);
    if (!written) return fail(written.error());
  }
  const Result<std::string> gnuplot = gnuplot_program();
  if (!gnuplot) return "report.html was not written: " + gnuplot.error().message + ".";
  std::vector<DrawnFigure> all;
  for (const Figure& figure : figures) {
    const Result<std::string> svg = draw(*gnuplot, directory / "figures" / (figure.name + ".gp"));
    if (!svg) return "report.html was not written: " + svg.error().message;
    all.push_back({figure, inline_svg(*svg, figure)});
  }
  const auto written = write_file(directory / "report.html", to_page(options, result, all));
  if (!written) return fail(written.error());
  return std::string();
}

}  // namespace epaxos::bench
