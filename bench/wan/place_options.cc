// The options that say where replicas stand.

#include <CLI/CLI.hpp>

#include "bench/report/arguments.h"
#include "bench/wan/places.h"
#include "epaxos/programs/every_program.h"

namespace epaxos::bench {

void add_place_options(CLI::App& command, PlaceOptions& o) {
  command.add_option("--topology", o.topology, "A file, or one of " + shipped_topologies_list())
      ->required()
      ->check(refuse_empty);
  command.add_option("--sites", o.sites, "These of its sites, and no others")->delimiter(',');
  command.add_option("--replicas", o.replicas, "Sites with a replica; else all sites")
      ->delimiter(',');
  command.add_option("--place", o.place, "So many replicas, where EPaxos' mean is smallest")
      ->check(number(1, kReplicasMax, "a group has 1 to 9 replicas."));
}

}  // namespace epaxos::bench
