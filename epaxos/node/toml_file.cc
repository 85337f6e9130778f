#include "epaxos/node/toml_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <sys/stat.h>

namespace epaxos::toml_file {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

Failure unreadable(const Words& words, const std::string& path, const std::string& why) {
  return fail(ErrorCode::kInvalidArgument,
              "The " + std::string(words.kind) + " " + path + " " + why);
}

std::string with_stop(std::string sentence) {
  if (!sentence.ends_with('.')) sentence += '.';
  return sentence;
}

}  // namespace

std::string_view word_for(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a point";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or a time";
  }
}

Result<std::string> read(const std::string& path, const Words& words) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return unreadable(words, path,
                      "cannot be read: " + std::string(std::strerror(errno)) + ". Check the path.");
  }
  if (!S_ISREG(about.st_mode)) return unreadable(words, path, "is not a file. Check the path.");
  if (static_cast<std::size_t>(about.st_size) > kFileBytesMax) {
    return unreadable(words, path, "is larger than 1 MiB. Check the path.");
  }
  if (about.st_size == 0) {
    return unreadable(words, path, "is empty. " + std::string(words.to_begin));
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    return unreadable(words, path, "cannot be read. Check its permissions.");
  }
  return text.str();
}

Result<toml::table> parse(std::string_view text, std::string_view path, const Words& words) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kInvalidArgument,
                std::string(path) + ":" + std::to_string(error.source().begin.line) +
                    ": This is not TOML: " + with_stop(std::string(error.description())));
  } catch (const BrokenAssertion&) {
    return fail(ErrorCode::kInvalidArgument, std::string(path) +
                                                 ": This is not TOML. Compare it with " +
                                                 std::string(words.example) + ".");
  }
}

}  // namespace epaxos::toml_file
