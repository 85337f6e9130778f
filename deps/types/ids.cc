#include "deps/types/ids.h"

#include <charconv>
#include <system_error>

namespace epaxos {

std::string to_string(ReplicaId replica) {
  return "R" + std::to_string(replica.value());
}

std::string to_string(const InstanceId& instance) {
  return to_string(instance.row) + "." + std::to_string(instance.slot.value());
}

std::optional<InstanceId> instance_from(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (!name.starts_with('R') || dot == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view digits, auto& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  std::uint16_t row = 0;
  std::uint64_t slot = 0;
  if (!number(name.substr(1, dot - 1), row) || !number(name.substr(dot + 1), slot) || slot == 0) {
    return std::nullopt;
  }
  return InstanceId{ReplicaId(row), Slot(slot)};
}

std::string to_string(const Ballot& ballot) {
  return std::to_string(ballot.round) + "@" + to_string(ballot.replica);
}

}  // namespace epaxos
