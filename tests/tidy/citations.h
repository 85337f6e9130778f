#pragma once

// Whoever cites a page of docs/ finds it, and the section there: "protocol.md 6.3" needs a heading
// or a numbered paragraph 6.3 in docs/protocol.md.

#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace epaxos::tidy {

/// The numbers that open a heading ("## 6. ...", "### 6.3 ...") or a paragraph or item in bold
/// ("**8.3 Lemma 3", "* **18.1**"): "6", "6.3".
std::vector<std::string> sections_of(std::string_view document);

/// What a text cites: the page, and the section if there is one.
struct Citation {
  std::size_t line = 0;  ///< From 1.
  std::string page;      ///< Its path below docs/, or from the root.
  std::string section;   ///< "6.3"; empty when the page as a whole is meant.
};

/// Reads "PAGE 4.2 and 13.1", "PAGE 4-6, 7.1 (1)-(2), 10" and "docs/PAGE", over the ends of lines
/// of a comment; of a range both ends.
std::vector<Citation> citations_of(std::string_view text);

/// One line a citation that leads nowhere, "path:line: page section".
std::string dangling(const std::vector<SourceFile>& files, const std::vector<SourceFile>& pages);

}  // namespace epaxos::tidy
