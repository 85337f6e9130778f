#pragma once

// TOML files, as a person gives them: what cannot be read, or is no TOML, is refused with a
// sentence that names the file and the place. The one header that knows toml++. A source that
// includes it needs epaxos_reads_toml() in its CMakeLists.txt. Private to this project: not
// installed.

#include <string>
#include <string_view>

namespace epaxos::toml_file {

struct BrokenAssertion {};

/// What toml++ asserts in its parser a file can break ("[ ="). Such a file must not end the
/// process; epaxos_reads_toml() makes this the assertion of toml++.
constexpr void assert_that(bool holds) {
  if (!holds) throw BrokenAssertion();
}

}  // namespace epaxos::toml_file

#include <toml++/toml.h>

#include "deps/types/result.h"

namespace epaxos::toml_file {

/// How sentences speak of files of one kind.
struct Words {
  std::string_view kind;      ///< "cluster file"
  std::string_view example;   ///< What a broken one is to be compared with.
  std::string_view to_begin;  ///< What an empty one needs, as a sentence.
};

/// "a whole number", ...
std::string_view word_for(toml::node_type type);

/// From 1; 0: unknown.
inline std::size_t line_of(const toml::node& node) {
  return node.source().begin.line;
}

/// All of a regular file of at most 1 MiB. Errors: invalid argument.
Result<std::string> read(const std::string& path, const Words& words);

/// `path`: for sentences. Errors: invalid argument.
Result<toml::table> parse(std::string_view text, std::string_view path, const Words& words);

}  // namespace epaxos::toml_file
