#include "bench/wan/recorder.h"

namespace epaxos::bench {

void Recorder::measure(Tick from_us, Tick to_us) {
  from_ = from_us;
  to_ = to_us;
}

void Recorder::add(const Sample& sample) {
  if (!is_measured(sample.sent_us)) return;
  SiteLatency& seen = sites_[sample.site];
  if (!sample.executed) {
    ++seen.failed;
    return;
  }
  seen.execution_us.add(sample.execution_us);
  seen.commit_us.add(sample.commit_us);
}

}  // namespace epaxos::bench
