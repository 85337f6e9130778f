#include "bench/wan/recorder.h"

#include <algorithm>

namespace epaxos::bench {

void Recorder::measure(Tick from_us) {
  from_ = from_us;
  to_ = from_us + options_.measured_us;
  if (options_.latency_before_faults && !options_.faults.empty()) {
    latency_to_ = from_ + options_.faults.front().at_us;
  }
  if (options_.timeline || !options_.faults.empty()) {
    timeline_.emplace(run_.sites.size(), options_.measured_us);
  }
}

void Recorder::add(const Sample& sample) {
  if (timeline_) add_to_timeline(sample);
  if (!is_measured(sample.sent_us)) return;
  if (sample.executed && sample.sent_us + sample.execution_us >= latency_to_) return;
  SiteLatency& seen = run_.sites[sample.site];
  if (sample.late_us) seen.late_us.add(*sample.late_us);
  if (!sample.executed) {
    ++seen.failed;
    return;
  }
  seen.add(sample.commit_us, sample.execution_us);
  (sample.reads ? seen.reads : seen.writes).add(sample.commit_us, sample.execution_us);
}

void Recorder::add_to_timeline(const Sample& sample) {
  const auto sent = static_cast<std::int64_t>(sample.sent_us) - static_cast<std::int64_t>(from_);
  const auto after = [sent](Tick us) { return sent + static_cast<std::int64_t>(us); };
  if (sample.executed) {
    timeline_->add_executed(sample.site, after(sample.commit_us), after(sample.execution_us),
                            sample.execution_us);
  } else {
    timeline_->add_failed(sample.site, after(sample.execution_us));
  }
}

void Recorder::finish(Tick now_us) {
  if (!timeline_) return;
  std::vector<Tick> fault_us;
  for (const Fault& fault : options_.faults) fault_us.push_back(fault.at_us);
  run_.timeline = timeline_->timeline(fault_us, std::clamp(now_us, from_, to_) - from_);
}

}  // namespace epaxos::bench
