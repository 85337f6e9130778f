#include "bench/compare/etcd_members.h"

#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <fstream>
#include <netinet/in.h>
#include <sstream>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include "epaxos/node/config.h"

namespace epaxos::bench {
namespace {

std::string http(const std::string& tcp_address) {
  return "http" + tcp_address.substr(tcp_address.find(':'));
}

int port_of(const std::string& address) {
  return std::atoi(address.c_str() + address.rfind(':') + 1);
}

/// "" when it cannot be had.
std::string get(int port, const std::string& path) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  std::string answer;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    std::array<char, 16 * 1024> part{};
    for (ssize_t got = 0; (got = ::recv(socket, part.data(), part.size(), 0)) > 0;) {
      answer.append(part.data(), static_cast<std::size_t>(got));
    }
  }
  ::close(socket);
  return answer;
}

/// The sum of the lines "NAME{...} VALUE" and "NAME VALUE".
double sum_of(const std::string& metrics, std::string_view name) {
  std::istringstream lines(metrics);
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    const bool named = line.starts_with(name) && line.size() > name.size() &&
                       (line[name.size()] == '{' || line[name.size()] == ' ');
    if (named) sum += std::atof(line.c_str() + line.rfind(' '));
  }
  return sum;
}

/// User and system time: the 14th and 15th field, behind a name in brackets.
std::uint64_t cpu_us(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i < 14; ++i) fields >> field;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  fields >> user >> system;
  return (user + system) * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

Result<std::string> etcd_program() {
  for (const char* path : {"/usr/bin/etcd", "/usr/local/bin/etcd"}) {
    if (::access(path, X_OK) == 0) return std::string(path);
  }
  return fail(ErrorCode::kUnavailable,
              "there is no etcd here. Install it with: apt-get install etcd-server");
}

Result<EtcdMembers> EtcdMembers::start(const std::string& program, int count,
                                       const std::string& directory) {
  const auto cluster = ClusterConfig::loopback("etcd", count);
  if (!cluster) return fail(cluster.error());
  std::string all;
  for (int i = 0; i < count; ++i) {
    all += (i == 0 ? "m" : ",m") + std::to_string(i) + "=" +
           http(cluster->replicas[static_cast<std::size_t>(i)].peer);
  }
  EtcdMembers members;
  for (int i = 0; i < count; ++i) {
    const ReplicaSettings& at = cluster->replicas[static_cast<std::size_t>(i)];
    const std::string name = "m" + std::to_string(i);
    auto process = ChildProcess::start({program,
                                        "--name",
                                        name,
                                        "--data-dir",
                                        directory + "/" + name,
                                        "--listen-peer-urls",
                                        http(at.peer),
                                        "--initial-advertise-peer-urls",
                                        http(at.peer),
                                        "--listen-client-urls",
                                        http(at.client),
                                        "--advertise-client-urls",
                                        http(at.client),
                                        "--initial-cluster",
                                        all,
                                        "--initial-cluster-state",
                                        "new",
                                        "--logger",
                                        "zap",
                                        "--log-level",
                                        "error"},
                                       directory + "/" + name + ".log");
    if (!process) return fail(process.error());
    members.processes_.push_back(*std::move(process));
    members.ports_.push_back(port_of(at.client));
  }
  return members;
}

Result<EtcdTotals> EtcdMembers::totals() {
  if (const auto running = all_run(); !running) return fail(running.error());
  EtcdTotals sum;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    sum.cpu_us += cpu_us(processes_[i].pid());
    const std::string metrics = get(ports_[i], "/metrics");
    if (metrics.empty()) return fail(ErrorCode::kUnavailable, "etcd does not tell its metrics.");
    sum.bytes += static_cast<std::uint64_t>(sum_of(metrics, "etcd_network_peer_sent_bytes_total"));
    sum.fsyncs +=
        static_cast<std::uint64_t>(sum_of(metrics, "etcd_disk_wal_fsync_duration_seconds_count"));
  }
  return sum;
}

Result<void> EtcdMembers::all_run() {
  for (ChildProcess& process : processes_) {
    if (!process.ended()) continue;
    return fail(ErrorCode::kUnavailable, "a process of etcd has ended with status " +
                                             std::to_string(process.exit_status()) + ".");
  }
  return {};
}

}  // namespace epaxos::bench
