#pragma once

// What "epaxosctl explain" prints for people: the life of one instance in plain sentences with
// times, or which ones took longest. Private to the programs.

#include <string>

namespace epaxos {

/// `histories` is what history_json() made. Nothing it holds makes this fail: what is missing, or
/// of another version, is left out. Empty: it is not even JSON.
std::string explain_text(const std::string& histories);

/// One line an instance, those that are under way first.
std::string slowest_text(const std::string& histories);

}  // namespace epaxos
