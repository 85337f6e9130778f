#pragma once

// A table for people: columns as wide as they must be, numbers to the right.

#include <cstdint>
#include <string>
#include <vector>

namespace epaxos {

class TextTable {
 public:
  /// A name that begins with '>' makes its column flush right.
  explicit TextTable(std::vector<std::string> names);

  /// Precondition: one cell a column.
  void add(std::vector<std::string> cells);
  /// An empty line between two groups of rows.
  void add_gap() { rows_.emplace_back(); }

  /// Lines that end with a newline and have no blanks at their ends.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }

 private:
  [[nodiscard]] std::string line(const std::vector<std::string>& cells,
                                 const std::vector<std::size_t>& widths) const;

  std::vector<std::string> names_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// "1234567" as "1,234,567".
std::string grouped(std::uint64_t number);

/// A fixed number of decimals: fixed(0.126, 2) is "0.13".
std::string fixed(double number, int decimals);

}  // namespace epaxos
