#pragma once

// How a chronicle names a command. Private to the programs.

#include <cstdio>
#include <string>

#include "deps/types/ids.h"

namespace epaxos {

/// "8000000000010001:7": the session in hexadecimal, and the number in it.
inline std::string words_of(const CommandId& command) {
  char text[48];
  std::snprintf(text, sizeof text, "%llx:%llu", static_cast<unsigned long long>(command.session),
                static_cast<unsigned long long>(command.number));
  return text;
}

}  // namespace epaxos
