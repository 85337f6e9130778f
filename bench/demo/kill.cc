#include "bench/demo/kill.h"

#include <algorithm>

#include "bench/client/load_report.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

double seconds_between(Tick from, Tick to) {
  return (static_cast<double>(to) - static_cast<double>(from)) / 1e6;
}

std::string whole_ms(Tick us) {
  return fixed(static_cast<double>(us) / 1000.0, 0);
}

/// The slices of a client that begin in [from, to).
template <class Each>
void for_slices(const LoadResult& load, Tick from, Tick to, Each each) {
  for (std::size_t i = 0; i < load.slices.size(); ++i) {
    const Tick begin = load.measured_from_us + i * TimeSlice::kLengthUs;
    if (begin >= from && begin < to) each(load.slices[i]);
  }
}

KillPhase phase(const KillRun& run, std::string name, Tick from, Tick to) {
  const Tick begun = run.moments.begun;
  KillPhase part{std::move(name), seconds_between(begun, from), seconds_between(begun, to)};
  std::uint64_t others = 0;
  std::uint64_t victim = 0;
  for (std::size_t r = 0; r < run.loads.size(); ++r) {
    const bool is_victim = static_cast<int>(r) == run.victim;
    for_slices(run.loads[r], from, to, [&](const TimeSlice& slice) {
      (is_victim ? victim : others) += slice.executed;
      if (is_victim) return;
      part.longest_gap_us = std::max(part.longest_gap_us, slice.longest_gap_us);
      part.slowest_us = std::max(part.slowest_us, slice.slowest_us);
    });
  }
  const double length = std::max(part.to_s - part.from_s, 1e-6);
  part.others_per_second = static_cast<double>(others) / length;
  part.victim_per_second = static_cast<double>(victim) / length;
  return part;
}

Result<void> between(const std::string& who, std::uint64_t held, const Tally& told) {
  if (held >= told.acknowledged && held <= told.acknowledged + told.unknown()) return {};
  return fail(ErrorCode::kCorrupted, (held < told.acknowledged ? "ACKNOWLEDGED COMMANDS ARE LOST: "
                                                               : "COMMANDS HAD TWO EFFECTS: ") +
                                         who + " hold " + grouped(held) +
                                         ", and of their increments " + grouped(told.acknowledged) +
                                         " were acknowledged and " + grouped(told.unknown()) +
                                         " are unknown.");
}

Tally told(const KillRun& run) {
  Tally all;
  for (const LoadResult& load : run.loads) {
    all += load.own;
    all += load.hot;
  }
  return all;
}

std::string later(std::optional<Tick> moment, Tick since) {
  return moment ? fixed(seconds_between(since, *moment), 2) + " s later" : "not within this run";
}

/// What happened to the replica, as sentences.
std::string story(const KillRun& run) {
  const KillMoments& m = run.moments;
  if (!m.killed) return "";
  std::string out = "At " + std::to_string(run.conflicts) + " %: R" + std::to_string(run.victim) +
                    " killed at " + fixed(seconds_between(m.begun, *m.killed), 1) + " s";
  if (m.started) {
    out += ", started at " + fixed(seconds_between(m.begun, *m.started), 1) + " s, answers " +
           later(m.answered, *m.started) + ", votes " + later(m.votes, *m.started) +
           ",\n  connected with all others " + later(m.connected, *m.started);
  }
  const Tally all = told(run);
  return out + ".\n  Longest gap of the others' clients: " + whole_ms(longest_gap_of_others(run)) +
         " ms. " + grouped(all.acknowledged) + " increments acknowledged, " +
         grouped(all.unknown()) + " unknown.\n";
}

}  // namespace

std::vector<KillPhase> phases_of(const KillRun& run) {
  const KillMoments& m = run.moments;
  Tick end = m.begun;
  for (const LoadResult& load : run.loads) {
    end = std::max(end, load.measured_from_us + static_cast<Tick>(load.seconds * 1e6));
  }
  const Tick killed = std::min(m.killed.value_or(end), end);
  const Tick started = std::min(m.started.value_or(end), end);
  std::vector<KillPhase> parts{phase(run, "before", m.begun, killed)};
  if (m.killed) parts.push_back(phase(run, "gone", killed, started));
  if (m.started) parts.push_back(phase(run, "back", started, end));
  return parts;
}

