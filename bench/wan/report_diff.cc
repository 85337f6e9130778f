#include "bench/wan/report_diff.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "bench/report/latency.h"
#include "bench/wan/repeats.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

/// Histograms of both results are off by 0.1 % at most.
constexpr double kNoise = 0.002;
constexpr const char* kNothingInCommon =
    "There is nothing that both have, so nothing was compared. Name two results with the same "
    "protocols, leaders, sites and kinds of commands.\n";
/// Shown at most; the others are counted.
constexpr std::size_t kShown = 40;
/// What describes the conditions, apart from the seed: that is chance.
constexpr const char* kConditions[] = {"version",     "mode",
                                       "topology",    "one_way_us",
                                       "replicas",    "clients",
                                       "think_us",    "rate",
                                       "arrival",     "in_flight_max",
                                       "increments",  "conflicts_percent",
                                       "value_bytes", "warm_up_us",
                                       "measured_us", "jitter_us",
                                       "loss",        "bytes_per_second",
                                       "faults",      "hot_key_limit",
                                       "durability",  "batch",
                                       "ycsb",        "reads_percent",
                                       "reads_by",    "zipf_theta",
                                       "keys",        "latency_before_faults",
                                       "thrifty"};

/// Of commands of one kind: throws as figures_of() does.
void add_figures(const Json& json, const std::string& of, WanFigures& all) {
  for (const char* phase : {"commit", "execution"}) {
    for (const char* percentile : {"p50", "p99"}) {
      const Json& values = json.at(phase).at("of_each_run").at(std::string(percentile) + "_ms");
      all.figures.push_back({of + phase + " " + percentile, values.get<std::vector<double>>()});
    }
  }
}

/// Throws what nlohmann::json throws where the text is something else.
WanFigures figures_of(const Json& json) {
  WanFigures all;
  for (const char* name : kConditions) {
    if (json.contains(name)) all.conditions.emplace_back(name, json.at(name).dump());
  }
  all.repeat = json.at("repeat").get<std::size_t>();
  all.interrupted = json.value("interrupted", false);
  for (const Json& run : json.at("runs")) {
    std::string name = run.at("protocol").get<std::string>();
    if (run.at("leader").is_string()) name += " led from " + run.at("leader").get<std::string>();
    for (const Json& site : run.at("sites")) {
      const std::string at = name + " at " + site.at("site").get<std::string>() + ", ";
      if (!site.contains("reads")) {
        add_figures(site, at, all);
        continue;
      }
      for (const char* kind : {"reads", "writes"}) {
        add_figures(site.at(kind), at + kind + ", ", all);
      }
    }
  }
  if (all.interrupted) {
    // As many as began, of the protocol with the fewest.
    for (const Figures& figure : all.figures) {
      if (!figure.ms.empty()) all.repeat = std::min(all.repeat, figure.ms.size());
    }
  }
  return all;
}

/// "raft led from CA at VA", "epaxos at VA, reads".
std::string place_of(const std::string& what) {
  return what.substr(0, what.rfind(','));
}

void add_once(std::vector<std::string>& sentences, const std::string& sentence) {
  if (std::ranges::find(sentences, sentence) == sentences.end()) sentences.push_back(sentence);
}

double relative(const WanDiff::Change& change) {
  return median_of(change.after_ms) / median_of(change.before_ms) - 1;
}

bool lie_apart(const std::vector<double>& one, const std::vector<double>& other) {
  const auto below = [](const std::vector<double>& low, const std::vector<double>& high) {
    return *std::ranges::max_element(low) * (1 + kNoise) < *std::ranges::min_element(high);
  };
  return below(one, other) || below(other, one);
}

std::string range_text(const std::vector<double>& ms) {
  if (ms.size() == 1) return fixed(ms.front(), 1);
  return fixed(median_of(ms), 1) + " (" + fixed(*std::ranges::min_element(ms), 1) + ".." +
         fixed(*std::ranges::max_element(ms), 1) + ")";
}

std::string conclusion(const WanDiff& diff) {
  const std::string compared = grouped(diff.compared) + " figures were compared";
  const std::size_t fewer = std::min(diff.before_runs, diff.after_runs);
  const std::size_t more = std::max(diff.before_runs, diff.after_runs);
  if (fewer == 1) {
    return compared +
           ". One result has one run only, which says nothing of how much runs differ; what is "
           "listed may be chance. Measure both with --repeat 5.\n";
  }
  const double chance = chance_to_lie_apart(fewer, more);
  return compared + ". A change is where all runs of one result are below all of the other. With " +
         std::to_string(fewer) + (fewer == more ? "" : " and " + std::to_string(more)) +
         " runs that happens by chance to " +
         fixed(100 * chance, chance < 0.01  ? 2
                             : chance < 0.1 ? 1
                                            : 0) +
         " % of the figures that vary" + (chance > 0.05 ? "; --repeat 5 makes it 0.8 %" : "") +
         ".\n";
}

}  // namespace

