#pragma once

// The log of a server, on its standard error: one line an event, with the time and the replica. The
// one place that knows spdlog.

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace epaxos {

enum class Severity { kDebug, kInfo, kWarning, kError };

/// What --log-level takes, in the order of Severity.
std::span<const std::string> severity_names();

class Log {
 public:
  /// Lines below `lowest` are left out. Precondition: `lowest` is one of severity_names().
  Log(int replica, std::string_view lowest);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void say(Severity severity, std::string_view sentence);
  void info(std::string_view sentence) { say(Severity::kInfo, sentence); }
  void warn(std::string_view sentence) { say(Severity::kWarning, sentence); }
  void error(std::string_view sentence) { say(Severity::kError, sentence); }

 private:
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace epaxos
