#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace epaxos::tidy {
namespace {

namespace fs = std::filesystem;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Walks over a text once and blanks what is not code.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : text_(text), code_(text) {}

  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(code_);
  }

 private:
  void step() {
    if (starts("//")) return blank_until(text_.find('\n', at_), 0);
    if (starts("/*")) return blank_until(text_.find("*/", at_ + 2), 2);
    if (starts("R\"")) return raw_string();
    if (text_[at_] == '"') return quoted('"');
    if (text_[at_] == '\'' && !(at_ > 0 && is_word(text_[at_ - 1]))) return quoted('\'');
    ++at_;
  }

  bool starts(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  /// Blanks up to `end` and `more` characters of what stands there.
  void blank_until(std::size_t end, std::size_t more) {
    end = end == std::string_view::npos ? text_.size() : end + more;
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') code_[at_] = ' ';
    }
  }

  void raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) return blank_until(open, 0);
    const std::string closing = ")" + std::string(text_.substr(at_ + 2, open - at_ - 2)) + "\"";
    blank_until(text_.find(closing, open), closing.size());
  }

  void quoted(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    ++at_;
    blank_until(std::min(end, text_.size()), 0);
    ++at_;
  }

  std::string_view text_;
  std::string code_;
  std::size_t at_ = 0;
};

bool is_written_by_us(const fs::path& directory) {
  const std::string name = directory.filename().string();
  return name != ".git" && !name.starts_with("build") && name != "out";
}

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

SourceFile source_file(std::string path, std::string text) {
  std::string code = Blanker(text).run();
  return {std::move(path), std::move(text), std::move(code)};
}

std::vector<SourceFile> read_tree(const std::vector<std::string_view>& suffixes) {
  const fs::path root = EPAXOS_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (auto entry = fs::recursive_directory_iterator(root); entry != fs::end(entry); ++entry) {
    if (entry->is_directory()) {
      if (!is_written_by_us(entry->path())) entry.disable_recursion_pending();
      continue;
    }
    const std::string path = entry->path().lexically_relative(root).generic_string();
    const auto ends = [&](std::string_view suffix) { return path.ends_with(suffix); };
    if (std::ranges::any_of(suffixes, ends)) files.push_back(source_file(path, read(*entry)));
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> files = read_tree({".h", ".cc"});
  return files;
}

const std::vector<SourceFile>& readable_files() {
  static const std::vector<SourceFile> files =
      read_tree({".h", ".cc", ".capnp", ".sh", "/run", ".txt", ".cmake", ".in", ".json", ".md",
                 ".toml", ".gp", "LICENSE"});
  return files;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool fits(std::string_view path, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return path == pattern;
  if (!path.starts_with(pattern.substr(0, star))) return false;
  path.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  const std::string_view next = pattern.substr(0, pattern.find('*'));
  if (next.size() == pattern.size()) return path.ends_with(next);
  const std::size_t at = path.find(next);
  if (at == std::string_view::npos) return false;
  return fits(path.substr(at), pattern);
}

bool fits_any(std::string_view path, const std::vector<std::string_view>& patterns) {
  return std::ranges::any_of(patterns, [&](std::string_view p) { return fits(path, p); });
}

std::vector<std::size_t> lines_with(std::string_view text, std::string_view word) {
  std::vector<std::size_t> found;
  std::size_t number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    for (std::size_t at = line.find(word); at != line.npos; at = line.find(word, at + 1)) {
      const std::size_t end = at + word.size();
      if (is_word(word.front()) && at > 0 && is_word(line[at - 1])) continue;
      if (is_word(word.back()) && end < line.size() && is_word(line[end])) continue;
      found.push_back(number);
      break;
    }
  }
  return found;
}

}  // namespace epaxos::tidy