Result<WanFigures> read_figures(const std::string& text, const std::string& path) {
  const Failure wrong = fail(ErrorCode::kInvalidArgument,
                             path +
                                 " is no result of wan. Write one with: epaxos-bench wan ... "
                                 "--json " +
                                 path);
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("benchmark") || json.at("benchmark") != "wan") {
    return wrong;
  }
  try {
    return figures_of(json);
  } catch (const Json::exception&) {
    return wrong;
  }
}

WanDiff diff(const WanFigures& before, const WanFigures& after) {
  WanDiff diff;
  diff.before_runs = before.repeat;
  diff.after_runs = after.repeat;
  diff.before_interrupted = before.interrupted;
  diff.after_interrupted = after.interrupted;
  const std::map<std::string, std::string> conditions(after.conditions.begin(),
                                                      after.conditions.end());
  for (const auto& [name, value] : before.conditions) {
    const auto other = conditions.find(name);
    if (other == conditions.end() || other->second == value) continue;
    const bool is_long = value.size() + other->second.size() > 120;
    diff.conditions.push_back(is_long ? name : name + ": " + value + ", then " + other->second);
  }
  std::map<std::string, std::vector<double>> left;
  for (const Figures& figure : after.figures) {
    if (!figure.ms.empty()) left[figure.what] = figure.ms;
  }
  for (const Figures& figure : before.figures) {
    if (figure.ms.empty()) continue;
    const auto other = left.find(figure.what);
    if (other == left.end()) {
      add_once(diff.only_one, "Only before: " + place_of(figure.what) + ".");
      continue;
    }
    ++diff.compared;
    if (lie_apart(figure.ms, other->second)) {
      diff.changes.push_back({figure.what, figure.ms, other->second});
    }
    left.erase(other);
  }
  for (const auto& [what, values] : left) {
    add_once(diff.only_one, "Only after: " + place_of(what) + ".");
  }
  std::ranges::stable_sort(diff.changes, std::ranges::greater(), [](const WanDiff::Change& change) {
    return std::abs(relative(change));
  });
  return diff;
}

double chance_to_lie_apart(std::size_t runs, std::size_t others) {
  // Of all ways to deal the values to two sides, two have all of one side below the other.
  double ways = 1;
  for (std::size_t i = 1; i <= runs; ++i) {
    ways *= static_cast<double>(others + i) / static_cast<double>(i);
  }
  return 2 / ways;
}

std::string to_text(const WanDiff& diff) {
  std::string out;
  for (const auto& [interrupted, which] :
       {std::pair(diff.before_interrupted, "before"), std::pair(diff.after_interrupted, "after")}) {
    if (!interrupted) continue;
    out += std::string("The measurement ") + which +
           " was interrupted: it holds fewer runs or commands than its conditions say.\n";
  }
  for (const std::string& condition : diff.conditions) {
    out += "Conditions differ: " + condition + ".\n";
  }
  for (std::size_t i = 0; i < std::min(diff.only_one.size(), kShown); ++i) {
    out += diff.only_one[i] + "\n";
  }
  if (diff.only_one.size() > kShown) {
    out += "Only in one: " + grouped(diff.only_one.size() - kShown) + " more.\n";
  }
  if (!out.empty()) out += "\n";
  if (diff.changes.empty()) {
    if (diff.compared == 0) return out + kNothingInCommon;
    out += "Nothing changed.\n";
  } else {
    TextTable table({"ms", ">before", ">after", ">change"});
    for (std::size_t i = 0; i < std::min(diff.changes.size(), kShown); ++i) {
      const WanDiff::Change& change = diff.changes[i];
      const double percent = 100 * relative(change);
      table.add({change.what, range_text(change.before_ms), range_text(change.after_ms),
                 (percent > 0 ? "+" : "") + fixed(percent, 1) + " %"});
    }
    out += table.text();
    if (diff.changes.size() > kShown) {
      out += "and " + grouped(diff.changes.size() - kShown) + " smaller changes\n";
    }
  }
  return out + "\n" + conclusion(diff);
}

}  // namespace epaxos::bench
