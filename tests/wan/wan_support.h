#pragma once

// Topologies of tests of the experiments over wide-area networks.

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bench/wan/simulation.h"
#include "bench/wan/topology.h"

namespace epaxos::bench::testing {

/// What must be there; fails the test with the sentence otherwise.
template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return *std::move(result);
}

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Topology shipped(const std::string& name) {
  return must(Topology::load(name));
}

/// Three clients a site; a second is measured after a second.
inline RunOptions short_run() {
  RunOptions options;
  options.clients = 3;
  options.warm_up_us = kSecond;
  options.measured_us = kSecond;
  return options;
}

/// Sites S0, S1, ... with any delays up to `most_us`, different in the two directions, and within
/// the sites up to 1 ms.
template <class Random>
Topology any_topology(std::size_t sites, Tick most_us, Random& random) {
  std::vector<std::string> names;
  std::vector<Tick> delays;
  for (std::size_t from = 0; from < sites; ++from) {
    names.push_back("S" + std::to_string(from));
    for (std::size_t to = 0; to < sites; ++to) {
      delays.push_back(random() % ((from == to ? 1000 : most_us) + 1));
    }
  }
  return {"any", "", std::move(names), std::move(delays)};
}

}  // namespace epaxos::bench::testing
