#include "bench/compare/figures.h"

#include <algorithm>
#include <array>

namespace epaxos::bench {
namespace {

template <auto Count>
double each_command(const Window& window) {
  return per(static_cast<double>(window.*Count), static_cast<double>(window.commands));
}

template <int Percent>
double percentile_us(const Window& window) {
  return static_cast<double>(window.latency_us.percentile(Percent / 100.0));
}

constexpr std::array kFigures = {
    Figure{"commands_per_second", [](const Window& w) { return w.commands_per_second(); }},
    Figure{"p50_us", percentile_us<50>},
    Figure{"p99_us", percentile_us<99>},
    Figure{"cpu_us_per_command", each_command<&Window::cpu_us>},
    Figure{"frames_per_command", each_command<&Window::frames>, true},
    Figure{"bundles_per_command", each_command<&Window::bundles>, true},
    Figure{"bytes_per_command", each_command<&Window::bytes>},
    Figure{"batches_per_command", each_command<&Window::transactions>},
    Figure{"batches_per_second",
           [](const Window& w) { return per(static_cast<double>(w.transactions), w.seconds); }},
    Figure{"failed", [](const Window& w) { return static_cast<double>(w.failed); }},
};

}  // namespace

std::span<const Figure> figures() {
  return kFigures;
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

Spread spread_of(std::span<const Window> runs, const Figure& figure) {
  std::vector<double> values;
  for (const Window& run : runs) values.push_back(figure.of(run));
  return spread_of(std::move(values));
}

}  // namespace epaxos::bench
