#include "net/address.h"

#include <charconv>
#include <string>

namespace epaxos::net {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::size_t kIpcPathMax = 100;  // A Unix socket's path has 108 bytes.

Failure wrong(std::string_view address, std::string_view what) {
  return fail(ErrorCode::kInvalidArgument,
              "\"" + std::string(address) + "\" is no usable address: " + std::string(what) +
                  ". Write tcp://HOST:PORT, for example tcp://127.0.0.1:7000, or ipc://PATH.");
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_host(std::string_view text) {
  if (text.empty() || text.size() > 255) return false;
  const bool bracketed = text.front() == '[' && text.back() == ']' && text.size() > 2;
  for (const char c : bracketed ? text.substr(1, text.size() - 2) : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    if (!plain && !(bracketed && (c == ':' || c == '%'))) return false;
  }
  return true;
}

Result<void> check_ipc(std::string_view address) {
  const std::string_view path = address.substr(kIpcScheme.size());
  if (path.empty() || path == "*") return wrong(address, "the path of the socket is missing");
  if (path.size() > kIpcPathMax) return wrong(address, "the path is longer than 100 bytes");
  return {};
}

Result<void> check_address(std::string_view address, bool wildcards) {
  if (address.empty()) return wrong(address, "it is empty");
  if (address.starts_with(kIpcScheme)) return check_ipc(address);
  if (!address.starts_with(kTcp)) return wrong(address, "it begins with neither tcp:// nor ipc://");

  const std::string_view rest = address.substr(kTcp.size());
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return wrong(address, "the port is missing");
  const std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host == "*" || host == "0.0.0.0" || host == "[::]") {
    if (!wildcards) return wrong(address, "a wildcard names nobody to connect to");
  } else if (!is_host(host)) {
    return wrong(address, "the host is missing or has characters that no host name has");
  }
  if (port == "*" || port == "0") {
    if (!wildcards) return wrong(address, "the port must be known to connect");
  } else if (!is_port(port)) {
    return wrong(address, "the port is not a number from 1 to 65535");
  }
  return {};
}

}  // namespace

Result<void> check_connect_address(std::string_view address) {
  return check_address(address, false);
}

Result<void> check_bind_address(std::string_view address) {
  return check_address(address, true);
}

}  // namespace epaxos::net
