#include "tests/tidy/rule.h"

#include <algorithm>

namespace epaxos::tidy {
namespace {

constexpr std::size_t kReasonBytesMin = 20;

bool excuses(const Exception& exception, Rule rule, const Violation& violation) {
  return exception.rule == rule && exception.path == violation.path &&
         exception.subject == violation.subject;
}

bool excuses_anything(const Exception& exception, const std::vector<SourceFile>& files) {
  return std::ranges::any_of(files, [&](const SourceFile& file) {
    if (file.path != exception.path) return false;
    return std::ranges::any_of(exception.rule(file), [&](const Violation& violation) {
      return excuses(exception, exception.rule, violation);
    });
  });
}

}  // namespace

std::string broken(Rule rule, const std::vector<SourceFile>& files,
                   const std::vector<Exception>& exceptions) {
  std::string report;
  for (const SourceFile& file : files) {
    for (const Violation& violation : rule(file)) {
      const auto applies = [&](const Exception& e) { return excuses(e, rule, violation); };
      if (std::ranges::any_of(exceptions, applies)) continue;
      report += violation.path + ":" + std::to_string(violation.line) + ": " + violation.subject +
                ": " + violation.what + "\n";
    }
  }
  return report;
}

std::string idle_exceptions(const std::vector<SourceFile>& files,
                            const std::vector<Exception>& exceptions) {
  std::string report;
  for (const Exception& exception : exceptions) {
    const std::string where = std::string(exception.path) + ": " + std::string(exception.subject);
    if (exception.reason.size() < kReasonBytesMin) report += where + ": without a reason\n";
    if (!excuses_anything(exception, files)) report += where + ": excuses nothing any more\n";
  }
  return report;
}

}  // namespace epaxos::tidy
