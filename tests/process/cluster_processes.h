#pragma once

// Real replicas for tests: epaxosd processes on loopback, each with a data directory, that can be
// killed, stopped and started again. They end with the test.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "epaxos/node/config.h"
#include "epaxos/programs/child_process.h"
#include "executor/key_value_command.h"
#include "net/client.h"

namespace epaxos::testing {

/// A directory that is removed at the end of the test.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  /// Writes a file; returns its path.
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

/// How a program ended, and what it said.
struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};
/// Runs a program of the build to its end; its standard input is `input`.
Ran run_program(const std::string& name, const std::vector<std::string>& arguments,
                const std::string& input = {});

std::string file_text(const std::string& path);

class ClusterProcesses {
 public:
  explicit ClusterProcesses(int replicas, Durability durability = Durability::kSync,
                            const std::string& name = "processes");
  explicit ClusterProcesses(ClusterConfig config);

  void start(int replica, const std::vector<std::string>& more = {});
  /// The same, with so many open files at most.
  void start_limited(int replica, int open_files_max);
  void start_all();
  /// SIGKILL.
  void kill(int replica);
  /// SIGSTOP, SIGCONT.
  void signal(int replica, int number);
  /// SIGTERM; its exit status.
  int stop(int replica);
  /// SIGSTOP, and SIGCONT.
  void pause(int replica);
  void resume(int replica);

  /// epaxosctl with this cluster's file.
  [[nodiscard]] Ran control(const std::vector<std::string>& arguments,
                            const std::string& input = {}) const;
  /// Waits until the replica tells its status and `holds` for it; false after a long time.
  bool wait_for(int replica, const std::function<bool(const std::string& json)>& holds);
  bool wait_until_it_answers(int replica);
  /// What the cores of these replicas have counted together under this name; 0 for one that does
  /// not answer.
  std::uint64_t counted(const std::vector<int>& replicas, const std::string& name);
  /// Waits until all these replicas have executed the same and know of nothing more, and compares
  /// their digests.
  bool agree(const std::vector<int>& replicas);

  [[nodiscard]] net::Client& client() { return *client_; }
  /// A new client that prefers one replica.
  [[nodiscard]] std::unique_ptr<net::Client> client_at(int replica,
                                                       bool exactly_once = false) const;
  [[nodiscard]] const ClusterConfig& config() const { return config_; }
  [[nodiscard]] const std::string& config_path() const { return config_path_; }
  [[nodiscard]] std::string data(int replica) const;
  [[nodiscard]] std::string log(int replica) const;
  [[nodiscard]] const Scratch& scratch() const { return scratch_; }

 private:
  [[nodiscard]] std::vector<std::string> server_command(int replica) const;
  void run(int replica, const std::vector<std::string>& command);
  std::optional<std::string> ask(int replica, net::RequestKind kind);

  Scratch scratch_;
  ClusterConfig config_;
  std::string config_path_;
  std::vector<std::optional<ChildProcess>> replicas_;
  std::unique_ptr<net::Client> client_;
};

}  // namespace epaxos::testing
