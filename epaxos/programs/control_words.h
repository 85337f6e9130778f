#pragma once

// What the parts of control_output.h share. Private to them.

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "epaxos/programs/control_output.h"
#include "epaxos/programs/programs.h"

namespace epaxos {

using Json = nlohmann::ordered_json;

inline std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

inline void print_line(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
}

/// What a subcommand prints: its JSON, or its table and what is to be said below it.
inline void print_as(OutputFormat format, const Json& json, const std::string& table,
                     const std::string& notes = {}) {
  if (format == OutputFormat::kJson) return print_line(text_of(json));
  std::fputs((table + (notes.empty() ? "" : "\n" + notes)).c_str(), stdout);
}

/// Why a wish is not granted; the exit status of epaxosctl.
inline int refused(const std::string& why) {
  std::fprintf(stderr, "epaxosctl: %s\n", why.c_str());
  return kControlRejected;
}

inline std::string name_of(const std::optional<ReplicaId>& replica) {
  return replica ? "R" + std::to_string(replica->value()) : "no replica";
}

/// The status of a replica that answered with one; otherwise null.
inline Json parsed_status(const ReplicaReport& report) {
  Json status = Json::parse(report.status, nullptr, /*allow_exceptions=*/false);
  return status.is_object() ? status : Json(nullptr);
}

inline std::uint64_t counter(const Json& status, const char* group, const char* name) {
  const auto found = status.find("counters");
  if (found == status.end() || !found->contains(group)) return 0;
  return found->at(group).value(name, std::uint64_t{0});
}

inline std::string peers_connected(const Json& status) {
  std::size_t connected = 0;
  for (const Json& peer : status.at("peers")) connected += peer.at("connected").get<bool>() ? 1 : 0;
  return std::to_string(connected) + "/" + std::to_string(status.at("peers").size());
}

}  // namespace epaxos
