#include "bench/wan/emulation.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "bench/report/clock.h"
#include "bench/throughput/children.h"
#include "bench/throughput/run_directory.h"
#include "bench/wan/client_keys.h"
#include "bench/wan/emulated_clients.h"
#include "bench/wan/emulated_trace.h"
#include "bench/wan/paths.h"
#include "bench/wan/shared_memory.h"
#include "bench/wan/simulation.h"
#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

/// Between two looks at what the replicas tell.
constexpr Tick kLookUs = 10'000;
constexpr auto kLook = std::chrono::milliseconds(kLookUs / 1000);
/// From the order to begin until the first client may.
constexpr Tick kHeadStartUs = 200'000;
/// Stragglers that take longer never end, and states that differ for longer never become equal.
constexpr Tick kPatienceUs = 30 * kSecond;
/// For an answer, once told to stop.
constexpr Tick kLastWordUs = 300'000;

class EmulatedRun {
 public:
  EmulatedRun(const Placement& placement, const Protocol& protocol, std::optional<ReplicaId> leader,
              const RunOptions& options, SharedRun& shared, EmulatedTrace* trace,
              const Watch& watch)
      : placement_(placement),
        options_(options),
        shared_(shared),
        trace_(trace),
        watch_(watch),
        group_{placement, protocol, leader,
               options,   shared,   trace != nullptr ? &trace->shared() : nullptr},
        run_{protocol.name, leader, {}, 0, 0, {}, {}, {}, false},
        recorder_(run_, options),
        world_(placement),
        lives_(placement.replica_count()) {
    run_.sites.resize(placement.topology().site_count());
  }

  Result<MeasuredRun> run() {
    set_links();
    if (const auto started = start(); !started) return fail(started.error());
    if (const auto measured = measure(); !measured) return fail(measured.error());
    if (!run_.interrupted) {
      if (const auto ended = end(); !ended) return fail(ended.error());
    }
    recorder_.finish(now_us());
    draw_trace();
    return std::move(run_);
  }

 private:
  /// And who serves which site.
  void set_links() {
    for (std::size_t site = 0; site < run_.sites.size(); ++site) {
      shared_.server_of[site] = world_.placement().nearest(site).value();
    }
    for_each_member(placement_.all(), [&](ReplicaId from) {
      for_each_member(placement_.all(), [&](ReplicaId to) {
        shared_.links.set(from, to,
                          {.delay_us = world_.one_way_us(from, to),
                           .jitter_us = options_.links.jitter_us,
                           .loss = options_.links.loss,
                           .loss_delay_us = LinkTrouble::kResentUs,
                           .bytes_per_second = options_.links.bytes_per_second,
                           .cut = world_.is_cut(from, to)});
      });
    });
  }

  Result<void> start() {
    GroupOptions group;
    group.replicas = placement_.replica_count();
    group.durability = options_.durability;
    if (options_.durability != Durability::kNone) {
      if (const auto made = directory_.make(options_.data); !made) return made;
    }
    auto children = Children::start(emulated_clients(group_), group, directory_.path());
    if (!children) return fail(children.error());
    children_ = *std::move(children);
    begin_ = now_us() + kHeadStartUs;
    from_ = begin_ + options_.warm_up_us;
    to_ = from_ + options_.measured_us;
    shared_.begin_us = begin_;
    shared_.from_us = from_;
    shared_.to_us = to_;
    recorder_.measure(from_);
    for (std::size_t site = 0; site < run_.sites.size(); ++site) {
      shared_.waiting_clients[site] = options_.open.is_on() ? 1 : options_.clients;
    }
    const auto loading = ask(Order::kLoad);
    return loading ? Result<void>() : fail(loading.error());
  }

