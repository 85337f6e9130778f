#pragma once

// Text inside of HTML.

#include <string>
#include <string_view>

namespace epaxos::bench {

/// With everything escaped that could be read as a tag or end an attribute.
inline std::string markup_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace epaxos::bench
