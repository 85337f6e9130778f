// Finds functions without a compiler: by the braces, and by what stands before each of them.

#include <algorithm>
#include <cctype>
#include <utility>

#include "tests/tidy/code_rules.h"

namespace epaxos::tidy {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

/// Drops "public:" and "template <...>" from the front.
std::string_view without_prefixes(std::string_view text) {
  for (const std::string_view label : {"public:", "private:", "protected:"}) {
    if (text.starts_with(label)) return without_prefixes(trimmed(text.substr(label.size())));
  }
  if (!text.starts_with("template")) return text;
  int depth = 0;
  for (std::size_t at = text.find('<'); at < text.size(); ++at) {
    if (text[at] == '<') ++depth;
    if (text[at] == '>' && --depth == 0) return without_prefixes(trimmed(text.substr(at + 1)));
  }
  return text;
}

/// Whether a constructor's ": member_" follows the parameters.
bool has_member_initializers(std::string_view head) {
  int depth = 0;
  std::size_t at = head.find('(');
  for (; at < head.size(); ++at) {
    if (head[at] == '(') ++depth;
    if (head[at] == ')' && --depth == 0) break;
  }
  for (++at; at + 1 < head.size(); ++at) {
    if (head.substr(at, 2) == "::") {
      ++at;
    } else if (head[at] == ':') {
      return true;
    }
  }
  return false;
}

std::string name_of(std::string_view head) {
  if (head.starts_with("TEST")) return std::string(head);
  const std::string_view before = trimmed(head.substr(0, head.find('(')));
  const std::size_t space = before.find_last_of(" \n*&");
  return std::string(space == before.npos ? before : before.substr(space + 1));
}

enum class Kind { kScope, kFunction, kOther };

Kind kind_of(std::string_view head) {
  const std::string_view first_word = head.substr(0, head.find_first_of(" \n"));
  for (const std::string_view scope : {"namespace", "extern", "class", "struct", "union", "enum"}) {
    if (first_word == scope) return Kind::kScope;
  }
  if (head.empty() || head.find(')') == head.npos || head.back() == '=') return Kind::kOther;
  const bool after_value = head.back() == ')' || head.back() == '}';
  return !has_member_initializers(head) || after_value ? Kind::kFunction : Kind::kOther;
}

class Scanner {
 public:
  std::vector<Function> run(std::string_view code) {
    bool continued = false;
    for (const std::string_view line : lines_of(code)) {
      ++line_;
      const bool directive = continued || trimmed(line).starts_with('#');
      continued = directive && line.ends_with('\\');
      if (directive) continue;
      for (const char c : line) step(c);
      head_ += '\n';
    }
    return std::move(found_);
  }

 private:
  struct Open {
    Kind kind;
    std::string head;
    int parentheses;
    std::size_t line;
  };

  void step(char c) {
    if (c == '{') return open();
    if (c == '}') return close();
    if (c == '(' || c == '[') ++parentheses_;
    if (c == ')' || c == ']') --parentheses_;
    if (c == ';' && parentheses_ == 0) {
      head_.clear();
    } else {
      head_ += c;
    }
  }

  void open() {
    const auto is_function = [](const Open& scope) { return scope.kind == Kind::kFunction; };
    const bool inside = parentheses_ > 0 || std::ranges::any_of(open_, is_function);
    const std::string_view head = head_starts();
    open_.push_back(
        {inside || head.empty() ? Kind::kOther : kind_of(head), head_, parentheses_, line_});
    head_.clear();
    parentheses_ = 0;
  }

  void close() {
    if (open_.empty()) return;
    const Open scope = std::move(open_.back());
    open_.pop_back();
    parentheses_ = scope.parentheses;
    head_ = scope.kind == Kind::kOther ? scope.head + "{}" : "";
    if (scope.kind != Kind::kFunction) return;
    const std::string_view head = without_prefixes(trimmed(scope.head));
    found_.push_back({name_of(head), scope.line, line_ - scope.line + 1});
  }

  std::string_view head_starts() const { return without_prefixes(trimmed(head_)); }

  std::vector<Function> found_;
  std::vector<Open> open_;
  std::string head_;  ///< What stands since the last statement or block ended.
  int parentheses_ = 0;
  std::size_t line_ = 0;
};

}  // namespace

std::vector<Function> functions_of(const SourceFile& file) {
  return Scanner().run(file.code);
}

}  // namespace epaxos::tidy