  Result<void> measure() {
    if (const auto warmed_up = run_until(from_); !warmed_up) return warmed_up;
    const auto before = paths();
    if (!before) return fail(before.error());
    if (const auto passed = run_until(to_); !passed) return passed;
    const auto after = paths();
    if (!after) return fail(after.error());
    for (std::size_t site = 0; site < run_.sites.size(); ++site) {
      const ReplicaId replica = placement_.nearest(site);
      // Of the present life of who does not answer nothing is known.
      if (silent_.contains(replica) || world_.returning().contains(replica)) continue;
      run_.sites[site].slow_share =
          slow_share((*before)[replica.value()], (*after)[replica.value()]);
    }
    world_.heal();
    set_links();
    return {};
  }

  Result<void> apply_faults() {
    for (; next_fault_ < options_.faults.size(); ++next_fault_) {
      const Fault& fault = options_.faults[next_fault_];
      if (now_us() < from_ + fault.at_us) return {};
      if (fault.kind == Fault::Kind::kKill) {
        if (const auto killed = kill(fault.one); !killed) return killed;
      }
      if (fault.kind == Fault::Kind::kRestart) {
        if (const auto restarted = restart(fault.one); !restarted) return restarted;
      }
      world_.apply(fault);
      set_links();
    }
    return {};
  }

  /// Its clients die with it; what they waited for has no known outcome.
  Result<void> kill(ReplicaId replica) {
    if (const auto told = end_life(replica); !told) return told;
    children_->kill(replica.value());
    look();
    const Tick now = now_us();
    if (trace_ != nullptr) trace_->stopped(replica, now);
    SharedRun::Replica& dead = shared_.replicas[replica.value()];
    for (std::size_t site = 0; site < run_.sites.size(); ++site) {
      shared_.waiting_clients[site] += dead.clients[site].exchange(0);
      // As if all were sent just now, if that is measured: when each was sent died with it.
      const Sample lost{.sent_us = std::clamp(now, from_, to_ - 1),
                        .site = static_cast<std::uint32_t>(site)};
      for (auto left = dead.unfinished[site].exchange(0); left > 0; --left) recorder_.add(lost);
    }
    return {};
  }

  /// Its counters die with it, and are asked for just before. Who does not tell in time is killed
  /// nevertheless, and the share of its slow paths is not known.
  Result<void> end_life(ReplicaId replica) {
    std::optional<Paths> counted;
    const Tick deadline = now_us() + kLastWordUs;
    const bool asks = world_.answering().contains(replica);
    if (asks) children_->give(replica.value(), Order::kMeasure);
    while (asks && !counted && now_us() < deadline) {
      const auto said = children_->answer(replica.value(), kLook);
      if (!said) return fail(said.error());
      if (*said) counted = paths_of(**said);
      look();
    }
    lives_.ended(replica, counted);
    return {};
  }

  /// The others go on while it starts, and its clients where they are.
  Result<void> restart(ReplicaId replica) {
    shared_.replicas[replica.value()].answers = false;
    if (const auto forked = children_->restart(replica.value()); !forked) return forked;
    children_->give(replica.value(), Order::kLoad);
    return {};
  }

  /// Clients ask again who answers by now.
  Result<void> look_who_returns() {
    for (const ReplicaId replica : members_of(world_.returning())) {
      const bool answers = shared_.replicas[replica.value()].answers;
      // It was ordered to load before anything else: whoever answers has said so.
      const auto said = children_->answer(replica.value(), std::chrono::milliseconds(0));
      if (!said) return fail(said.error());
      if (!answers) continue;
      world_.answers_again(replica);
      set_links();
    }
    return {};
  }

  static Paths paths_of(const Measurement& measurement) {
    return {measurement.totals.fast_path, measurement.totals.slow_path};
  }

  /// By replica, over all of its lives.
  Result<std::vector<std::optional<Paths>>> paths() {
    const auto all = ask(Order::kMeasure);
    if (!all) return fail(all.error());
    std::vector<std::optional<Paths>> paths;
    for_each_member(placement_.all(), [&](ReplicaId replica) {
      paths.push_back(lives_.sum(replica, paths_of((*all)[replica.value()])));
    });
    return paths;
  }

