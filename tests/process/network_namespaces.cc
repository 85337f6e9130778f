#include "tests/process/network_namespaces.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

namespace epaxos::testing {
namespace {

int here() {
  return ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

}  // namespace

NetworkNamespaces::NetworkNamespaces(int replicas)
    : before_(here()), replicas_(static_cast<std::size_t>(replicas), -1) {
  build();
  if (!trouble_.empty()) ::setns(before_, CLONE_NEWNET);
}

NetworkNamespaces::~NetworkNamespaces() {
  ::setns(before_, CLONE_NEWNET);
  for (const int each : replicas_) ::close(each);
  ::close(switch_);
  ::close(before_);
}

std::string NetworkNamespaces::host(int replica) {
  return "10.77.0." + std::to_string(replica + 1);
}

void NetworkNamespaces::enter(int replica) const {
  ::setns(replicas_[static_cast<std::size_t>(replica)], CLONE_NEWNET);
}

void NetworkNamespaces::enter_switch() const {
  ::setns(switch_, CLONE_NEWNET);
}

bool NetworkNamespaces::unshare_into(int& descriptor) {
  if (::unshare(CLONE_NEWNET) != 0) {
    trouble_ = std::string("network namespaces are not permitted here: ") + std::strerror(errno);
    return false;
  }
  descriptor = here();
  return run("ip link set lo up");
}

bool NetworkNamespaces::run(const std::string& command) {
  if (std::system((command + " >/dev/null 2>&1").c_str()) == 0) return true;
  trouble_ = "\"" + command + "\" failed";
  return false;
}

void NetworkNamespaces::build() {
  if (!unshare_into(switch_)) return;
  if (!run("ip link add middle type bridge") || !run("ip link add aside type bridge") ||
      !run("ip addr add 10.77.0.100/24 dev middle") || !run("ip link set middle up") ||
      !run("ip link set aside up")) {
    return;
  }
  for (int r = 0; r < static_cast<int>(replicas_.size()); ++r) {
    int& descriptor = replicas_[static_cast<std::size_t>(r)];
    if (!unshare_into(descriptor)) return;
    enter_switch();
    const std::string wire = "wire" + std::to_string(r);
    const std::string there =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(descriptor);
    if (!run("ip link add " + wire + " type veth peer name net netns " + there)) return;
    if (!run("ip link set " + wire + " master middle up")) return;
    enter(r);
    if (!run("ip addr add " + host(r) + "/24 dev net") || !run("ip link set net up")) return;
  }
  enter_switch();
}

bool NetworkNamespaces::split_off(const std::vector<int>& replicas) {
  for (const int r : replicas) {
    if (!run("ip link set wire" + std::to_string(r) + " master aside")) return false;
  }
  return true;
}

bool NetworkNamespaces::heal() {
  for (std::size_t r = 0; r < replicas_.size(); ++r) {
    if (!run("ip link set wire" + std::to_string(r) + " master middle")) return false;
  }
  return true;
}

}  // namespace epaxos::testing
