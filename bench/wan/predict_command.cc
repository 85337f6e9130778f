// `epaxos-bench predict`: the command line.

#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/report/result_file.h"
#include "bench/subcommands.h"
#include "bench/wan/predict_report.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {
namespace {

int run(const PredictOptions& options) {
  const Result<Prediction> prediction = predict(options);
  if (!prediction) {
    complain("predict", prediction.error().message);
    return 2;
  }
  ResultFile csv("--csv");
  ResultFile json("--json");
  const auto opened = ResultFile::open_all({{csv, options.csv}, {json, options.json}});
  if (!opened) return complain("predict", opened.error().message);
  std::fputs(to_text(options, *prediction).c_str(), stdout);
  for (const auto& done :
       {csv.write(to_csv(*prediction)), json.write(to_json(options, *prediction))}) {
    if (!done) return complain("predict", done.error().message);
  }
  return 0;
}

constexpr const char* kPredictFooter = R"(
Nothing runs: what is printed follows from the delays and from how many answers each protocol waits
for. docs/wan.md has the formulae and the format of topology files.

Exit status: 0 all went well, 1 the command line is wrong or a file cannot be written, 2 the
topology or what is asked of it is wrong.)";

}  // namespace

void add_predict(CLI::App& app, int& status) {
  auto options = std::make_shared<PredictOptions>();
  auto* const sub = app.add_subcommand("predict", "What latency is possible on a matrix of delays");
  add_place_options(*sub, options->places);
  sub->add_option("--down", options->down, "Sites whose replicas are down")->delimiter(',');
  sub->add_option("--q2", options->phase2, "Flexible quorums too: so many choose (phase 2)")
      ->check(number(1, kReplicasMax, "a quorum has 1 to 9 replicas."));
  sub->add_option("--csv", options->csv, "A file for all bounds as CSV")->check(refuse_empty);
  sub->add_option("--json", options->json, "A file for everything as JSON")->check(refuse_empty);
  sub->footer(kPredictFooter);
  sub->callback([options, &status] { status = run(*options); });
}

}  // namespace epaxos::bench
