#pragma once

// The command line of epaxosd. Private to the programs.

#include <optional>
#include <span>
#include <string>

#include "epaxos/contract/core.h"
#include "epaxos/node/node.h"

namespace epaxos {

struct ServeOptions {
  std::string config_path;
  std::optional<int> replica;
  std::string data;
  std::string durability;  ///< Empty: as in the file.
  std::string protocol;
  std::string log_level = "info";
  std::string bind_peer;    ///< Empty: the address of the file.
  std::string bind_client;  ///< As above.
  bool unsafe_rejoin = false;
  bool check_config = false;
  bool print_config = false;
};

/// Reads a command line. Without a value the program ends with `exit_status`, and what there is to
/// say has been printed. Precondition: at least one protocol; the first is the default.
std::optional<ServeOptions> read_serve_options(std::span<const Protocol> protocols, int argc,
                                               const char* const* argv, int& exit_status);

/// The node that the options and their cluster file describe.
/// Errors: invalid argument - the file, a replica that it does not list, or a protocol that cannot
/// do what it wishes for.
Result<NodeConfig> node_config(std::span<const Protocol> protocols, const ServeOptions& options);

}  // namespace epaxos
