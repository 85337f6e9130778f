#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/node/node.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/history_json.h"
#include "epaxos/programs/log.h"
#include "epaxos/programs/process.h"
#include "epaxos/programs/programs.h"
#include "epaxos/programs/serve_options.h"
#include "epaxos/programs/status_json.h"
#include "epaxos/programs/text_table.h"
#include "epaxos/programs/watch.h"
#include "executor/key_value_machine.h"

namespace epaxos {
namespace {

constexpr int kLookEveryMs = 1000;

Tick monotonic_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<Tick>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

std::string ready_line(const NodeStatus& status, std::uint64_t open_files_max) {
  return "ready: replica " + std::to_string(status.self.value()) + " of " +
         std::to_string(status.replica_count) + " in cluster \"" + status.cluster +
         "\", protocol " + status.protocol + ", durability " +
         std::string(to_string(status.durability)) + ", peers at " + status.peer_address +
         ", clients at " + status.client_address + ", at most " + grouped(open_files_max) +
         " open files, " + grouped(status.counter("client_plane", "connections_max")) +
         " of them clients";
}

/// One run of a replica. Signals are read and lines are written on the main thread alone, so that
/// neither a slow disk nor a log that nobody reads holds up the other.
class Server {
 public:
  /// Precondition: it is said which replica this is.
  Server(const ServeOptions& options, std::uint64_t open_files_max)
      : log_(*options.replica, options.log_level), open_files_max_(open_files_max) {}

  int run(NodeConfig config) {
    for (const std::string& note : config.cluster.notes) log_.warn(note);
    if (config.unsafe_rejoin) {
      log_.warn("votes even if memory was lost (--unsafe-rejoin): agreement may break");
    }
    for (const ReplicaSettings& replica : config.cluster.replicas) {
      peer_addresses_.push_back(replica.peer);
    }
    config.format_status = status_json;
    config.format_history = history_json;
    config.on_failure = [this](std::string_view) { event_.raise(); };
    auto opened = open(std::move(config));
    if (!opened) {
      log_.error("cannot start: " + opened.error().message);
      return kServeCannotOpen;
    }
    const std::unique_ptr<Node> node = *std::move(opened);
    if (!stop_wanted_) {
      log_.info(ready_line(node->status(), open_files_max_));
      watch_until_the_end(*node);
    }
    return stop(*node);
  }

 private:
  /// Opening reads the whole disk, which may take long: on a thread of its own, so that a signal is
  /// seen meanwhile. Half open there is nothing to stop, so the first one is kept for afterwards.
  Result<std::unique_ptr<Node>> open(NodeConfig config) {
    Event done;
    auto opening = std::async(std::launch::async, [&done, &config] {
      auto opened = Node::open(std::move(config), std::make_unique<KeyValueMachine>());
      done.raise();
      return opened;
    });
    while (wait_for(signals_, done, -1) != Woken::kByEvent) {
      if (stop_wanted_) continue;
      take_signal();
      log_.info("stops as soon as it has read its disk; a second signal ends it at once");
    }
    return opening.get();
  }

  void take_signal() {
    signals_.release();
    stop_wanted_ = true;
  }

  void watch_until_the_end(Node& node) {
    Watch watch(peer_addresses_);
    while (true) {
      const NodeStatus status = node.status();
      for (const Remark& remark : watch.look(status, monotonic_us())) {
        log_.say(remark.severity, remark.text);
      }
      switch (wait_for(signals_, event_, kLookEveryMs)) {
        case Woken::kByNothing:
          continue;
        case Woken::kBySignal:
          take_signal();
          log_.info("stops as it was told; a second signal ends it at once");
          return;
        case Woken::kByEvent:
          signals_.release();  // Its end may take as long as the disk that failed likes.
          return;
      }
    }
  }

  int stop(Node& node) {
    const Result<void> stopped = node.stop();
    const std::string reason = node.status().stop_reason;
    if (!stop_wanted_) {
      log_.error("stops by itself: " + reason);
      return kServeFailed;
    }
    if (!stopped) {
      log_.error("did not stop cleanly: " + stopped.error().message);
      return kServeFailed;
    }
    log_.info("stopped");
    return kServeStopped;
  }

  StopSignals signals_;
  Event event_;  // The node stops by itself.
  Log log_;
  const std::uint64_t open_files_max_;
  std::vector<std::string> peer_addresses_;  // Of all replicas.
  bool stop_wanted_ = false;
};

/// What --check-config and --print-config do, once the file is read.
int show_config(const ServeOptions& options, const ClusterConfig& cluster) {
  if (options.print_config) {
    std::fputs(cluster.to_toml().c_str(), stdout);
  } else {
    const int count = cluster.replica_count();
    std::printf("%s: fine, %d replica%s\n", options.config_path.c_str(), count,
                count == 1 ? "" : "s");
    for (const std::string& note : cluster.notes) std::printf("note: %s\n", note.c_str());
  }
  return kServeStopped;
}

}  // namespace

int serve(std::span<const Protocol> protocols, int argc, char** argv) {
  check(!protocols.empty(), "a server was given no protocol");
  open_standard_streams();
  const auto said = [](int status) {
    return output_written("epaxosd") || status != kServeStopped ? status : kServeNotWritten;
  };
  int exit_status = kServeStopped;
  const auto options = read_serve_options(protocols, argc, argv, exit_status);
  if (!options) return said(exit_status);
  auto config = node_config(protocols, *options);
  if (!config) {
    std::fprintf(stderr, "epaxosd: %s\n", config.error().message.c_str());
    return kServeBadUsage;
  }
  if (options->check_config || options->print_config) {
    return said(show_config(*options, config->cluster));
  }
  const std::uint64_t open_files_max = raise_open_files();
  if (const Result<void> enough = check_open_files(); !enough) {
    std::fprintf(stderr, "epaxosd: %s\n", enough.error().message.c_str());
    return kServeBadUsage;
  }
  return Server(*options, open_files_max).run(*std::move(config));
}

}  // namespace epaxos
