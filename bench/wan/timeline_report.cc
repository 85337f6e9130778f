#include "bench/wan/timeline_report.h"

#include <utility>

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

}  // namespace

std::vector<std::vector<std::string>> gaps(const WanPlan& plan, const WanResult& result) {
  std::vector<std::vector<std::string>> rows;
  for (const WanRun& run : result.runs) {
    if (!run.measured.timeline) continue;
    const std::string name = name_of(result.placement, run.measured.protocol, run.measured.leader);
    for (std::size_t fault = 0; fault < plan.faults.size(); ++fault) {
      std::vector<std::string> cells{name, plan.faults[fault].text};
      for (const Tick gap : run.measured.timeline->gap_us[fault]) cells.push_back(ms_text(gap, 0));
      rows.push_back(std::move(cells));
    }
  }
  return rows;
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
  return "\n" + table.text() + "From each fault to the next one or the end.\n";
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
