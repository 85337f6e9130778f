#include "bench/throughput/window.h"

#include <algorithm>

#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

double seconds_between(const Totals& begin, const Totals& end) {
  return static_cast<double>(end.wall_us - begin.wall_us) / 1e6;
}

}  // namespace

Window window_between(std::span<const Measurement> begin, std::span<const Measurement> end) {
  check(begin.size() == end.size(), "a window begins and ends with the same replicas");
  Window window;
  for (std::size_t i = 0; i < end.size(); ++i) {
    const Totals& a = begin[i].totals;
    const Totals& b = end[i].totals;
    window.seconds += seconds_between(a, b) / static_cast<double>(end.size());
    window.commands += b.completed - a.completed;
    window.failed += b.failed - a.failed;
    window.cpu_us += b.cpu_us - a.cpu_us;
    window.fast_path += b.fast_path - a.fast_path;
    window.slow_path += b.slow_path - a.slow_path;
    window.frames += b.frames_out - a.frames_out;
    window.bundles += b.bundles_out - a.bundles_out;
    window.bytes += b.bytes_out - a.bytes_out;
    window.transactions += b.transactions - a.transactions;
    window.peak_bytes += end[i].peak_bytes;
    window.grown_bytes +=
        static_cast<std::int64_t>(b.resident_bytes) - static_cast<std::int64_t>(a.resident_bytes);
    window.longest_gap_us = std::max(window.longest_gap_us, end[i].longest_gap_us);
    window.latency_us.merge(end[i].latency_us);
  }
  return window;
}

double per(double sum, double count) {
  return count > 0 ? sum / count : 0;
}

double Window::commands_per_second() const {
  return per(static_cast<double>(commands), seconds);
}
double Window::cpu_us_per_command() const {
  return per(static_cast<double>(cpu_us), static_cast<double>(commands));
}
double Window::memory_bytes_per_command() const {
  return per(static_cast<double>(grown_bytes), static_cast<double>(commands));
}

}  // namespace epaxos::bench
