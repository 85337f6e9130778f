#pragma once

// Clients in virtual time. Closed loops: at every site so many clients, each of which sends its
// next command some time after it has the answer to the last one. Or an open loop at every site,
// which sends at given times, and whose latencies count from these. A command takes its way to the
// nearest replica and back. Other than the loads of epaxos/sim, which count commands, this one
// measures them.

#include <memory>
#include <vector>

#include "bench/wan/client_keys.h"
#include "bench/wan/faults.h"
#include "bench/wan/recorder.h"
#include "epaxos/sim/cluster.h"

namespace epaxos::bench {

class SimulatedClients {
 public:
  /// Everything outlives it. Clients ask whom `world` says.
  SimulatedClients(sim::Cluster& cluster, const FaultyWorld& world, const RunOptions& options,
                   Recorder& recorder);
  SimulatedClients(const SimulatedClients&) = delete;
  SimulatedClients& operator=(const SimulatedClients&) = delete;

  /// From now on; each of them begins at some moment of the first second.
  void start();
  /// Sends nothing any more.
  void stop() { stopped_ = true; }
  /// Measured commands that have no outcome yet.
  [[nodiscard]] std::uint64_t unfinished() const { return unfinished_; }

 private:
  /// A client of the site sends this command, or the next one.
  void send(std::size_t site, MixedCommand command);
  void send(std::size_t site);
  /// The next command of the open loop of a site gets its time.
  void schedule(std::size_t site);
  /// The command of this moment is sent, if it may be.
  void send_open(std::size_t site);
  /// A command on its way.
  struct Asked {
    std::size_t site = 0;
    ReplicaId replica;
    Tick sent_at = 0;
    Tick back_us = 0;
    MixedCommand command;
  };
  void propose(const Asked& asked);
  void ended(const Asked& asked, const Outcome& outcome);
  /// Runs `action` after this time, or at once.
  template <class Action>
  void after(Tick us, Action action);

  sim::Cluster& cluster_;
  const FaultyWorld& world_;
  const RunOptions& options_;
  Recorder& recorder_;
  InsertedRecords inserted_;
  SiteCommands commands_;
  std::vector<Arrivals> arrivals_;      // By site, of an open loop.
  std::vector<std::size_t> in_flight_;  // By site.
  std::uint64_t unfinished_ = 0;
  bool stopped_ = false;
};

}  // namespace epaxos::bench
