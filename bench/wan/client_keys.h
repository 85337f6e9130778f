#pragma once

// What the clients of an experiment do the same way in both modes: what they ask for, when they
// begin, how long they wait after a refusal.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/client/arrivals.h"
#include "bench/client/mixed_commands.h"
#include "bench/wan/measured_run.h"
#include "epaxos/sim/random.h"

namespace epaxos::bench {

/// After a refusal, so that a replica in trouble is not flooded.
inline constexpr Tick kPauseUs = 50'000;

/// What the clients of every site ask for.
class SiteCommands {
 public:
  /// Both outlive it.
  SiteCommands(std::size_t sites, const RunOptions& options, InsertedRecords& inserted);
  SiteCommands(const SiteCommands&) = delete;
  SiteCommands& operator=(const SiteCommands&) = delete;

  [[nodiscard]] std::size_t sites() const { return by_site_.size(); }
  /// Threads: one at a time for each site.
  MixedCommand next(std::size_t site) { return by_site_[site]->next(); }
  /// It was. From any thread.
  void executed(const MixedCommand& command) {
    if (command.inserts) inserted_.inserted(*command.inserts);
  }

 private:
  InsertedRecords& inserted_;
  std::optional<Zipf> zipf_;
  std::vector<std::unique_ptr<MixedCommands>> by_site_;
};

/// When they begin, one draw below a second each.
sim::Random beginnings_of(std::size_t site, const RunOptions& options);

/// The open loop of a site, from `begin_us` on. Precondition: the options have one.
Arrivals arrivals_of(std::size_t site, const RunOptions& options, Tick begin_us);

/// Whoever executes it serves.
kv::Payload first_command();

/// What to ask for where commands never end or are not counted in time: "Ask for ... .".
std::string ask_for_less(const RunOptions& options);

}  // namespace epaxos::bench
