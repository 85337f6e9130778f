#include "bench/away/report.h"

#include "bench/report/latency.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

std::string mebibytes(std::uint64_t bytes) {
  return grouped((bytes + (1 << 19)) >> 20);
}

std::string whole(double number) {
  return grouped(static_cast<std::uint64_t>(number + 0.5));
}

std::string seconds(const std::optional<double>& time) {
  return time ? fixed(*time, 2) + " s" : "-";
}

/// Of the commands/s before.
double share_of_before(const AwayResult& result, const AwayPhase& phase) {
  return per(phase.others.commands_per_second(),
             result.phases.front().others.commands_per_second());
}

std::string heading(const AwayOptions& o, bool interrupted) {
  return o.protocol + ", " + std::to_string(o.replicas) + " replicas, " +
         std::to_string(o.in_flight) + " commands in flight each" +
         (o.rate > 0 ? ", at most " + whole(o.rate) + " a second each" : "") + ", up to " +
         std::to_string(o.batch) + " an instance,\n" + std::to_string(o.value_bytes) +
         "-byte values, " + std::to_string(o.conflict_percent) + " % on one key, durability " +
         std::string(to_string(o.durability)) + (interrupted ? ", interrupted" : "") + "\n" + "R" +
         std::to_string(o.replicas - 1) +
         " is killed and started again. Of the others, together: commands/s and their share of\n"
         "that before; latency, and the longest time that one of them completed nothing; memory,\n"
         "disk, and records on it in MiB at the end. CPU: us a command, all that run.\n\n";
}

std::string table(const AwayResult& result) {
  TextTable table({"phase", ">seconds", ">commands/s", ">share", ">p50 ms", ">p99 ms", ">gap ms",
                   ">CPU us", ">memory", ">disk", ">records"});
  for (const AwayPhase& phase : result.phases) {
    const Window& others = phase.others;
    table.add({phase.name, fixed(others.seconds, 2), whole(others.commands_per_second()),
               fixed(100 * share_of_before(result, phase), 0) + " %",
               milliseconds(others.latency_us, 0.5), milliseconds(others.latency_us, 0.99),
               fixed(static_cast<double>(others.longest_gap_us) / 1000, 1),
               fixed(phase.everybody.cpu_us_per_command(), 2), mebibytes(phase.resident_bytes),
               mebibytes(phase.store_bytes), mebibytes(phase.record_bytes)});
  }
  return table.text();
}

std::string way_back(const Return& back) {
  const auto rate = back.commands_per_second();
  const std::string images = back.images_installed == 0 ? "no image"
                             : back.images_installed == 1
                                 ? "1 image"
                                 : grouped(back.images_installed) + " images";
  return "\nmissed      " + grouped(back.missed) + " commands while away, " + grouped(back.behind) +
         " more until it had caught up" + "\nopen after  " + seconds(back.open_s) +
         "\nvotes after " +
         (back.vote_s ? seconds(back.vote_s)
                      : "-; it did not vote, so it took no part in the load again") +
         "\ncaught up   " + (back.caught_up_s ? "after " + seconds(back.caught_up_s) : "-") +
         (rate ? ", " + whole(*rate) + " commands/s" : "") + "\nreceived    " +
         mebibytes(back.bytes_in) + " MiB; " + images + ", and " +
         grouped(back.instances_executed) + " instances one by one\n";
}

Json json_of(const AwayResult& result, const AwayPhase& phase) {
  const Window& others = phase.others;
  return {{"phase", phase.name},
          {"seconds", others.seconds},
          {"commands", others.commands},
          {"failed", others.failed},
          {"commands_per_second", others.commands_per_second()},
          {"share_of_before", share_of_before(result, phase)},
          {"p50_us", others.latency_us.percentile(0.5)},
          {"p99_us", others.latency_us.percentile(0.99)},
          {"longest_gap_us", others.longest_gap_us},
          {"commands_per_second_of_all", phase.everybody.commands_per_second()},
          {"cpu_us_per_command_of_all", phase.everybody.cpu_us_per_command()},
          {"memory_bytes", phase.resident_bytes},
          {"store_bytes", phase.store_bytes},
          {"record_bytes", phase.record_bytes}};
}

Json number_or_null(const std::optional<double>& number) {
  return number ? Json(*number) : Json(nullptr);
}

Json json_of(const Return& back) {
  return {{"commands_missed", back.missed},
          {"commands_meanwhile", back.behind},
          {"open_seconds", number_or_null(back.open_s)},
          {"vote_seconds", number_or_null(back.vote_s)},
          {"caught_up_seconds", number_or_null(back.caught_up_s)},
          {"catching_up_commands_per_second", number_or_null(back.commands_per_second())},
          {"lag_instances", back.lag},
          {"bytes_received", back.bytes_in},
          {"images_installed", back.images_installed},
          {"instances_executed", back.instances_executed}};
}

/// A JSON value as a field of CSV: names and numbers here, none of which needs quotes.
std::string field(const Json& value) {
  if (value.is_null()) return {};
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::string failure_of(const AwayResult& result) {
  if (!result.trouble.empty()) return result.trouble;
  if (result.interrupted) return {};
  if (result.returned && !result.returned->caught_up_s) {
    return "The replica that was away had not caught up " + fixed(result.returned->seconds, 0) +
           " s after its start: it lags by " + grouped(result.returned->lag) +
           " instances. --rate leaves it more time.";
  }
  return result.rest ? failure_of(*result.rest, result.kept_directory) : std::string();
}

std::string to_text(const AwayOptions& options, const AwayResult& result) {
  std::string text = heading(options, result.interrupted) + table(result);
  if (result.returned) text += way_back(*result.returned);
  if (result.rest && failure_of(result).empty()) {
    text += "digests     equal: " + hexadecimal(result.rest->digests.front()) + "\n";
  }
  return text;
}

std::string to_json(const AwayOptions& options, const AwayResult& result) {
  Json json = {{"benchmark", "away"},
               {"protocol", options.protocol},
               {"replicas", options.replicas},
               {"in_flight", options.in_flight},
               {"batch", options.batch},
               {"value_bytes", options.value_bytes},
               {"conflict_percent", options.conflict_percent},
               {"rate", options.rate},
               {"durability", to_string(options.durability)},
               {"interrupted", result.interrupted},
               {"phases", Json::array()},
               {"returned", nullptr}};
  for (const AwayPhase& phase : result.phases) json["phases"].push_back(json_of(result, phase));
  if (result.returned) json["returned"] = json_of(*result.returned);
  json["digests_equal"] = result.rest && result.rest->at_rest && result.rest->digests_equal;
  json["digests"] = Json::array();
  if (result.rest) {
    for (const auto digest : result.rest->digests) json["digests"].push_back(hexadecimal(digest));
  }
  if (const std::string failure = failure_of(result); !failure.empty()) json["failure"] = failure;
  return json.dump(2) + "\n";
}

std::string to_csv(const AwayResult& result) {
  std::string names;
  std::string lines;
  for (const AwayPhase& phase : result.phases) {
    const bool coming_back = &phase - result.phases.data() == 2;
    Json fields = json_of(result, phase);
    const Json back = json_of(coming_back && result.returned ? *result.returned : Return());
    for (const auto& [name, value] : back.items()) {
      fields["returned_" + name] = coming_back ? value : Json(nullptr);
    }
    std::string line;
    names.clear();
    for (const auto& [name, value] : fields.items()) {
      names += (names.empty() ? "" : ",") + name;
      line += (line.empty() ? "" : ",") + field(value);
    }
    lines += line + "\n";
  }
  return names + "\n" + lines;
}

}  // namespace epaxos::bench
