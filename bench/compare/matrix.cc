#include "bench/compare/matrix.h"

#include <algorithm>

#include "bench/compare/etcd_run.h"
#include "bench/report/clock.h"
#include "bench/report/progress.h"
#include "bench/throughput/report.h"
#include "bench/throughput/run.h"

namespace epaxos::bench {
namespace {

/// Starting, finding a leader and coming to rest, until the first runs tell better.
constexpr double kOverheadSeconds = 1.5;

constexpr const char* kLeaderless = "epaxos";

std::string name_of_run(const Combination& of, int round, const CompareOptions& options) {
  return "round " + std::to_string(round + 1) + " of " + std::to_string(options.repeat) + ": " +
         to_string(of.contender) + ", " + std::string(to_string(of.durability)) + ", " +
         std::to_string(of.value_bytes) + " B, " + std::to_string(of.in_flight) + " in flight, ";
}

class MatrixRun {
 public:
  explicit MatrixRun(const CompareOptions& options)
      : options_(options),
        total_(combinations(options).size() * static_cast<std::size_t>(options.repeat)),
        progress_(static_cast<double>(total_) *
                      (options.seconds + warm_up_seconds(options.seconds) + kOverheadSeconds),
                  Progress::Elsewhere::kNothing) {
    matrix_.combinations = combinations(options);
  }

  Matrix measure() {
    for (int round = 0; round < options_.repeat && goes_on(); ++round) {
      for (Combination& combination : matrix_.combinations) {
        measure(combination, round);
        if (!goes_on()) break;
        ++done_;
        const double each =
            static_cast<double>(now_us() - begin_us_) / 1e6 / static_cast<double>(done_);
        progress_.expect(each * static_cast<double>(total_ - done_));
      }
    }
    matrix_.interrupted = signals_.wish_to_stop();
    return std::move(matrix_);
  }

 private:
  [[nodiscard]] bool goes_on() const { return matrix_.trouble.empty() && !signals_.wish_to_stop(); }

  void measure(Combination& combination, int round) {
    const std::string name = name_of_run(combination, round, options_);
    const auto window =
        combination.contender.protocol == kEtcd
            ? measure_etcd(throughput_options(options_, combination), signals_, progress_, name)
            : measure_ours(combination, name);
    if (!window) {
      matrix_.trouble = "In " + name + "it failed: " + window.error().message;
    } else if (window->has_value()) {
      combination.runs.push_back(**window);
    }
  }

  /// Empty: it was interrupted.
  Result<std::optional<Window>> measure_ours(const Combination& combination,
                                             const std::string& name) {
    const auto result =
        measure_throughput(throughput_options(options_, combination), signals_, progress_, name);
    if (!result) return fail(result.error());
    if (const std::string failure = failure_of(*result); !failure.empty()) {
      return fail(ErrorCode::kCorrupted, failure);
    }
    return result->interrupted ? std::optional<Window>() : std::optional(result->node);
  }

  const CompareOptions options_;
  const std::size_t total_;
  const Tick begin_us_ = now_us();
  const WatchSignals signals_;
  Progress progress_;
  std::size_t done_ = 0;
  Matrix matrix_;
};

}  // namespace

std::vector<Contender> contenders(const CompareOptions& options) {
  std::vector<Contender> all;
  for (const std::string& protocol : options.protocols) {
    if (has_leader(protocol)) {
      all.push_back({protocol, 0});
      continue;
    }
    for (const unsigned percent : options.conflicts) all.push_back({protocol, percent});
  }
  if (options.etcd) all.push_back({kEtcd, 0});
  return all;
}

bool has_leader(const std::string& protocol) {
  return protocol != kLeaderless;
}

std::string to_string(const Contender& contender) {
  if (has_leader(contender.protocol)) return contender.protocol;
  return contender.protocol + " " + std::to_string(contender.conflict_percent) + " %";
}

std::vector<Combination> combinations(const CompareOptions& options) {
  std::vector<Combination> all;
  for (const Durability durability : options.durability) {
    for (const std::size_t value_bytes : options.value_bytes) {
      for (const std::size_t in_flight : options.in_flight) {
        for (const Contender& contender : contenders(options)) {
          if (contender.protocol == kEtcd && durability != Durability::kSync) continue;
          all.push_back({contender, durability, value_bytes, in_flight, {}});
        }
      }
    }
  }
  return all;
}

ThroughputOptions throughput_options(const CompareOptions& options, const Combination& of) {
  ThroughputOptions o;
  o.replicas = options.replicas;
  o.protocol = of.contender.protocol;
  o.conflict_percent = of.contender.conflict_percent;
  o.in_flight = of.in_flight;
  o.batch = std::min(options.batch, of.in_flight);
  o.value_bytes = of.value_bytes;
  o.durability = of.durability;
  o.data = options.data;
  o.seconds = options.seconds;
  o.floor = false;
  return o;
}

Matrix measure_matrix(const CompareOptions& options) {
  return MatrixRun(options).measure();
}

}  // namespace epaxos::bench
