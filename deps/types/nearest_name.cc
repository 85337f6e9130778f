#include "deps/types/nearest_name.h"

#include <algorithm>
#include <vector>

namespace epaxos {
namespace {

/// Levenshtein's distance, with one row of the matrix.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view unknown, std::span<const std::string_view> known) {
  std::string_view nearest;
  std::size_t distance = std::max<std::size_t>(2, unknown.size() / 3) + 1;
  for (const std::string_view name : known) {
    // A name that was cut short is nearer than one that was misspelt.
    const bool cut = unknown.size() >= 3 && name.starts_with(unknown);
    const std::size_t d = cut ? 0 : edit_distance(unknown, name);
    if (d >= distance) continue;
    distance = d;
    nearest = name;
  }
  return nearest;
}

}  // namespace epaxos
