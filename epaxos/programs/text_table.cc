#include "epaxos/programs/text_table.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "deps/types/check.h"

namespace epaxos {
namespace {

/// Columns on a screen: bytes of UTF-8 that continue a character take none.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

TextTable::TextTable(std::vector<std::string> names) : names_(std::move(names)) {
  for (std::string& name : names_) {
    right_.push_back(name.starts_with('>'));
    if (right_.back()) name.erase(0, 1);
  }
}

void TextTable::add(std::vector<std::string> cells) {
  check(cells.size() == names_.size(), "a row of a table has one cell a column");
  rows_.push_back(std::move(cells));
}

std::string TextTable::line(const std::vector<std::string>& cells,
                            const std::vector<std::size_t>& widths) const {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string blanks(widths[i] - columns(cells[i]), ' ');
    if (i > 0) out += "  ";
    out += right_[i] ? blanks + cells[i] : cells[i] + blanks;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

std::string TextTable::text() const {
  std::vector<std::size_t> widths;
  for (const std::string& name : names_) widths.push_back(columns(name));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string out = line(names_, widths);
  std::vector<std::string> rule;
  for (const std::size_t width : widths) rule.emplace_back(width, '-');
  out += line(rule, widths);
  for (const auto& row : rows_) out += line(row, widths);
  return out;
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string fixed(double number, int decimals) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", decimals, number);
  return text;
}

}  // namespace epaxos
