#include "bench/throughput/protocols.h"

#include <algorithm>

#include "compare/line_up.h"
#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

/// Paxos decides once and rejects what comes after.
std::vector<Protocol> protocols() {
  std::vector<Protocol> all = compare::line_up();
  std::erase_if(all, [](const Protocol& protocol) { return protocol.name == "paxos"; });
  return all;
}

}  // namespace

std::vector<std::string> measured_protocols() {
  std::vector<std::string> names;
  for (const Protocol& protocol : protocols()) names.push_back(protocol.name);
  return names;
}

Protocol protocol_named(std::string_view name) {
  const std::vector<Protocol> all = protocols();
  const auto found = std::ranges::find(all, name, &Protocol::name);
  check(found != all.end(), "a protocol that can be measured");
  return *found;
}

Reads reads_of(const Protocol& protocol, std::optional<Reads> wished) {
  if (protocol.reads == Reads::kLog) return Reads::kLog;
  return wished.value_or(protocol.reads);
}

std::string measured_protocols_list() {
  std::string list;
  for (const std::string& name : measured_protocols()) list += (list.empty() ? "" : ", ") + name;
  return list;
}

std::string no_measured_protocol(const std::string& name) {
  const std::vector<std::string> names = measured_protocols();
  if (std::ranges::find(names, name) != names.end()) return {};
  return "\"" + name + "\" is not accepted: what can be measured is one of " +
         measured_protocols_list() + ".";
}

}  // namespace epaxos::bench
