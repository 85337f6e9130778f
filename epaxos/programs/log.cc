#include "epaxos/programs/log.h"

#include <array>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace epaxos {
namespace {

spdlog::level::level_enum level_of(Severity severity) {
  switch (severity) {
    case Severity::kDebug:
      return spdlog::level::debug;
    case Severity::kInfo:
      return spdlog::level::info;
    case Severity::kWarning:
      return spdlog::level::warn;
    case Severity::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

std::span<const std::string> severity_names() {
  static const std::array<std::string, 4> names{"debug", "info", "warning", "error"};
  return names;
}

Log::Log(int replica, std::string_view lowest)
    : logger_(std::make_unique<spdlog::logger>("epaxosd",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_pattern("%Y-%m-%d %H:%M:%S.%e R" + std::to_string(replica) + " %l: %v");
  logger_->set_level(spdlog::level::from_str(std::string(lowest)));
  logger_->flush_on(spdlog::level::trace);
}

Log::~Log() = default;

void Log::say(Severity severity, std::string_view sentence) {
  // As an argument: a sentence may hold braces.
  logger_->log(level_of(severity), "{}", sentence);
}

}  // namespace epaxos
