#include "deps/types/nearest_name.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace epaxos {
namespace {

/// Letters that are put in, left out or replaced, and neighbours that change places: the distance
/// of optimal string alignment, with three rows of the matrix.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last;
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

/// So many changes may turn a name into this word. Short words are all near to each other.
std::size_t changes_max(std::string_view word) {
  return word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3);
}

}  // namespace

std::string_view nearest_name(std::string_view unknown, std::span<const std::string_view> known) {
  std::string_view nearest;
  std::size_t distance = changes_max(unknown) + 1;
  for (const std::string_view name : known) {
    // A name that was cut short is nearer than one that was misspelt.
    const bool cut = unknown.size() >= 3 && name.starts_with(unknown);
    const std::size_t d = cut ? 0 : edit_distance(unknown, name);
    const bool has_nothing_of_it = d >= std::max(unknown.size(), name.size());
    if (d >= distance || has_nothing_of_it) continue;
    distance = d;
    nearest = name;
  }
  return nearest;
}

}  // namespace epaxos
