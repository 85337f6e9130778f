#include "bench/compare/report.h"

#include "bench/compare/figures.h"
#include "bench/compare/words.h"
#include "bench/report/latency.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

std::string whole(double number) {
  return grouped(static_cast<std::uint64_t>(number + 0.5));
}

/// As many decimals as say something.
std::string short_number(double number) {
  return fixed(number, number < 0.1 ? 3 : number < 10 ? 2 : number < 100 ? 1 : 0);
}

bool is_known(const Combination& combination, const Figure& figure) {
  return !figure.inside || combination.contender.protocol != kEtcd;
}

/// Of one figure of a combination.
Spread over_runs(const Combination& combination, FigurePlace place) {
  return spread_of(combination.runs, figures()[place]);
}

std::string range(const Spread& spread) {
  return whole(spread.least) + " .. " + whole(spread.most);
}

std::vector<std::string> cells(const Combination& c) {
  const auto median = [&c](FigurePlace place) { return over_runs(c, place).median; };
  const auto inside = [&](FigurePlace place) {
    return is_known(c, figures()[place]) ? short_number(median(place)) : "-";
  };
  const bool writes = c.durability != Durability::kNone;
  return {std::string(to_string(c.durability)),
          std::to_string(c.value_bytes) + " B",
          std::to_string(c.in_flight),
          to_string(c.contender),
          whole(median(kCommandsPerSecond)),
          c.runs.size() > 1 ? range(over_runs(c, kCommandsPerSecond)) : "-",
          milliseconds(median(kP50)),
          milliseconds(median(kP99)),
          short_number(median(kCpu)),
          inside(kFrames),
          inside(kBundles),
          whole(median(kBytes)),
          writes ? short_number(median(kBatches)) : "-",
          writes ? whole(median(kBatchesPerSecond)) : "-"};
}

bool same_load(const Combination& a, const Combination& b) {
  return a.durability == b.durability && a.value_bytes == b.value_bytes &&
         a.in_flight == b.in_flight;
}

/// What stands before the figures, in CSV; and its names.
constexpr const char* kLoadNames = "protocol,conflicts_percent,durability,value_bytes,in_flight";

template <class Load>
std::string csv_of_load(const Load& load) {
  return load.contender.protocol + "," + std::to_string(load.contender.conflict_percent) + "," +
         std::string(to_string(load.durability)) + "," + std::to_string(load.value_bytes) + "," +
         std::to_string(load.in_flight);
}

template <class Load>
Json json_of_load(const Load& load) {
  return {{"protocol", load.contender.protocol},
          {"conflicts_percent", load.contender.conflict_percent},
          {"durability", to_string(load.durability)},
          {"value_bytes", load.value_bytes},
          {"in_flight", load.in_flight},
          {"runs", load.runs.size()}};
}

std::string spread_csv(const Spread& spread) {
  std::string out;
  for (const double value : {spread.median, spread.least, spread.most}) {
    out += "," + fixed(value, 3);
  }
  return out;
}

Json spread_json(const Spread& spread) {
  return {{"median", spread.median}, {"least", spread.least}, {"most", spread.most}};
}

std::string names_csv(const std::string& name) {
  return "," + name + "," + name + "_least," + name + "_most";
}

template <class Result>
Json head_json(const CompareOptions& options, const Result& result) {
  return {{"benchmark", options.kill ? "compare --kill" : "compare"},
          {"replicas", options.replicas},
          {"batch", options.batch},
          {"seconds", options.seconds},
          {"repeat", options.repeat},
          {"interrupted", result.interrupted},
          {"trouble", result.trouble}};
}

/// Before and after the loss of a replica.
struct LossSpreads {
  Spread before;      ///< Commands/s.
  Spread after;       ///< Commands/s of those that are left.
  Spread gap_before;  ///< The longest without a completed command at a replica, in us.
  Spread gap;         ///< The same after the kill.
};

LossSpreads spreads_of(const Loss& loss) {
  std::vector<double> before;
  std::vector<double> after;
  std::vector<double> gap_before;
  std::vector<double> gap;
  for (const LossRun& run : loss.runs) {
    before.push_back(run.before.commands_per_second());
    after.push_back(run.after.commands_per_second());
    gap_before.push_back(static_cast<double>(run.before.longest_gap_us));
    gap.push_back(static_cast<double>(run.after.longest_gap_us));
  }
  return {spread_of(before), spread_of(after), spread_of(gap_before), spread_of(gap)};
}

const char* victim(const Loss& loss) {
  if (loss.leader) return "leader";
  return has_leader(loss.contender.protocol) ? "another" : "any";
}

}  // namespace

