#pragma once

// Runs of `epaxos-bench` as a program of its own.

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace epaxos::bench {

struct Finished {
  int status = -1;
  std::string out;  ///< Both streams.
};

/// Arguments that end in a failure, and what it says.
struct Refused {
  const char* arguments;
  const char* sentence;
};

/// Runs `epaxos-bench ARGUMENTS` in a shell.
inline Finished bench(const std::string& arguments, const std::string& redirect = " 2>&1") {
  const std::string command =
      std::string("'" EPAXOS_PROGRAMS_DIR "'/epaxos-bench ") + arguments + redirect;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  Finished run;
  char part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, pipe)) run.out.append(part, got);
  const int status = ::pclose(pipe);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

/// An own empty directory for temporary files, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string path = std::filesystem::temp_directory_path() / "bench-test-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The processes whose parent is `parent`.
inline std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

/// Runs `epaxos-bench ARGUMENTS` with a Ctrl-C as soon as it has three replicas. `out` is its
/// standard output alone.
inline Finished interrupted_bench(std::vector<std::string> arguments) {
  const Scratch scratch;
  const std::string out = scratch.path() / "out";
  const std::string program = std::string(EPAXOS_PROGRAMS_DIR) + "/epaxos-bench";
  std::vector<char*> words{const_cast<char*>("epaxos-bench")};
  for (std::string& word : arguments) words.push_back(word.data());
  words.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (std::freopen(out.c_str(), "w", stdout) == nullptr) ::_exit(3);
    ::execv(program.c_str(), words.data());
    ::_exit(3);
  }
  Finished run;
  EXPECT_GT(pid, 0);
  if (pid < 0) return run;
  while (children_of(pid).size() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(pid, SIGINT);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  std::ifstream file(out);
  run.out.assign(std::istreambuf_iterator<char>(file), {});
  return run;
}

}  // namespace epaxos::bench
