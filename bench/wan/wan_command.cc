// `epaxos-bench wan`: the command line.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "bench/client/load_options.h"
#include "bench/report/arguments.h"
#include "bench/report/duration_option.h"
#include "bench/report/result_file.h"
#include "bench/subcommands.h"
#include "bench/throughput/group_arguments.h"
#include "bench/throughput/protocols.h"
#include "bench/wan/gate_argument.h"
#include "bench/wan/report_directory.h"
#include "bench/wan/timeline_report.h"
#include "bench/wan/wan_report.h"
#include "epaxos/programs/child_process.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {
namespace {

std::string interruption_text(const WanOptions& options, const WanResult& result) {
  const MeasuredRun& last = result.runs.back().repeats.back();
  const bool has_any = std::ranges::any_of(last.sites, [](const SiteLatency& site) {
    return site.execution_us.count() + site.failed > 0;
  });
  std::string text = has_any ? "interrupted: the last run holds what was measured until then"
                             : "interrupted: nothing of the last run was measured yet";
  if (options.run.check_linearizability) text += ", and its history was not checked";
  return text + ".";
}

/// A trace that lacks something says so.
void complain_of_gaps(const WanPlan& plan, const WanResult& result) {
  for (const WanRun& run : result.runs) {
    for (const MeasuredRun& one : run.repeats) {
      if (one.untraced == 0) continue;
      complain("wan", "the trace of " + name_of(plan.places.placement, one.protocol, one.leader) +
                          " lacks " + std::to_string(one.untraced) +
                          " messages and executions, for which there was no room. Trace fewer "
                          "commands with --trace-commands.");
    }
  }
}

int run(const WanOptions& options) {
  const Result<WanPlan> planned = plan(options);
  if (!planned) {
    complain("wan", planned.error().message);
    return 2;
  }
  ResultFile csv("--csv");
  ResultFile json("--json");
  ResultFile series("--series");
  ResultFile trace("--trace");
  const auto files = ResultFile::open_all(
      {{csv, options.csv}, {json, options.json}, {series, options.series}, {trace, options.trace}});
  if (!files) return complain("wan", files.error().message);
  ReportDirectory report;
  if (const auto opened = report.open(options.out); !opened) {
    return complain("wan", opened.error().message);
  }
  catch_interrupts();
  const Result<WanResult> result = run_wan(options, *planned, interrupted);
  if (!result) return complain("wan", result.error().message);
  std::fputs(to_text(options, *result).c_str(), stdout);
  std::fputs(gaps_text(*planned, *result).c_str(), stdout);
  std::fflush(stdout);
  for (const auto& written :
       {csv.write(to_csv(options, *result)), json.write(to_json(options, *result)),
        series.write(to_series(*planned, *result)), trace.write(result->trace.json())}) {
    if (!written) return complain("wan", written.error().message);
  }
  complain_of_gaps(*planned, *result);
  const Result<std::string> missing = report.write(options, *planned, *result);
  if (!missing) return complain("wan", missing.error().message);
  if (!missing->empty()) complain("wan", *missing);
  if (!result->failure.empty()) {
    return complain("wan", result->failure + " What was measured before stands above.");
  }
  if (result->interrupted) {
    complain("wan", interruption_text(options, *result));
    return kInterrupted;
  }
  const std::vector<std::string> broken = broken_gates(options, *result);
  for (const std::string& sentence : broken) complain("wan", sentence);
  return broken.empty() ? 0 : kGateBroken;
}

constexpr const char* kWanFooter = R"(
Simulated: the protocols as they run in production, in virtual time, on links with exactly the
delays of the topology; nothing else takes time. A run is the same event by event when the seed is.
Emulated: a process a replica on this machine, in real time, ZeroMQ over 127.0.0.1 between them, and
what each sends is held back for the delay of the link. No root. It needs an idle machine.
Clients are at every site and ask the nearest replica. Commands that are sent while it warms up are
left out, and so are those after the measured time, which go on until all measured ones have ended.

--fault may be given more than once. Times count from the beginning of the measured time:
  'at 30s kill JP'                its clients go on at the nearest replica that lives
  'at 50s restart JP'             with what its disk kept, so it needs --durability sync; its
                                  clients come back when it answers
  'at 40s partition EU|*'         parts separated by |, sites by commas, * the others
  'at 60s slow OR 5x'             whatever the site sends and gets takes five times as long
  'at 70s latency CA-JP +50ms'    in each direction
  'at 80s heal'                   all links are as they were
At the end of the measured time all links are healed, so that what is under way can end.

--zipf, --reads and --ycsb say what is asked for. Reads are measured apart from writes, and their
bound is that of the way they take (--reads-by): log, index or lease.

--assert may be given more than once; it is asked about every site of every run:
  --assert 'p50<=1.01*bound+1ms' --assert 'execution p99<400ms'
Without "commit" or "execution" it is asked about both. docs/wan.md says how to read the table.

Exit status: 0 all went well, 1 the command line is wrong or something failed (what was
measured before is printed and written), 2 the topology or
what is asked of it is wrong, 3 what was asserted does not hold, 130 interrupted; what was measured
until then is printed and written.)";

