#pragma once

// What may stand for an address in a configuration: "tcp://HOST:PORT" or "ipc://PATH". Checked
// here, so that the sentence names what is wrong before ZeroMQ sees it.

#include <string_view>

#include "deps/types/result.h"

namespace epaxos::net {

/// What the address of a Unix socket begins with; its path follows.
constexpr std::string_view kIpcScheme = "ipc://";

/// An address to connect to: no wildcard, a port of 1 .. 65535.
Result<void> check_connect_address(std::string_view address);

/// An address to bind: "tcp://*:7000" is every interface, "tcp://127.0.0.1:*" any free port.
Result<void> check_bind_address(std::string_view address);

}  // namespace epaxos::net