  /// The load goes on until what was measured has ended; then all replicas come to one state.
  Result<void> end() {
    if (const auto waited = wait_for_stragglers(); !waited || run_.interrupted) return waited;
    if (const auto stopped = ask(Order::kStopLoad); !stopped) return fail(stopped.error());
    if (const auto equal = wait_for_equal_states(); !equal) return equal;
    if (const auto quit = ask(Order::kQuit); !quit) return fail(quit.error());
    children_.reset();
    return {};
  }

  Result<void> wait_for_stragglers() {
    const Tick deadline = now_us() + kPatienceUs;
    while ((is_behind() || unfinished() > 0 || world_.returning().size() > 0) &&
           !run_.interrupted) {
      if (now_us() > deadline) {
        if (world_.returning().size() > 0) {
          return fail(ErrorCode::kUnavailable,
                      "The replica at " + names_of(placement_, world_.returning()) +
                          " was restarted and executes nothing 30 seconds after the measured time "
                          "of " +
                          run_.protocol + ". Restart it earlier, or let it miss less.");
        }
        if (is_behind()) {
          return fail(ErrorCode::kUnavailable,
                      "This machine cannot send so many commands: 30 seconds after the measured "
                      "time of " +
                          run_.protocol + " not all of them have left. " + ask_for_less(options_));
        }
        return fail(ErrorCode::kUnavailable,
                    std::to_string(unfinished()) + " commands of " + run_.protocol +
                        " had no outcome 30 seconds after the measured time. " +
                        ask_for_less(options_));
      }
      if (const auto passed = run_until(now_us() + kLookUs); !passed) return passed;
    }
    look();
    return {};
  }

  /// Whether a command of an open loop that was due in the measured time is still to be sent.
  [[nodiscard]] bool is_behind() const {
    if (!options_.open.is_on()) return false;
    return std::any_of(shared_.next_due.begin(), shared_.next_due.begin() + run_.sites.size(),
                       [this](const auto& due) { return due < to_; });
  }

  [[nodiscard]] std::int64_t unfinished() const {
    std::int64_t sum = 0;
    for (const SharedRun::Replica& replica : shared_.replicas) {
      for (const auto& count : replica.unfinished) sum += count;
    }
    return sum;
  }

  Result<void> wait_for_equal_states() {
    const Tick deadline = now_us() + kPatienceUs;
    while (now_us() < deadline) {
      const auto all = ask(Order::kMeasure);
      if (!all) return fail(all.error());
      const std::vector<ReplicaId> members = members_of(world_.answering());
      const std::uint64_t digest = (*all)[members.front().value()].digest;
      const bool equal = std::ranges::all_of(members, [&](ReplicaId each) {
        const Measurement& said = (*all)[each.value()];
        return said.in_flight == 0 && said.digest == digest;
      });
      if (equal) {
        run_.digest = digest;
        return {};
      }
      std::this_thread::sleep_for(kLook);
    }
    return fail(ErrorCode::kUnavailable,
                "The replicas of " + run_.protocol +
                    " did not come to one state within 30 seconds after the load.");
  }

  /// Until then, or until told to stop. Errors: unavailable - a replica has ended.
  Result<void> run_until(Tick time) {
    while (!run_.interrupted && now_us() < time) {
      std::this_thread::sleep_for(std::chrono::microseconds(std::min(kLookUs, time - now_us())));
      look();
      if (const auto applied = apply_faults(); !applied) return applied;
      if (const auto looked = look_who_returns(); !looked) return looked;
      for (const ReplicaId replica : members_of(world_.answering())) {
        // Nothing was asked, so that this tells of an end alone.
        const auto said = children_->answer(replica.value(), std::chrono::milliseconds(0));
        if (!said) return fail(said.error());
      }
      ask_whether_to_stop();
    }
    return lost_nothing();
  }

  void ask_whether_to_stop() {
    const Tick passed = std::clamp(now_us(), begin_, to_) - begin_;
    run_.interrupted = run_.interrupted || (watch_ && !watch_(passed, to_ - begin_));
  }

