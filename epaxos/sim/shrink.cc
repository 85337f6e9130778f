#include "epaxos/sim/shrink.h"

#include <array>
#include <bit>

namespace epaxos::sim {
namespace {

class Shrinker {
 public:
  Shrinker(const SwarmPlan& plan, const StillFails& still_fails, int tries_max)
      : best_(plan), still_fails_(still_fails), tries_left_(tries_max) {}

  SwarmPlan run() {
    SwarmPlan before;
    do {
      before = best_;
      drop_classes();
      shorten(&SwarmPlan::faults, 0);
      drop_faults();
      shorten(&SwarmPlan::commands, 1);
      shorten(&SwarmPlan::clients, 1);
      fewer_replicas();
      simplify();
      shorten(&SwarmPlan::pause_us, 0);
    } while (before != best_ && tries_left_ > 0);
    return best_;
  }

 private:
  /// Keeps a smaller plan if it still fails.
  bool keep(const SwarmPlan& smaller) {
    if (smaller == best_ || tries_left_ == 0) return false;
    --tries_left_;
    if (!still_fails_(smaller)) return false;
    best_ = smaller;
    return true;
  }

  void drop_classes() {
    for (std::size_t fault = 0; fault < kFaultClasses; ++fault) {
      SwarmPlan smaller = best_;
      smaller.remove(static_cast<FaultClass>(fault));
      keep(smaller);
    }
  }

  /// Half of it, then a quarter less, and so on.
  void shorten(std::uint64_t SwarmPlan::*number, std::uint64_t least) {
    for (std::uint64_t step = best_.*number; step > 0; step /= 2) {
      while (best_.*number >= least + step) {
        SwarmPlan smaller = best_;
        smaller.*number -= step;
        if (!keep(smaller)) break;
      }
    }
  }

  /// Many at once, then fewer, then one by one.
  void drop_faults() {
    for (unsigned width = 32; width > 0; width /= 2) {
      for (unsigned from = 0; from < 64; from += width) {
        const std::uint64_t some = ~std::uint64_t{0} >> (64 - width) << from;
        SwarmPlan smaller = best_;
        smaller.fault_mask &= ~some;
        keep(smaller);
      }
    }
  }

  void fewer_replicas() {
    for (const std::uint64_t replicas : {1u, 3u, 4u, 5u}) {
      if (replicas >= best_.replicas) return;
      SwarmPlan smaller = best_;
      smaller.replicas = replicas;
      if (keep(smaller)) return;
    }
  }

  /// What is as usual needs no reader.
  void simplify() {
    const SwarmPlan usual;
    for (const auto number : {&SwarmPlan::return_at_end,
                              &SwarmPlan::tail_us,
                              &SwarmPlan::turn_delay_us,
                              &SwarmPlan::delay_us,
                              &SwarmPlan::jitter_us,
                              &SwarmPlan::in_order,
                              &SwarmPlan::loss_ppm,
                              &SwarmPlan::duplicate_ppm,
                              &SwarmPlan::duplicate_after_us,
                              &SwarmPlan::late_ppm,
                              &SwarmPlan::late_us,
                              &SwarmPlan::reported_failed_ppm,
                              &SwarmPlan::corrupt_ppm,
                              &SwarmPlan::disk_latency_us,
                              &SwarmPlan::disk_jitter_us,
                              &SwarmPlan::batch_commands_max,
                              &SwarmPlan::batch_bytes_max,
                              &SwarmPlan::held_undecided_max,
                              &SwarmPlan::in_flight_max,
                              &SwarmPlan::wait_for_fast_path,
                              &SwarmPlan::thrifty,
                              &SwarmPlan::question_us,
                              &SwarmPlan::suspicion_us,
                              &SwarmPlan::recovery_stagger_us,
                              &SwarmPlan::recovery_timeout_us,
                              &SwarmPlan::conflict_ppm,
                              &SwarmPlan::think_us,
                              &SwarmPlan::keys,
                              &SwarmPlan::rich,
                              &SwarmPlan::moves,
                              &SwarmPlan::timeout_us,
                              &SwarmPlan::session_clients,
                              &SwarmPlan::session_patience_us,
                              &SwarmPlan::session_repeat_ppm,
                              &SwarmPlan::session_commands,
                              &SwarmPlan::session_kept,
                              &SwarmPlan::session_gap,
                              &SwarmPlan::session_ttl_us,
                              &SwarmPlan::spares,
                              &SwarmPlan::member_change_ppm}) {
      SwarmPlan smaller = best_;
      smaller.*number = usual.*number;
      keep(smaller);
    }
  }

  SwarmPlan best_;
  const StillFails& still_fails_;
  int tries_left_;
};

}  // namespace

SwarmPlan shrink(SwarmPlan plan, const StillFails& still_fails, int tries_max) {
  return Shrinker(plan, still_fails, tries_max).run();
}

}  // namespace epaxos::sim
