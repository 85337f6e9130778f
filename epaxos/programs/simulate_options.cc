#include "epaxos/programs/simulate_options.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <vector>

#include <CLI/CLI.hpp>

#include "deps/types/nearest_name.h"
#include "epaxos/programs/command_line.h"
#include "epaxos/programs/every_program.h"

namespace epaxos {
namespace {

constexpr const char* kFooter = R"(
Each seed is a cluster, a load and a selection of faults of its own; the same seed runs the same way
everywhere. The first violation ends the run, with the line that shows it again.

Exit status:
  0  all runs hold
  1  a run does not, or --profile nightly never reached a part of the protocol that it must reach
  2  the command line is wrong
  3  interrupted; what was run until then holds
  4  all runs hold, but the result could not be written to the standard output)";

bool read_number(std::string_view text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

/// "7" or "1..300".
std::string read_seeds(const std::string& text, SimulateOptions& options) {
  const std::size_t dots = text.find("..");
  const std::string first = text.substr(0, dots);
  const std::string last = dots == std::string::npos ? first : text.substr(dots + 2);
  if (!read_number(first, options.first_seed) || !read_number(last, options.last_seed) ||
      options.first_seed > options.last_seed) {
    return "Seeds are one number or a range like 1..300, not \"" + text + "\".";
  }
  if (options.last_seed - options.first_seed == ~std::uint64_t{0}) {
    return "Seeds are at most 2^64 - 1 at once: leave one out.";
  }
  return {};
}

std::string check_replicas(const std::string& text) {
  std::uint64_t replicas = 0;
  if (text == "swarm") return {};
  if (read_number(text, replicas) && replicas >= 1 && replicas <= kReplicasMax) return {};
  return "Replicas are 1 to 9, or \"swarm\" to draw them.";
}

// Bugs of the host, its images and the session table.
constexpr Mutant kMutantsOfEveryCore[] = {
    Mutant::kGateOpensOnSubmit, Mutant::kOldLifeHeard,         Mutant::kReplyBeforeDurable,
    Mutant::kLocalReads,        Mutant::kReplyAtCommit,        Mutant::kCoverageAfterState,
    Mutant::kErasesBeforeKept,  Mutant::kImageWithoutSessions, Mutant::kRetryRunsAgain,
};

/// What is wrong with the name of a known bug.
std::string about_mutant(const std::string& name) {
  std::vector<std::string_view> names{"none"};
  for (const MutantInfo& info : mutants()) names.push_back(info.name);
  if (std::ranges::find(names, name) != names.end()) return {};
  const std::string_view nearest = nearest_name(name, names);
  return "\"" + name + "\" is no known bug. " +
         (nearest.empty() ? "Run \"epaxos-sim --list-mutants\" for all of them."
                          : "Did you mean \"" + std::string(nearest) + "\"?");
}

/// A bug of another protocol would do nothing: a sentence that names those that can have it.
std::string about_mutant_and_protocol(std::span<const SimulatedProtocol> protocols,
                                      const SimulateOptions& options) {
  const auto known = std::ranges::find(mutants(), options.mutant, &MutantInfo::name);
  if (known == mutants().end()) return {};  // "none".
  if (std::ranges::find(kMutantsOfEveryCore, known->mutant) != std::end(kMutantsOfEveryCore)) {
    return {};
  }
  std::string others;
  for (const SimulatedProtocol& each : protocols) {
    if (std::ranges::find(each.mutants, known->mutant) == each.mutants.end()) continue;
    const std::string& name = each.swarm.protocol.name;
    if (name == options.protocol) return {};
    others += (others.empty() ? "--protocol " : " or ") + name;
  }
  return "\"" + options.mutant + "\" is no bug of " + options.protocol +
         ", where it would do nothing." + (others.empty() ? "" : " Add " + others + ".");
}

/// Seeds, one seed, or one plan.
void describe_runs(CLI::App& app, SimulateOptions& options) {
  CLI::Option* const seeds =
      app.add_option_function<std::string>(
             "--seeds",
             [&options](const std::string& text) {
               if (const std::string wrong = read_seeds(text, options); !wrong.empty()) {
                 throw CLI::ValidationError(wrong);
               }
             },
             "Which runs, as A..B")
          ->default_str("1..300");
  CLI::Option* const replay = app.add_option_function<std::string>(
      "--replay",
      [&options](const std::string& text) {
        if (!read_number(text, options.first_seed)) {
          throw CLI::ValidationError("--replay takes one seed, a whole number like 7, not \"" +
                                     text + "\".");
        }
        options.last_seed = options.first_seed;
        options.replay = true;
      },
      "Run one seed and tell all about it");
  replay->excludes(seeds);
  CLI::Option* const instead = app.add_option_function<std::string>(
      "--plan",
      [&options](const std::string& text) {
        if (const auto plan = sim::plan_from(text); !plan) {
          throw CLI::ValidationError(plan.error().message);
        }
        options.plan = text;
        options.first_seed = options.last_seed = sim::plan_from(text)->seed;
        options.replay = true;
      },
      "The same with a plan, as it was printed");
  instead->check(refuse_empty)->excludes(seeds)->excludes(replay);
}

void describe(CLI::App& app, SimulateOptions& options,
              std::span<const SimulatedProtocol> protocols) {
  explain_mistakes(app);
  app.set_version_flag("--version", version_line("epaxos-sim"), "Print the version");
  std::vector<std::string> names;
  for (const SimulatedProtocol& each : protocols) names.push_back(each.swarm.protocol.name);
  options.protocol = names.front();
  app.add_option("--protocol", options.protocol, "Who decides")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  app.add_option("--replicas", options.replicas, "How many, 1 to 9, or swarm: drawn")
      ->check(check_replicas)
      ->capture_default_str();
  describe_runs(app, options);
  app.add_option("--profile", options.profile, "smoke (short runs) or nightly (long ones)")
      ->check(CLI::IsMember({"smoke", "nightly"}))
      ->capture_default_str();
  app.add_option("--mutant", options.mutant,
                 "A known bug that is switched on; --list-mutants names them")
      ->check(about_mutant)
      ->type_name("NAME")
      ->capture_default_str();
  app.add_flag("--list-mutants", options.list_mutants, "Only print the known bugs");
  app.add_flag("--shrink", options.shrink,
               "Make the plan of the first seed that fails as small as possible");
  app.add_option("--chronicle", options.chronicle,
                 "A file for all that happens in the run that is replayed, or that --shrink leaves "
                 "(then out/shrunk-SEED.txt without it)")
      ->check(refuse_empty);
  app.add_option("--trace", options.trace,
                 "A file for the lives of the commands of the run that is replayed, as a trace for "
                 "ui.perfetto.dev")
      ->check(refuse_empty);
  app.add_flag_callback(
      "--no-permanent-faults", [&options] { options.permanent_faults = false; },
      "No replica is gone for good, and no disk forgets");
  app.add_flag("--images", options.always_images,
               "Every run, not every second one, makes images and drops what all have executed");
  app.add_option("--jobs", options.jobs, "Processes at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "End after this time, whatever seeds are left")
      ->check(CLI::Range(1, 1'000'000));
  app.add_flag("--keep-going", options.keep_going, "Do not stop at the first violation");
  app.add_flag("--json", options.json, "Print the result as JSON");
  app.add_option("--ledger", options.ledger, "Append the result as a row to a table in this file")
      ->check(refuse_empty);
  app.footer(kFooter);
}

}  // namespace

sim::SwarmLimits SimulateOptions::limits() const {
  sim::SwarmLimits limits;
  limits.profile = profile == "nightly" ? sim::Profile::kNightly : sim::Profile::kSmoke;
  if (replicas != "swarm") limits.replicas = std::stoi(replicas);
  limits.permanent_faults = permanent_faults;
  limits.always_images = always_images;
  return limits;
}

std::string SimulateOptions::common() const {
  return "epaxos-sim --protocol " + protocol + (mutant == "none" ? "" : " --mutant " + mutant);
}

std::string SimulateOptions::replay_line(std::uint64_t seed) const {
  return common() + " --replicas " + replicas + " --profile " + profile +
         (permanent_faults ? "" : " --no-permanent-faults") + (always_images ? " --images" : "") +
         " --replay " + std::to_string(seed);
}

std::string SimulateOptions::replay_line(const sim::SwarmPlan& smaller) const {
  return common() + " --plan '" + to_text(smaller) + "'";
}

std::optional<SimulateOptions> read_simulate_options(std::span<const SimulatedProtocol> protocols,
                                                     int argc, const char* const* argv,
                                                     int& exit_status) {
  CLI::App app("epaxos-sim: runs clusters in virtual time under faults, and checks them.",
               "epaxos-sim");
  SimulateOptions options;
  describe(app, options, protocols);
  try {
    app.parse(argc, argv);
    if (const std::string wrong = about_mutant_and_protocol(protocols, options); !wrong.empty()) {
      throw CLI::ValidationError("--mutant", wrong);
    }
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? kSimulateAllHold : kSimulateBadUsage;
    return std::nullopt;
  }
  if (!options.chronicle.empty() && !options.shrink && !options.replay) {
    std::fputs("epaxos-sim: --chronicle tells of one run: it needs --replay, --plan or --shrink.\n",
               stderr);
    exit_status = kSimulateBadUsage;
    return std::nullopt;
  }
  if (!options.trace.empty() && !options.replay) {
    std::fputs("--trace draws one run: it needs --replay or --plan.\n", stderr);
    exit_status = kSimulateBadUsage;
    return std::nullopt;
  }
  return options;
}

}  // namespace epaxos
