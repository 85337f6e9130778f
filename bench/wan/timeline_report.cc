#include "bench/wan/timeline_report.h"

#include <algorithm>
#include <utility>

#include "bench/wan/repeats.h"
#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

std::string ms_text(Tick us, int decimals) {
  return fixed(static_cast<double>(us) / 1000, decimals);
}

/// The faults that came in this second, as they were written.
std::string faults_of(const WanPlan& plan, std::size_t second) {
  std::string out;
  for (const Fault& fault : plan.faults) {
    if (fault.at_us / kSecond != second) continue;
    out += (out.empty() ? "" : "; ") + fault.text;
  }
  return out.empty() ? out : "\"" + out + "\"";
}

std::string line_of(const std::string& begin, std::size_t at, const Second& second,
                    const std::string& faults) {
  std::string out = begin + std::to_string(at) + "," + std::to_string(second.executed) + "," +
                    std::to_string(second.failed);
  for (const Tick latency : {second.p50_us, second.p99_us}) {
    out += "," + (second.executed == 0 ? std::string() : ms_text(latency, 3));
  }
  return out + "," + faults + "\n";
}

std::string cell_of(const std::vector<Timeline::Gap>& of_each_run) {
  std::vector<double> us;
  for (const Timeline::Gap& gap : of_each_run) us.push_back(static_cast<double>(gap.us));
  const auto [least, most] = std::ranges::minmax(us);
  std::string cell = fixed(median_of(us) / 1000, 0);
  if (least != most) cell += " (" + fixed(least / 1000, 0) + ".." + fixed(most / 1000, 0) + ")";
  return cell + (std::ranges::any_of(of_each_run, &Timeline::Gap::goes_on) ? "+" : "");
}

}  // namespace

std::vector<Gaps> gaps_of(const std::vector<Fault>& faults, const WanRun& run) {
  std::vector<Gaps> all;
  if (!run.measured.timeline) return all;
  for (std::size_t fault = 0; fault < faults.size(); ++fault) {
    const std::string& text = faults[fault].text;
    if (fault > 0 && faults[fault - 1].at_us == faults[fault].at_us) {
      all.back().faults +=
          "; " + text;  // The same times without a commit are those of all of them.
      continue;
    }
    Gaps& gaps = all.emplace_back(Gaps{text, {}});
    gaps.by_site.resize(run.measured.sites.size());
    for (const MeasuredRun& one : run.repeats) {
      for (std::size_t site = 0; site < gaps.by_site.size(); ++site) {
        gaps.by_site[site].push_back(one.timeline->gaps[fault][site]);
      }
    }
  }
  return all;
}

std::vector<std::vector<std::string>> gaps(const WanPlan& plan, const WanResult& result) {
  std::vector<std::vector<std::string>> rows;
  for (const WanRun& run : result.runs) {
    const std::string name = name_of(result.placement, run.measured.protocol, run.measured.leader);
    for (const Gaps& gaps : gaps_of(plan.faults, run)) {
      std::vector<std::string>& cells = rows.emplace_back(std::vector{name, gaps.faults});
      for (const std::vector<Timeline::Gap>& of_site : gaps.by_site) {
        cells.push_back(cell_of(of_site));
      }
    }
  }
  return rows;
}

std::string gaps_note(const WanResult& result) {
  const bool repeated =
      std::ranges::any_of(result.runs, [](const WanRun& run) { return run.repeats.size() > 1; });
  return std::string("From each fault to the next one or the end; + means that it went on then.") +
         (repeated ? " Median of the runs, and in brackets their range." : "");
}

std::string gaps_text(const WanPlan& plan, const WanResult& result) {
  if (plan.faults.empty()) return {};
  std::vector<std::string> names{"longest time without a commit, ms", "after"};
  for (const std::string& site : result.placement.topology().sites()) names.push_back(">" + site);
  TextTable table(names);
  std::string run;
  for (const std::vector<std::string>& row : gaps(plan, result)) {
    if (!run.empty() && run != row.front()) table.add_gap();
    run = row.front();
    table.add(row);
  }
  return "\n" + table.text() + gaps_note(result) + "\n";
}

std::string to_series(const WanPlan& plan, const WanResult& result) {
  std::string out = "topology,protocol,leader,site,second,commands,failed,p50_ms,p99_ms,faults\n";
  const Topology& topology = result.placement.topology();
  for (const WanRun& run : result.runs) {
    if (!run.measured.timeline) continue;
    const Timeline& timeline = *run.measured.timeline;
    const auto add = [&](const std::string& site, const std::vector<Second>& seconds) {
      const std::string begin =
          topology.name() + "," + run.measured.protocol + "," +
          (run.measured.leader ? result.placement.name_of(*run.measured.leader) : "") + "," + site +
          ",";
      for (std::size_t at = 0; at < seconds.size(); ++at) {
        out += line_of(begin, at, seconds[at], faults_of(plan, at));
      }
    };
    for (std::size_t site = 0; site < timeline.by_site.size(); ++site) {
      add(topology.site(site), timeline.by_site[site]);
    }
    add("all", timeline.all);
  }
  return out;
}

}  // namespace epaxos::bench
