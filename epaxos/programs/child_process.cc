#include "epaxos/programs/child_process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace epaxos {
namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t interrupt_came = 0;
constexpr int kInterruptedStatus = 130;  // As shells say it of a program that Ctrl-C has ended.

struct Pipe {
  int read = -1;
  int write = -1;
};

bool open_pipe(Pipe& out) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  out = {ends[0], ends[1]};
  return true;
}

/// In the new process, up to the exec. Only calls that are safe after a fork.
[[noreturn]] void become(char* const* arguments, const Pipe& in, const Pipe& out, int log,
                         const Pipe& failure, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  // A terminal's Ctrl-C goes to a whole process group, and who reads signals from a file descriptor
  // gets it although it is ignored.
  ::setpgid(0, 0);
  ::dup2(in.read, STDIN_FILENO);
  ::dup2(out.write, STDOUT_FILENO);
  if (log >= 0) ::dup2(log, STDERR_FILENO);
  ::execv(arguments[0], arguments);
  const int error = errno;
  static_cast<void>(!::write(failure.write, &error, sizeof(error)));
  ::_exit(127);
}

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& command,
                                         const std::string& log_path) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  int log = -1;
  if (!log_path.empty()) {
    log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
      return fail(ErrorCode::kIo, "Cannot write " + log_path + ": " + std::strerror(errno) + ".");
    }
  }
  Pipe in;
  Pipe out;
  Pipe failure;
  if (!open_pipe(in) || !open_pipe(out) || !open_pipe(failure)) {
    return fail(ErrorCode::kIo, "No file descriptors are left; raise the limit (ulimit -n).");
  }
  std::signal(SIGPIPE, SIG_IGN);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(arguments.data(), in, out, log, failure, parent);
  ::close(in.read);
  ::close(out.write);
  ::close(failure.write);
  if (log >= 0) ::close(log);
  int error = pid < 0 ? errno : 0;
  if (pid > 0) static_cast<void>(!::read(failure.read, &error, sizeof(error)));
  ::close(failure.read);
  ChildProcess child;
  child.pid_ = pid;
  child.in_ = in.write;
  child.out_ = out.read;
  child.ended_ = pid < 0;
  if (error != 0) {
    return fail(ErrorCode::kIo, "Cannot start " + command[0] + ": " + std::strerror(error) + ".");
  }
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept {
  *this = std::move(other);
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(in_, other.in_);
  std::swap(out_, other.out_);
  std::swap(exit_status_, other.exit_status_);
  std::swap(ended_, other.ended_);
  std::swap(unread_, other.unread_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (in_ >= 0) ::close(in_);
  if (out_ >= 0) ::close(out_);
}

bool ChildProcess::write_line(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(in_, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    written += static_cast<std::size_t>(n);
  }
  return true;
}

void ChildProcess::close_input() {
  if (in_ >= 0) ::close(in_);
  in_ = -1;
}

std::optional<std::string> ChildProcess::read_line(Tick timeout_us) {
  const auto end = Clock::now() + std::chrono::microseconds(timeout_us);
  while (true) {
    if (const std::size_t at = unread_.find('\n'); at != std::string::npos) {
      std::string line = unread_.substr(0, at);
      unread_.erase(0, at + 1);
      return line;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left < 0) return std::nullopt;
    pollfd fd{out_, POLLIN, 0};
    const int ready = ::poll(&fd, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) {
      if (interrupted()) return std::nullopt;
      continue;
    }
    if (ready <= 0) return std::nullopt;
    char buffer[4096];
    const ssize_t n = ::read(out_, buffer, sizeof(buffer));
    if (n <= 0) return std::nullopt;
    unread_.append(buffer, static_cast<std::size_t>(n));
  }
}

bool ChildProcess::ended() {
  if (ended_) return true;
  int status = 0;
  const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == 0 || (reaped < 0 && errno == EINTR)) return false;
  ended_ = true;
  exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return true;
}

bool ChildProcess::wait_for(Tick timeout_us) {
  const auto end = Clock::now() + std::chrono::microseconds(timeout_us);
  while (!ended()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

int ChildProcess::wait(Tick timeout_us) {
  return wait_for(timeout_us) ? exit_status_ : -1;
}

int ChildProcess::stop(Tick grace_us) {
  if (!ended()) ::kill(pid_, SIGTERM);
  if (!wait_for(grace_us)) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ended_ = true;
    exit_status_ = 128 + SIGKILL;
  }
  return exit_status_;
}

std::string sibling_program(std::string_view name) {
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return (self.parent_path() / name).string();
}

bool interrupted() {
  return interrupt_came != 0;
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {
    if (interrupt_came != 0) ::_exit(kInterruptedStatus);
    interrupt_came = 1;
  };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    // Under nohup a closed terminal is ignored, and stays so.
    if (signal == SIGHUP && before.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
}

}  // namespace epaxos
