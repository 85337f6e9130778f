#pragma once

// What every replica says of itself, asked again and again, so that who is silent holds up nobody
// who waits for a word of the others. Private to the programs.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "epaxos/programs/control_output.h"
#include "net/client.h"

namespace epaxos {

class Statuses {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  using Reports = std::vector<ReplicaReport>;

  /// `places`: of those that `asked` names, among those that the client knows. The client outlives
  /// this, and is not polled once this is gone.
  Statuses(net::Client& client, Reports asked, const std::vector<ReplicaId>& places,
           Deadline deadline);
  Statuses(const Statuses&) = delete;
  Statuses& operator=(const Statuses&) = delete;

  /// Asks until `enough` holds of what has been said; false: the deadline came first.
  bool wait_until(const std::function<bool(const Reports&)>& enough);
  /// From here on only that counts which is asked from here on.
  void forget();
  [[nodiscard]] const Reports& reports() const { return reports_; }
  /// How long it is until the deadline; never 0.
  [[nodiscard]] Tick left_us() const;
  [[nodiscard]] bool is_over() const { return std::chrono::steady_clock::now() >= deadline_; }

 private:
  struct Question {
    ReplicaId place;
    bool is_open = false;
    std::uint64_t round = 0;
    Deadline due;
  };

  void ask(std::size_t index);
  void take(std::size_t index, const net::ClientOutcome& outcome);

  net::Client& client_;
  Deadline deadline_;
  Reports reports_;
  std::vector<Question> questions_;  // One a report.
  std::uint64_t round_ = 0;
};

}  // namespace epaxos
