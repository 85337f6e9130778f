#include "bench/throughput/watch_signals.h"

namespace epaxos::bench {
namespace {

volatile std::sig_atomic_t signal_came = 0;

}  // namespace

WatchSignals::WatchSignals() {
  signal_came = 0;
  struct sigaction action {};
  action.sa_handler = [](int) { signal_came = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, &interrupt_);
  ::sigaction(SIGTERM, &action, &terminate_);
  // Under nohup it is ignored, and stays so.
  ::sigaction(SIGHUP, nullptr, &hang_up_);
  if (hang_up_.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
}

WatchSignals::~WatchSignals() {
  ::sigaction(SIGINT, &interrupt_, nullptr);
  ::sigaction(SIGTERM, &terminate_, nullptr);
  ::sigaction(SIGHUP, &hang_up_, nullptr);
}

bool WatchSignals::wish_to_stop() const {
  return signal_came != 0;
}

}  // namespace epaxos::bench