  /// Takes what the clients have told.
  void look() {
    for (SharedRun::Replica& replica : shared_.replicas) {
      replica.samples.read([this](const Sample& sample) { recorder_.add(sample); });
      for (std::size_t site = 0; site < run_.sites.size(); ++site) {
        recorder_.add_unsent(site, replica.unsent[site].exchange(0));
      }
    }
    if (trace_ != nullptr) trace_->look();
  }

  void draw_trace() {
    if (trace_ == nullptr) return;
    trace_->look();
    run_.untraced = trace_->lost();
    trace_->draw(trace_options(placement_, run_, options_, 0), begin_, *options_.trace);
  }

  [[nodiscard]] Result<void> lost_nothing() const {
    for (const SharedRun::Replica& replica : shared_.replicas) {
      if (replica.samples.lost() > 0) {
        return fail(
            ErrorCode::kUnavailable,
            "This machine does not keep up: commands ended faster than they were counted. " +
                ask_for_less(options_));
      }
    }
    return {};
  }

  /// Gives the order to all that answer, and goes on looking until they have answered. By replica.
  /// Once told to stop it does without those that answer too late.
  Result<std::vector<Measurement>> ask(Order order) {
    std::vector<ReplicaId> members = members_of(world_.answering());
    std::erase_if(members, [this](ReplicaId each) { return silent_.contains(each); });
    for (const ReplicaId each : members) children_->give(each.value(), order);
    std::vector<Measurement> all(static_cast<std::size_t>(placement_.replica_count()));
    Tick deadline = now_us() + kPatienceUs;
    for (std::size_t i = 0; i < members.size();) {
      auto answer = children_->answer(members[i].value(), kLook);
      if (!answer) return fail(answer.error());
      look();
      ask_whether_to_stop();
      if (run_.interrupted) deadline = std::min(deadline, now_us() + kLastWordUs);
      if (*answer) {
        all[members[i++].value()] = **answer;
      } else if (run_.interrupted && now_us() > deadline) {
        silent_.add(members[i++]);
      } else if (now_us() > deadline) {
        return fail(ErrorCode::kUnavailable, "The replica at " + placement_.name_of(members[i]) +
                                                 " does not answer any more.");
      }
    }
    return all;
  }

  const Placement& placement_;
  const RunOptions& options_;
  SharedRun& shared_;
  EmulatedTrace* const trace_;  // Null: there is none.
  const Watch& watch_;
  const EmulatedGroup group_;
  MeasuredRun run_;
  Recorder recorder_;
  FaultyWorld world_;
  PathsOfLives lives_;
  std::size_t next_fault_ = 0;
  RunDirectory directory_;  // Outlives those that write in it.
  std::unique_ptr<Children> children_;
  ReplicaSet silent_;  // They did not answer in time when all was to stop.
  Tick begin_ = 0;
  Tick from_ = 0;
  Tick to_ = 0;
};

}  // namespace

Result<MeasuredRun> emulate(const Placement& placement, const Protocol& protocol,
                            std::optional<ReplicaId> leader, const RunOptions& options,
                            const Watch& watch) {
  check(placement.down().size() == 0, "every replica runs in an emulation");
  check(check_restarts(options.faults, options.durability).has_value(),
        "who is restarted has a disk that keeps what it promised");
  const auto shared = make_shared_value<SharedRun>();
  const auto traced = options.trace != nullptr ? make_shared_value<SharedTrace>() : nullptr;
  if (shared == nullptr || (options.trace != nullptr && traced == nullptr)) {
    return fail(ErrorCode::kUnavailable,
                "There is no memory left that the processes of the replicas could share.");
  }
  std::optional<EmulatedTrace> trace;
  if (traced != nullptr) trace.emplace(*traced, placement.replica_count());
  return EmulatedRun(placement, protocol, leader, options, *shared, trace ? &*trace : nullptr,
                     watch)
      .run();
}

}  // namespace epaxos::bench
