#pragma once

// What other threads hand to the event loop: proposals and tasks, bounded in number and bytes. One
// lock a submission and one a turn of the loop; payloads go into one block of bytes that is reused.
// Invariant: what got in also gets out, and nothing gets in after close().

#include <cstddef>
#include <future>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/footprint.h"
#include "deps/types/ids.h"
#include "deps/types/result.h"
#include "deps/types/session.h"
#include "epaxos/runtime/pending.h"

namespace epaxos::runtime {

/// A proposal on its way in. `payload` is a view; the queue copies it.
struct Submission {
  std::optional<Footprint> footprint;  ///< Empty: the machine's admit() says it.
  Bytes payload;
  Tick deadline = kNever;
  Completion done;
  SessionRequest request = {};  ///< Of a session; else empty.
  /// The submission says this about `request`'s session, and has no payload.
  std::optional<SessionOperation> about_session = {};
};

/// Runs once on the loop's thread, between two turns. What it throws is for whoever waits for it.
using Task = std::packaged_task<void()>;

class SubmissionQueue {
 public:
  struct Limits {
    std::size_t count_max = 64 * 1024;
    std::size_t bytes_max = std::size_t{64} << 20;
  };
  struct Size {
    std::size_t count = 0;
    std::size_t bytes = 0;
  };

  explicit SubmissionQueue(const Limits& limits) : limits_(limits) {}

  /// Takes all of them, or none. Errors: overloaded; or what refuse() was given. Any thread.
  Result<void> submit(std::span<Submission> submissions);

  /// False: closed, the task will not run. Any thread. Tasks have a limit of their own making: each
  /// has a thread that waits for it.
  bool submit(Task task);

  /// From here on proposals are refused with this error, the first one given; tasks are not.
  void refuse(Error error);
  /// From here on tasks are refused too. Precondition: refuse() was called.
  void close();

  [[nodiscard]] Size size() const;

  /// What was taken; the loop keeps one and its memory is reused.
  class Batch {
   public:
    [[nodiscard]] bool empty() const { return submissions_.empty() && tasks_.empty(); }
    /// Payloads are views that live until the next take().
    std::span<Submission> submissions() { return submissions_; }
    std::span<Task> tasks() { return tasks_; }

   private:
    friend class SubmissionQueue;
    std::vector<Submission> submissions_;
    std::vector<Task> tasks_;
    std::vector<std::byte> bytes_;
  };

  /// Moves everything that waits into `batch`, whose former content is gone. The loop's thread.
  void take(Batch& batch);

 private:
  const Limits limits_;
  mutable std::mutex mutex_;
  Batch waiting_;  // Payloads are set when the batch is taken: the bytes may still move.
  std::optional<Error> refused_;
  bool closed_ = false;
};

}  // namespace epaxos::runtime
