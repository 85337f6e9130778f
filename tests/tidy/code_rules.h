#pragma once

// Rules about the code itself: where no clock, thread or chance may be, how long things may be, and
// words that do not belong here. Each is a function from a file to what breaks it.

#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/rule.h"

namespace epaxos::tidy {

/// Below the event loop there is no clock, no thread, no chance, no order by address, and no
/// unordered container whose order could reach an output. Source: docs/architecture.md.
Violations determinism(const SourceFile& file);

inline constexpr std::size_t kColumnsMax = 100;
inline constexpr std::size_t kFunctionLinesMax = 70;
inline constexpr std::size_t kFileLinesMax = 600;
Violations line_length(const SourceFile& file);
Violations function_length(const SourceFile& file);
Violations file_length(const SourceFile& file);

/// Every header has #pragma once, and then says in a comment what it is.
Violations header_opening(const SourceFile& file);

/// No using namespace, macros, assert, shared_ptr, and no underscore in the name of a test.
Violations banned_code(const SourceFile& file);

/// No notes to oneself, and nothing about the place where the repository was written.
Violations banned_words(const SourceFile& file);

struct Function {
  std::string name;  ///< The text before its parameters: "Core::propose", "TEST".
  std::size_t first_line = 0;
  std::size_t lines =
      0;  ///< From the one with the opening brace to the one with the closing brace.
};
std::vector<Function> functions_of(const SourceFile& file);

}  // namespace epaxos::tidy
