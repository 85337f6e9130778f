#pragma once

// How a chronicle names commands and frames. For those that put a protocol into the simulator.

#include <cstdio>
#include <string>
#include <vector>

#include "deps/types/command.h"
#include "deps/types/ids.h"
#include "net/frame.h"

namespace epaxos {

/// "8000000000010001:7": the session in hexadecimal, and the number in it.
inline std::string words_of(const CommandId& command) {
  char text[48];
  std::snprintf(text, sizeof text, "%llx:%llu", static_cast<unsigned long long>(command.session),
                static_cast<unsigned long long>(command.number));
  return text;
}

/// Of a block, each with a space before it.
inline std::string commands_of(Bytes block) {
  if (block.empty() || !decode_block_footprint(block)) return {};
  std::vector<Command> commands;
  decode_block_commands(block, commands);
  std::string text = commands.empty() ? " no command" : "";
  for (const Command& command : commands) text += " " + words_of(command.id);
  return text;
}

/// What a frame, a record or a block is called that does not decode.
inline constexpr const char* kUnreadable = "something that does not decode";

/// What a frame holds, as `tell` puts it into words, if it is one of these messages.
template <class... Messages, class Tell>
std::string told_of(const net::Frame& frame, int replicas, Tell tell) {
  std::string text = "a frame of type " + std::to_string(frame.type);
  const auto with = [&]<class Message>(Message message) {
    if (static_cast<net::FrameType>(Message::kType) != frame.type) return;
    text = decode(frame.body, replicas, message) ? tell(message) : kUnreadable;
  };
  (with(Messages()), ...);
  return text;
}

}  // namespace epaxos
