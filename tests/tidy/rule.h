#pragma once

// What a rule is: a function from a file to the places that break it. Exceptions are listed in
// exceptions.cc with their reasons, and one that excuses nothing any more is itself a failure.

#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace epaxos::tidy {

struct Violation {
  std::string path;
  std::size_t line = 0;  ///< From 1.
  std::string subject;   ///< The function, the header or the word; what an exception names.
  std::string what;      ///< What is wrong with it.
};
using Violations = std::vector<Violation>;
using Rule = Violations (*)(const SourceFile&);

/// A place that may break a rule, and why.
struct Exception {
  Rule rule;
  std::string_view path;
  std::string_view subject;
  std::string_view reason;
};
extern const std::vector<Exception> kExceptions;

/// One line a violation that is not excused, "path:line: subject: what"; empty when the rule holds.
std::string broken(Rule rule, const std::vector<SourceFile>& files,
                   const std::vector<Exception>& exceptions = kExceptions);

/// One line an exception that excuses nothing, or that gives no reason.
std::string idle_exceptions(const std::vector<SourceFile>& files,
                            const std::vector<Exception>& exceptions = kExceptions);

}  // namespace epaxos::tidy
