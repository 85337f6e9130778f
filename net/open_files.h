#pragma once

// File descriptors, of which every connection takes one. When none is left, ZeroMQ accepts nobody,
// says nothing, and asks the kernel again without a pause; so connections of clients are bounded
// below the limit, and what is left is for peers and the disk.

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

namespace epaxos::net {

/// How many files this process may open (RLIMIT_NOFILE, the soft limit).
std::uint64_t open_files_max();

/// Whether so many more can be opened now. Cost: two system calls each.
bool descriptors_left(std::size_t count);

/// How many connections of clients a limit of so many files leaves room for: the others need some,
/// and so does a burst of connections before the surplus is closed.
std::size_t connections_for(std::uint64_t open_files_max);

/// Which connections of a listening socket are open, by their descriptors, and a bound: what is
/// accepted beyond it is shut down. The oldest stay, as they are who is served.
class Connections {
 public:
  explicit Connections(std::size_t max) : max_(max) {}
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  /// Takes what shutting down needs, as there may be no descriptor later. Whether it got it.
  bool reserve();

  /// "tcp://HOST:PORT" or "ipc://PATH", as it was bound.
  void listens_at(std::string address) { address_ = std::move(address); }
  void accepted(int fd);
  void ended(int fd) { open_.erase(fd); }

  /// Those that are served.
  [[nodiscard]] std::size_t count() const { return open_.size(); }
  /// How many were shut down as soon as they were accepted.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  [[nodiscard]] bool shut_down(int fd) const;
  [[nodiscard]] bool is_here(int fd) const;

  const std::size_t max_;
  int reserved_ = -1;  // For the duplicate of a connection;
  int nothing_ = -1;   // and what is there otherwise.
  std::string address_;
  std::set<int> open_;
  std::uint64_t refused_ = 0;
};

}  // namespace epaxos::net
