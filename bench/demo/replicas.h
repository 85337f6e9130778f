#pragma once

// The replicas of the demo: epaxosd processes on loopback, what they say of themselves, and their
// end. They never outlive this object or this process.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/result.h"
#include "epaxos/programs/child_process.h"
#include "epaxos/storage/store.h"
#include "net/client.h"

namespace epaxos::bench {

/// What a replica has counted. The last three are of what it sent to other replicas.
struct ReplicaCounts {
  std::uint64_t commands = 0;  ///< Proposed here.
  std::uint64_t fast = 0;      ///< Instances committed in one round trip, ...
  std::uint64_t slow = 0;      ///< ... and in two.
  std::uint64_t frames = 0;    ///< Messages of the protocol, one a receiver.
  std::uint64_t bundles = 0;   ///< Messages on the wire, each with the frames of one turn.
  std::uint64_t bytes = 0;

  /// What came on top of `before`.
  [[nodiscard]] ReplicaCounts since(const ReplicaCounts& before) const;
  ReplicaCounts& operator+=(const ReplicaCounts& other);
  bool operator==(const ReplicaCounts&) const = default;
};

/// What the demo reads of a replica's status.
struct ReplicaStatus {
  struct Row {
    std::uint64_t executed_up_to = 0;
    std::uint64_t highest_known = 0;
    bool operator==(const Row&) const = default;
  };
  bool connected = false;  ///< To every other replica.
  bool voting = false;
  std::vector<Row> rows;
  ReplicaCounts counts;
};

/// None: it is no status.
std::optional<ReplicaStatus> read_status(std::string_view json);

/// Whether every replica has executed everything that any of them knows of.
bool at_rest(const std::vector<ReplicaStatus>& statuses);

/// Errors: corrupted - the states differ; the sentence shows the digests.
Result<void> same_state(const std::vector<std::string>& digests);

class Replicas {
 public:
  struct Options {
    int count = 0;
    Durability durability = Durability::kSync;
    std::string directory;  ///< Of their data and their cluster file.
    std::string logs;       ///< Directory of what they print.
  };

  /// `waits` is called now and then while something takes its time.
  Replicas(Options options, std::function<void()> waits);
  /// Ends them: all at once, cleanly if they do so in time.
  ~Replicas();
  Replicas(const Replicas&) = delete;
  Replicas& operator=(const Replicas&) = delete;

  /// Starts them and waits until they have found each other.
  Result<void> start();
  /// Errors: unavailable - one of the processes has ended that was not killed; deadline - we were
  /// interrupted.
  Result<void> all_run();
  /// SIGKILL, and a new start on what is on its disk.
  void kill(int replica);
  Result<void> start_again(int replica);
  /// What a replica says that was just started, as seen by somebody who has just come: who waits
  /// for it longer tries to connect less and less often. None: it does not answer yet.
  std::optional<ReplicaStatus> look(int replica);
  /// The status of each. Errors: unavailable - one does not tell it.
  Result<std::vector<ReplicaStatus>> statuses();
  /// Whether each of them is connected to every other; false if one does not tell.
  bool all_connected();
  /// Waits until they are at rest.
  Result<void> settle();
  /// The digest of each state as hexadecimal digits.
  Result<std::vector<std::string>> digests();
  /// The sum of the counters with these keys, read through one replica.
  Result<std::uint64_t> sum_of(const std::vector<std::string>& keys);

  [[nodiscard]] const std::string& config_path() const { return config_path_; }

 private:
  template <class Holds>
  Result<void> wait_until(Holds holds, const std::string& otherwise);
  Result<void> start_process(int replica);
  [[nodiscard]] bool is_down(int replica) const;
  static std::optional<std::string> ask(net::Client& client, int replica, net::RequestKind kind,
                                        Tick deadline_us);
  [[nodiscard]] std::string log_of(int replica) const;

  const Options options_;
  const std::function<void()> waits_;
  const std::string config_path_;
  std::vector<std::optional<ChildProcess>> processes_;  // None: it was killed.
  net::ClientOptions client_options_;
  std::unique_ptr<net::Client> client_;
  std::unique_ptr<net::Client> newcomer_;  // For look().
};

}  // namespace epaxos::bench
