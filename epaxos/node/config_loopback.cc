// Clusters inside one machine: ports that nobody uses now.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <random>
#include <sys/socket.h>
#include <unistd.h>

#include "epaxos/node/config.h"

namespace epaxos {
namespace {

// Below the range from which the kernel takes ports for outgoing connections: one that is free now
// is then not taken by chance before it is bound.
constexpr int kFirstPort = 10'000;
constexpr int kPorts = 22'000;
constexpr int kTries = 2'000;

bool is_free(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound =
      ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(socket);
  return bound;
}

std::vector<std::string> free_addresses(std::size_t wanted) {
  std::random_device chance;
  int port = static_cast<int>(chance() % kPorts);
  std::vector<std::string> addresses;
  for (int tries = 0; tries < kTries && addresses.size() < wanted; ++tries) {
    port = (port + 1) % kPorts;
    if (!is_free(kFirstPort + port)) continue;
    addresses.push_back("tcp://127.0.0.1:" + std::to_string(kFirstPort + port));
  }
  return addresses;
}

}  // namespace

Result<ClusterConfig> ClusterConfig::loopback(std::string name, int replica_count,
                                              Durability durability) {
  ClusterConfig config;
  config.name = std::move(name);
  config.durability = durability;
  const auto wanted = static_cast<std::size_t>(std::max(replica_count, 0)) * 2;
  const auto addresses = free_addresses(wanted);
  if (addresses.size() < wanted) {
    return fail(ErrorCode::kUnavailable, "There are not enough free TCP ports on 127.0.0.1.");
  }
  for (std::size_t i = 0; i + 1 < addresses.size(); i += 2) {
    config.replicas.push_back({addresses[i], addresses[i + 1], "loopback"});
  }
  if (const auto completed = config.complete(); !completed) return fail(completed.error());
  return config;
}

}  // namespace epaxos
