#pragma once

// What a file may include: folders to its left, and third-party libraries only where they are
// wrapped. The tables are in the source. Source: docs/architecture.md, the folders.

#include <string>
#include <vector>

#include "tests/tidy/rule.h"

namespace epaxos::tidy {

struct Include {
  std::size_t line = 0;
  std::string header;
  bool angled = false;  ///< <like this>, not "like this".
};
std::vector<Include> includes_of(const SourceFile& file);

/// A folder includes itself and what stands to its left, by paths from the root that exist.
Violations include_directions(const SourceFile& file);

/// A header that is neither C++'s nor the system's is included only by the files that wrap it.
Violations third_party_wrapping(const SourceFile& file);

}  // namespace epaxos::tidy
