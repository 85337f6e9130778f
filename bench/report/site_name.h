#pragma once

// How sites are called in topology files, results and their names of files.

#include <algorithm>
#include <string_view>

namespace epaxos::bench {

inline constexpr std::size_t kSiteNameBytesMax = 64;

/// 1 to 64 letters, digits, '-', '_' and '.'.
inline bool is_site_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kSiteNameBytesMax && std::ranges::all_of(name, fits);
}

}  // namespace epaxos::bench
