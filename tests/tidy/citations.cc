#include "tests/tidy/citations.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace epaxos::tidy {
namespace {

constexpr std::string_view kSuffix = ".md";

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

bool is_of_path(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '/' ||
         c == '.';
}

/// "6" or "6.3" at the start of `text`; empty if there is none.
std::string_view number_at(std::string_view text) {
  std::size_t end = 0;
  const auto digits = [&] {
    while (end < text.size() && is_digit(text[end])) ++end;
  };
  digits();
  if (end > 0 && end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
    ++end;
    digits();
  }
  return text.substr(0, end);
}

/// Walks over what stands behind the name of a page.
class Numbers {
 public:
  explicit Numbers(std::string_view text) : text_(text) {}

  std::vector<std::string> read() {
    skip("`");
    do {
      skip_blanks();
      const std::string_view number = number_at(text_);
      if (number.empty()) break;
      found_.emplace_back(number);
      text_.remove_prefix(number.size());
      skip_parentheses();
    } while (skip_separator());
    return found_;
  }

 private:
  bool skip(std::string_view what) {
    if (!text_.starts_with(what)) return false;
    text_.remove_prefix(what.size());
    return true;
  }
  /// Blanks, ends of lines, and what opens the next line of a comment.
  void skip_blanks() {
    const std::size_t end = text_.find_first_not_of(" \n/*");
    text_.remove_prefix(std::min(end, text_.size()));
  }
  /// " (1)-(2)"
  void skip_parentheses() {
    while (text_.starts_with(" (") || text_.starts_with("-(")) {
      const std::size_t end = text_.find(')');
      text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
    }
  }
  bool skip_separator() {
    if (skip(",") || skip("-")) return true;
    const std::string_view before = text_;
    skip_blanks();
    if (skip("and ") || skip("to ")) return true;
    text_ = before;
    return false;
  }

  std::string_view text_;
  std::vector<std::string> found_;
};

/// "docs/protocol" before its suffix, without the folder.
std::string page_before(std::string_view text, std::size_t suffix) {
  std::size_t begin = suffix;
  while (begin > 0 && is_of_path(text[begin - 1])) --begin;
  std::string_view page = text.substr(begin, suffix - begin);
  for (const std::string_view prefix : {"./", "../", "docs/"}) {
    while (page.starts_with(prefix)) page.remove_prefix(prefix.size());
  }
  return page.empty() ? "" : std::string(page) + std::string(kSuffix);
}

}  // namespace

std::vector<std::string> sections_of(std::string_view document) {
  std::vector<std::string> sections;
  for (std::string_view line : lines_of(document)) {
    const std::size_t mark = line.find_first_not_of("#* ");
    if (mark == 0 || mark == std::string_view::npos) continue;
    const std::string_view number = number_at(line.substr(mark));
    const bool is_heading = line.starts_with("##") && line[mark - 1] == ' ';
    const bool is_bold = line.starts_with("**") || line.starts_with("* **");
    if (!number.empty() && (is_heading || is_bold)) sections.emplace_back(number);
  }
  return sections;
}

std::vector<Citation> citations_of(std::string_view text) {
  std::vector<Citation> found;
  for (std::size_t at = text.find(kSuffix); at != std::string_view::npos;
       at = text.find(kSuffix, at + 1)) {
    const std::size_t end = at + kSuffix.size();
    if (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end])) != 0) continue;
    const std::string page = page_before(text, at);
    if (page.empty()) continue;
    const auto line = static_cast<std::size_t>(1 + std::ranges::count(text.substr(0, at), '\n'));
    std::vector<std::string> numbers = Numbers(text.substr(end)).read();
    if (numbers.empty()) numbers.emplace_back();
    for (std::string& number : numbers) found.push_back({line, page, std::move(number)});
  }
  return found;
}

std::string dangling(const std::vector<SourceFile>& files, const std::vector<SourceFile>& pages) {
  std::map<std::string, std::set<std::string>> sections;
  for (const SourceFile& page : pages) {
    std::string_view name = page.path;
    if (name.starts_with("docs/")) name.remove_prefix(5);
    for (std::string& section : sections_of(page.text)) sections[std::string(name)].insert(section);
    sections[std::string(name)].insert("");
  }
  std::string all;
  for (const SourceFile& file : files) {
    for (const Citation& cited : citations_of(file.text)) {
      const auto page = sections.find(cited.page);
      if (page != sections.end() && page->second.contains(cited.section)) continue;
      all += file.path + ":" + std::to_string(cited.line) + ": " + cited.page + " " +
             cited.section + "\n";
    }
  }
  return all;
}

}  // namespace epaxos::tidy
