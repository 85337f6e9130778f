#pragma once

// A network of its own for each replica of a test, all of them at one switch that can be split.
// The network namespaces have no names: they are held by file descriptors and processes alone, so
// nothing is left when the test has ended, however it ended. Needs root and iproute2.

#include <string>
#include <vector>

namespace epaxos::testing {

class NetworkNamespaces {
 public:
  /// The calling thread stands at the switch afterwards, from where it reaches everybody.
  explicit NetworkNamespaces(int replicas);
  /// The calling thread stands where it stood before.
  ~NetworkNamespaces();
  NetworkNamespaces(const NetworkNamespaces&) = delete;
  NetworkNamespaces& operator=(const NetworkNamespaces&) = delete;

  /// Why there are none, as a sentence; empty when all is well.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  /// "10.77.0.1"
  [[nodiscard]] static std::string host(int replica);

  /// The calling thread, and the processes and threads that it starts, live there from now on.
  void enter(int replica) const;
  void enter_switch() const;

  /// These replicas reach each other and nobody else, until heal(). Called at the switch.
  bool split_off(const std::vector<int>& replicas);
  bool heal();

 private:
  void build();
  bool unshare_into(int& descriptor);
  bool run(const std::string& command);

  int before_ = -1;
  int switch_ = -1;
  std::vector<int> replicas_;  // Descriptors of their namespaces.
  std::string trouble_;
};

}  // namespace epaxos::testing