/// For how long.
void add_time(CLI::App& sub, RunOptions& o) {
  sub.add_option("--duration", o.measured_us, "How long is measured (60s)")
      ->transform(duration(kSecond / 10, 3600 * kSecond, "0.1 seconds to an hour are measured."));
  sub.add_option("--warm-up", o.warm_up_us, "Before (5s)")
      ->transform(duration(kSecond, 3600 * kSecond, "warming up takes 1 second to an hour."));
  sub.add_option("--seed", o.seed, "Of all chance")
      ->check(number(std::uint64_t{0}, ~std::uint64_t{0}, "a seed is a whole number."))
      ->capture_default_str();
}

void add_contenders(CLI::App& sub, WanOptions& o) {
  sub.add_option("--protocols", o.protocols, "Of " + measured_protocols_list())
      ->delimiter(',')
      ->check(measured_protocol())
      ->capture_default_str();
  sub.add_option("--leaders", o.leaders, "Of best, worst, all, and sites")
      ->delimiter(',')
      ->capture_default_str();
}

/// What the clients ask for and when, how EPaxos takes it, and for how long.
void add_load(CLI::App& sub, RunOptions& o, MixOptions& mix) {
  auto* const clients =
      sub.add_option("--clients", o.clients, "At each site, with one command each under way")
          ->check(number(std::size_t{1}, std::size_t{10'000}, "1 to 10000 clients are at a site."))
          ->capture_default_str();
  add_arrival_options(sub, clients, o);
  add_mix_options(sub, o, mix);
  sub.add_flag("--hot-key-limit,!--no-hot-key-limit", o.limit_hot_keys,
               "EPaxos: one undecided instance a replica on a key that others contend for (yes)");
  sub.add_flag(
      "--thrifty", o.thrifty,
      "EPaxos: proposals go to the nearest that can decide; to others if these are silent");
  add_time(sub, o);
}

/// What `least` to `most` of the unit are in the field, as that times `factor`.
template <class Field>
void add_scaled(CLI::App& sub, const std::string& name, Field& field, double factor, double most,
                const std::string& what, const std::string& sentence) {
  sub.add_option_function<double>(
         name, [&field, factor](double value) { field = static_cast<Field>(value * factor); }, what)
      ->check(number(0.0, most, sentence));
}

/// What a replica keeps, and where.
void add_disks(CLI::App& sub, RunOptions& o) {
  add_durability(sub, o.durability);
  sub.add_option("--data", o.data,
                 "Where to keep the data during the run; emulated only (a temporary place)")
      ->check(existing_directory());
}

void add_links(CLI::App& sub, LinkTrouble& o) {
  sub.add_option("--jitter", o.jitter_us, "Up to so much on top of each delay, as 2ms (0)")
      ->transform(
          duration(0, kSecond, "messages are late by 0 to 1 second at most; 2 ms are 2ms."));
  add_scaled(sub, "--loss", o.loss, 0.01, 50,
             "Percent of messages that come 200 ms late, and all behind them with them (0)",
             "0 to 50 percent are lost.");
  add_scaled(sub, "--bandwidth", o.bytes_per_second, 1e6 / 8, 1e6,
             "Mbit/s of each link in each direction; emulated only (0: any)",
             "a link takes up to 1000000 Mbit/s; 0: as many as come.");
}

}  // namespace

void add_wan(CLI::App& app, int& status) {
  auto options = std::make_shared<WanOptions>();
  auto mode = std::make_shared<std::string>("simulated");
  auto check = std::make_shared<std::string>();
  auto gates = std::make_shared<std::vector<std::string>>();
  auto mix = std::make_shared<MixOptions>();
  auto* const sub = app.add_subcommand("wan", "Latency at every site beside what is possible");
  sub->add_option("--mode", *mode, "simulated: in virtual time; emulated: processes, in real time")
      ->check([](const std::string& text) {
        const bool known = text == "simulated" || text == "emulated";
        return known ? std::string()
                     : "\"" + text + "\" is not accepted: the mode is simulated or emulated.";
      })
      ->capture_default_str();
  add_place_options(*sub, options->places);
  add_contenders(*sub, *options);
  add_load(*sub, options->run, *mix);
  add_disks(*sub, options->run);
  sub->add_option("--repeat", options->repeat, "Runs of each, with the next seed each time")
      ->check(number(std::size_t{1}, std::size_t{100}, "each runs 1 to 100 times."))
      ->capture_default_str();
  add_links(*sub, options->run.links);
  sub->add_option("--check", *check, "linearizability: of the whole history of each run, simulated")
      ->check([](const std::string& text) {
        return text == "linearizability"
                   ? std::string()
                   : "\"" + text + "\" is not accepted: what can be checked is linearizability.";
      });
  sub->add_option("--assert", *gates, "What every site must hold, as 'p50<=1.01*bound+1ms'")
      ->check(gate_argument());
  sub->add_option("--fault", options->faults, "What goes wrong when, as 'at 30s kill JP'")
      ->check(refuse_empty);
  sub->add_flag("--latency-before-faults", options->run.latency_before_faults,
                "Latencies are those of commands that ended before the first fault")
      ->needs("--fault");
  sub->add_option("--csv", options->csv, "A file for the figures as CSV")->check(refuse_empty);
  sub->add_option("--json", options->json, "A file for everything as JSON")->check(refuse_empty);
  sub->add_option("--series", options->series, "A file for commands and latency second by second")
      ->check(refuse_empty);
  auto* const trace = sub->add_option("--trace", options->trace,
                                      "A file for the lives of the first commands, as a trace for "
                                      "ui.perfetto.dev")
                          ->check(refuse_empty);
  sub->add_option("--trace-commands", options->run.traced_commands_max,
                  "Of --trace: so many commands of each run, from the measured time on")
      ->check(number(std::size_t{1}, kTracedCommandsMax, "1 to 100000 commands are traced."))
      ->needs(trace)
      ->capture_default_str();
  sub->add_option("--out", options->out, "A directory for a report with figures")
      ->check(refuse_empty);
  sub->footer(kWanFooter);
  sub->callback([options, mode, check, gates, mix, &status] {
    options->run.check_linearizability = !check->empty();
    if (*mode == "emulated") options->mode = WanMode::kEmulated;
    for (const std::string& text : *gates) options->gates.push_back(*Gate::parse(text));
    if (const auto taken = take_mix(*mix, options->run); !taken) {
      complain("wan", taken.error().message);
      status = 2;
      return;
    }
    status = run(*options);
  });
}

}  // namespace epaxos::bench
