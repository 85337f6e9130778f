#include "tests/tidy/include_rules.h"

#include <filesystem>
#include <string_view>

namespace epaxos::tidy {
namespace {

using Patterns = std::vector<std::string_view>;

struct Folder {
  std::string_view path;
  Patterns may_include;
};

// The first row that a file fits decides.
const std::vector<Folder> kFolders = {
    {"deps/*", {"deps/*"}},
    {"executor/*", {"deps/*", "executor/*"}},
    {"net/*", {"deps/*", "executor/*", "net/*"}},
    {"epaxos/contract/*", {"deps/*", "executor/*", "net/*", "epaxos/contract/*"}},
    {"epaxos/protocol/*",
     {"deps/*", "executor/*", "net/*", "epaxos/contract/*", "epaxos/protocol/*"}},
    {"epaxos/storage/*",
     {"deps/*", "executor/*", "net/*", "epaxos/contract/*", "epaxos/storage/*"}},
    {"epaxos/runtime/*",
     {"deps/*", "executor/*", "net/*", "epaxos/contract/*", "epaxos/storage/*",
      "epaxos/runtime/*"}},
    // A node without further wishes runs EPaxos, so it names that core.
    {"epaxos/node/*",
     {"deps/*", "executor/*", "net/*", "epaxos/contract/*", "epaxos/storage/*", "epaxos/runtime/*",
      "epaxos/protocol/*", "epaxos/node/*"}},
    {"epaxos/sim/*",
     {"deps/*", "executor/*", "net/*", "epaxos/contract/*", "epaxos/storage/*", "epaxos/runtime/*",
      "epaxos/sim/*"}},
    {"epaxos/programs/*", {"deps/*", "executor/*", "net/*", "epaxos/*"}},
    {"compare/*", {"deps/*", "executor/*", "net/*", "epaxos/*", "compare/*"}},
    {"bench/*", {"deps/*", "executor/*", "net/*", "epaxos/*", "compare/*", "bench/*"}},
    {"tests/*", {"*"}},
    {"examples/paxos_*", {"deps/types/*", "compare/paxos/*"}},
    {"examples/*",
     {"deps/types/*", "executor/state_machine.h", "executor/key_value*", "epaxos/node/*"}},
};

struct Wrapped {
  Patterns headers;
  Patterns by;
};

// A header that fits no row is refused: a new library needs a row. bench/ measures bare libraries,
// and a test may talk to the one that its folder wraps.
const std::vector<Wrapped> kWrapped = {
    {{"zmq*"}, {"net/*", "tests/net/*", "bench/*"}},
    {{"lmdb.h"}, {"epaxos/storage/lmdb*", "tests/epaxos/storage/*", "bench/*"}},
    {{"capnp/*", "kj/*"}, {"*codec*", "net/client_message.cc"}},
    {{"xxhash.h"},
     {"deps/types/footprint.cc", "deps/types/session.cc", "executor/*", "net/bundle.cc",
      "net/wire.cc", "epaxos/storage/*", "epaxos/node/config.cc", "bench/*"}},
    {{"CLI/*"}, {"epaxos/programs/*", "compare/*", "bench/*"}},
    {{"toml++/*"}, {"epaxos/programs/*", "epaxos/node/*"}},
    {{"spdlog/*"}, {"epaxos/programs/*"}},
    {{"nlohmann/*"}, {"epaxos/programs/*", "bench/*", "tests/*"}},
    {{"benchmark/*"}, {"bench/*"}},
    {{"gtest/*", "gmock/*"}, {"tests/*"}},
};

// POSIX and Linux, for the folders that talk to the outside world, and for who asks for memory.
const Patterns kSystemHeaders = {"sys/*",    "linux/*", "arpa/*",    "netinet/*",
                                 "unistd.h", "fcntl.h", "poll.h",    "sched.h",
                                 "signal.h", "netdb.h", "pthread.h", "stdlib.h",
                                 "time.h",   "dlfcn.h", "dirent.h",  "ifaddrs.h"};
const Patterns kWithSystem = {"net/*",         "epaxos/storage/*",  "epaxos/runtime/*",
                              "epaxos/node/*", "epaxos/programs/*", "bench/*",
                              "tests/*",       "examples/*",        "deps/types/huge_pages.h"};

/// C++'s own headers have neither a stop nor a slash.
bool is_standard(std::string_view header) {
  return header.find_first_of("./") == std::string_view::npos;
}

bool exists(std::string header) {
  const std::filesystem::path root = EPAXOS_SOURCE_DIR;
  if (header.ends_with(".capnp.h")) header.resize(header.size() - 2);
  return std::filesystem::exists(root / header);
}

const Folder* folder_of(std::string_view path) {
  for (const Folder& folder : kFolders) {
    if (fits(path, folder.path)) return &folder;
  }
  return nullptr;
}

bool may_include_angled(std::string_view path, std::string_view header) {
  if (is_standard(header)) return true;
  if (fits_any(header, kSystemHeaders)) return fits_any(path, kWithSystem);
  for (const Wrapped& wrapped : kWrapped) {
    if (fits_any(header, wrapped.headers)) return fits_any(path, wrapped.by);
  }
  return false;
}

}  // namespace

std::vector<Include> includes_of(const SourceFile& file) {
  std::vector<Include> includes;
  std::size_t number = 0;
  for (std::string_view line : lines_of(file.text)) {
    ++number;
    if (!line.starts_with("#include ")) continue;
    const bool angled = line.find('<') < line.find('"');
    const std::size_t begin = line.find_first_of("<\"");
    if (begin == line.npos) continue;
    const std::size_t end = line.find(angled ? '>' : '"', begin + 1);
    includes.push_back({number, std::string(line.substr(begin + 1, end - begin - 1)), angled});
  }
  return includes;
}

Violations include_directions(const SourceFile& file) {
  const Folder* folder = folder_of(file.path);
  if (folder == nullptr)
    return {{file.path, 1, file.path, "a folder that the table does not know"}};
  Violations found;
  for (const Include& include : includes_of(file)) {
    if (include.angled) continue;
    if (!exists(include.header)) {
      found.push_back({file.path, include.line, include.header, "no such path from the root"});
    } else if (!fits_any(include.header, folder->may_include)) {
      found.push_back({file.path, include.line, include.header, "stands to the right"});
    }
  }
  return found;
}

Violations third_party_wrapping(const SourceFile& file) {
  Violations found;
  for (const Include& include : includes_of(file)) {
    const bool generated = include.header.ends_with(".capnp.h");
    const std::string header = generated ? "capnp/" + include.header : include.header;
    if (!include.angled && !generated) continue;
    if (may_include_angled(file.path, header)) continue;
    found.push_back({file.path, include.line, include.header, "this file does not wrap it"});
  }
  return found;
}

}  // namespace epaxos::tidy
