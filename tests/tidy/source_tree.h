#pragma once

// The repository as the tidy tests see it: each source file as text, and the same text with
// comments and the insides of literals blanked, so that a rule about code does not trip over words
// about code.

#include <string>
#include <string_view>
#include <vector>

namespace epaxos::tidy {

struct SourceFile {
  std::string path;  ///< From the root of the repository, with slashes.
  std::string text;
  std::string code;  ///< As long as `text`; comments and insides of literals are spaces.
};

/// A file that exists only here; for rules on known-bad snippets.
SourceFile source_file(std::string path, std::string text);

/// Every file of the repository whose name ends in one of `suffixes`, in the order of the paths,
/// without what the build and the programs write.
std::vector<SourceFile> read_tree(const std::vector<std::string_view>& suffixes);

/// The .h and .cc files of the repository. Read once.
const std::vector<SourceFile>& sources();
/// All files that people read: sources, schemas, scripts, build files and documents. Read once.
const std::vector<SourceFile>& readable_files();

std::vector<std::string_view> lines_of(std::string_view text);

/// Whether `path` fits a pattern in which * stands for anything, slashes too.
bool fits(std::string_view path, std::string_view pattern);
bool fits_any(std::string_view path, const std::vector<std::string_view>& patterns);

/// Lines (from 1) of `text` in which `word` stands with no identifier character right before it,
/// nor right after it when it ends in one.
std::vector<std::size_t> lines_with(std::string_view text, std::string_view word);

}  // namespace epaxos::tidy
