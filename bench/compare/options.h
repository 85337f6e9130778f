#pragma once

// What `epaxos-bench compare` is asked to measure.

#include <cstddef>
#include <string>
#include <vector>

#include "epaxos/storage/store.h"

namespace epaxos::bench {

struct CompareOptions {
  std::vector<std::string> protocols = {"epaxos", "raft", "multipaxos"};
  std::vector<unsigned> conflicts = {0, 2, 100};  ///< Percent; of epaxos, as a log orders all.
  std::vector<std::size_t> in_flight = {1, 16, 128, 1000};  ///< A replica.
  std::vector<std::size_t> value_bytes = {64, 1024};
  std::vector<Durability> durability = {Durability::kNone, Durability::kSync};
  int replicas = 3;
  std::size_t batch = 1;  ///< Commands that may share an instance or an entry of a log.
  double seconds = 3;     ///< Measured in each run; warming up comes before.
  int repeat = 3;         ///< Rounds; each of them measures every combination once.
  bool etcd = false;      ///< Three members of etcd beside the protocols, at "sync".
  bool kill = false;      ///< Replicas are killed under load instead.
  std::string data;       ///< As GroupOptions::data.
  std::string csv;        ///< Files; empty: none.
  std::string json;
};

}  // namespace epaxos::bench