std::string to_text(const CompareOptions& options, const Matrix& matrix) {
  TextTable table({"durability", ">value", ">in flight", "protocol", ">commands/s",
                   ">least .. most", ">p50 ms", ">p99 ms", ">CPU us", ">frames", ">bundles",
                   ">bytes", ">batches", ">batches/s"});
  const Combination* last = nullptr;
  std::size_t missing = 0;
  for (const Combination& combination : matrix.combinations) {
    if (combination.runs.empty()) {
      ++missing;
      continue;
    }
    if (last != nullptr && !same_load(*last, combination)) table.add_gap();
    last = &combination;
    table.add(cells(combination));
  }
  std::string out = conditions(options) +
                    "A command over all replicas: CPU; to other replicas frames (messages of the "
                    "protocol), bundles (what\ncarries them on the wire) and bytes; batches that "
                    "were made durable at once. Batches/s are those of all.\n\n" +
                    table.text() + "\n";
  if (missing > 0) {
    out += "Not measured: " + std::to_string(missing) + " of " +
           std::to_string(matrix.combinations.size()) + " combinations.\n\n";
  }
  return out + differences(options);
}

std::string to_csv(const Matrix& matrix) {
  std::string out = std::string(kLoadNames) + ",runs";
  for (const Figure& figure : figures()) out += names_csv(figure.name);
  out += "\n";
  for (const Combination& combination : matrix.combinations) {
    if (combination.runs.empty()) continue;
    out += csv_of_load(combination) + "," + std::to_string(combination.runs.size());
    for (const Figure& figure : figures()) {
      const bool known = is_known(combination, figure);
      out += known ? spread_csv(spread_of(combination.runs, figure)) : ",,,";
    }
    out += "\n";
  }
  return out;
}

std::string to_json(const CompareOptions& options, const Matrix& matrix) {
  Json json = head_json(options, matrix);
  json["combinations"] = Json::array();
  for (const Combination& combination : matrix.combinations) {
    if (combination.runs.empty()) continue;
    Json one = json_of_load(combination);
    for (const Figure& figure : figures()) {
      const bool known = is_known(combination, figure);
      one[figure.name] = known ? spread_json(spread_of(combination.runs, figure)) : Json();
    }
    json["combinations"].push_back(std::move(one));
  }
  return json.dump(1) + "\n";
}

std::string to_text(const CompareOptions& options, const Losses& losses) {
  TextTable table({"load", "protocol", "killed", ">commands/s", ">gap ms", ">commands/s after",
                   ">gap ms after", ">least .. most"});
  for (const Loss& loss : losses.losses) {
    if (loss.runs.empty()) continue;
    const LossSpreads s = spreads_of(loss);
    const Spread ms{s.gap.median, s.gap.least / 1000, s.gap.most / 1000};
    table.add({std::string(to_string(loss.durability)) + ", " + std::to_string(loss.value_bytes) +
                   " B, " + std::to_string(loss.in_flight) + " in flight",
               to_string(loss.contender), victim(loss), whole(s.before.median),
               milliseconds(s.gap_before.median), whole(s.after.median), milliseconds(s.gap.median),
               loss.runs.size() > 1 ? range(ms) : "-"});
  }
  return conditions(options) +
         "One replica is killed with -9. Gap: the longest time without an executed command at one "
         "of the replicas\nthat are left (before the kill: at any). Commands/s after: of those "
         "that "
         "are left, the gap among it.\n\n" +
         table.text() + "\n" + differences(options);
}

std::string to_csv(const Losses& losses) {
  std::string out = std::string(kLoadNames) + ",killed,runs";
  for (const char* name : {"commands_per_second_before", "longest_gap_us_before",
                           "commands_per_second_after", "longest_gap_us_after"}) {
    out += names_csv(name);
  }
  out += "\n";
  for (const Loss& loss : losses.losses) {
    if (loss.runs.empty()) continue;
    const LossSpreads s = spreads_of(loss);
    out += csv_of_load(loss) + "," + victim(loss) + "," + std::to_string(loss.runs.size());
    for (const Spread& spread : {s.before, s.gap_before, s.after, s.gap}) out += spread_csv(spread);
    out += "\n";
  }
  return out;
}

std::string to_json(const CompareOptions& options, const Losses& losses) {
  Json json = head_json(options, losses);
  json["losses"] = Json::array();
  for (const Loss& loss : losses.losses) {
    if (loss.runs.empty()) continue;
    const LossSpreads s = spreads_of(loss);
    Json one = json_of_load(loss);
    one["killed"] = victim(loss);
    one["commands_per_second_before"] = spread_json(s.before);
    one["longest_gap_us_before"] = spread_json(s.gap_before);
    one["commands_per_second_after"] = spread_json(s.after);
    one["longest_gap_us_after"] = spread_json(s.gap);
    json["losses"].push_back(std::move(one));
  }
  return json.dump(1) + "\n";
}

}  // namespace epaxos::bench