Tick longest_gap_of_others(const KillRun& run) {
  Tick longest = 0;
  for (std::size_t r = 0; r < run.loads.size(); ++r) {
    if (static_cast<int>(r) != run.victim) longest = std::max(longest, run.loads[r].longest_gap_us);
  }
  return longest;
}

Result<void> nothing_lost(const KillRun& run, const KillCount& count) {
  Tally hot;
  for (std::size_t r = 0; r < run.loads.size(); ++r) {
    const std::string who = "at " + std::to_string(run.conflicts) +
                            " % the counters of the client of R" + std::to_string(r);
    if (const auto right = between(who, count.own.at(r), run.loads[r].own); !right) return right;
    hot += run.loads[r].hot;
  }
  return between("at " + std::to_string(run.conflicts) + " % the counter of all clients", count.hot,
                 hot);
}

std::string kills_table(const std::vector<KillRun>& runs) {
  if (runs.empty()) return "";
  const std::string victim = "R" + std::to_string(runs.front().victim);
  const std::string others = std::to_string(runs.front().loads.size() - 1);
  TextTable table({">hot key", victim, ">from", ">to", ">commands/s of the others", ">of " + victim,
                   ">longest gap", ">slowest"});
  std::string stories;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i > 0) table.add_gap();
    for (const KillPhase& part : phases_of(runs[i])) {
      table.add({std::to_string(runs[i].conflicts) + " %", part.name, fixed(part.from_s, 1) + " s",
                 fixed(part.to_s, 1) + " s",
                 grouped(static_cast<std::uint64_t>(part.others_per_second)),
                 grouped(static_cast<std::uint64_t>(part.victim_per_second)),
                 whole_ms(part.longest_gap_us), whole_ms(part.slowest_us)});
    }
    stories += story(runs[i]);
  }
  return "\nKill -9 of " + victim +
         " at a third of the time, started again at two thirds. The clients increment counters.\n"
         "In ms, of any of the " +
         others +
         " other clients: longest gap, the longest time without an executed answer;\n"
         "slowest, the longest time from a command to its answer.\n\n" +
         table.text() + "\n" + stories;
}

std::string kills_csv(const std::vector<KillRun>& runs) {
  std::string out =
      "conflicts_percent,victim,phase,from_s,to_s,others_commands_per_second,"
      "victim_commands_per_second,others_longest_gap_us,others_slowest_us\n";
  for (const KillRun& run : runs) {
    for (const KillPhase& part : phases_of(run)) {
      out += std::to_string(run.conflicts) + ",R" + std::to_string(run.victim) + "," + part.name +
             "," + fixed(part.from_s, 3) + "," + fixed(part.to_s, 3) + "," +
             fixed(part.others_per_second, 1) + "," + fixed(part.victim_per_second, 1) + "," +
             std::to_string(part.longest_gap_us) + "," + std::to_string(part.slowest_us) + "\n";
    }
  }
  return out;
}

std::vector<Json> kills_json(const std::vector<KillRun>& runs) {
  std::vector<Json> all;
  for (const KillRun& run : runs) {
    const KillMoments& m = run.moments;
    const auto seconds = [&](const std::optional<Tick>& moment) {
      return moment ? Json(seconds_between(m.begun, *moment)) : Json();
    };
    Json json = {{"conflicts_percent", run.conflicts},
                 {"victim", "R" + std::to_string(run.victim)},
                 {"killed_s", seconds(m.killed)},
                 {"started_s", seconds(m.started)},
                 {"answered_s", seconds(m.answered)},
                 {"votes_s", seconds(m.votes)},
                 {"connected_s", seconds(m.connected)},
                 {"others_longest_gap_us", longest_gap_of_others(run)}};
    json["phases"] = Json::array();
    for (const KillPhase& part : phases_of(run)) {
      json["phases"].push_back({{"phase", part.name},
                                {"from_s", part.from_s},
                                {"to_s", part.to_s},
                                {"others_commands_per_second", part.others_per_second},
                                {"victim_commands_per_second", part.victim_per_second},
                                {"others_longest_gap_us", part.longest_gap_us},
                                {"others_slowest_us", part.slowest_us}});
    }
    json["clients"] = Json::array();
    for (std::size_t r = 0; r < run.loads.size(); ++r) {
      Json client = {{"replica", "R" + std::to_string(r)}};
      client.update(load_json(run.loads[r]));
      json["clients"].push_back(std::move(client));
    }
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace epaxos::bench
