#pragma once

// A process that a benchmark or a test starts and surely ends: it dies with its parent, and with
// this object.

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos {

class ChildProcess {
 public:
  /// Starts `command` (a path and its arguments). Its standard input and output are pipes to here;
  /// its standard error goes to `log_path`, or stays where ours is when that is empty. Ctrl-C does
  /// not reach it: who started it decides when it ends.
  /// Errors: io - no such program, no processes left.
  static Result<ChildProcess> start(const std::vector<std::string>& command,
                                    const std::string& log_path = {});
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  /// Kills it, if it still runs.
  ~ChildProcess();

  /// False: it does not read any more. Precondition: close_input() was not called.
  bool write_line(std::string_view line);
  /// The end of its standard input.
  void close_input();
  /// The next whole line of its output, or none when that takes longer, or it has ended.
  std::optional<std::string> read_line(Tick timeout_us);

  /// Whether it has ended; reaps it.
  bool ended();
  /// Of an ended one: its exit status, or 128 and the signal that killed it.
  [[nodiscard]] int exit_status() const { return exit_status_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

  /// Waits for its end; its exit status, or -1 when it still runs after the timeout.
  int wait(Tick timeout_us);
  /// SIGTERM, and SIGKILL for one that has not ended after the grace. Returns its exit status.
  int stop(Tick grace_us);

 private:
  ChildProcess() = default;
  bool wait_for(Tick timeout_us);

  pid_t pid_ = -1;
  int in_ = -1;   // Its standard input.
  int out_ = -1;  // Its standard output.
  int exit_status_ = -1;
  bool ended_ = false;
  std::string unread_;
};

/// The program `name` in the directory of the running one.
std::string sibling_program(std::string_view name);

/// Whether SIGINT, SIGTERM or SIGHUP has come since catch_interrupts().
bool interrupted();
/// From here on the first of these signals makes interrupted() true, and the second one ends the
/// process at once with status 130; its children die with it.
void catch_interrupts();

}  // namespace epaxos
