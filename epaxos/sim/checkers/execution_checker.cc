#include "epaxos/sim/checkers/execution_checker.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "deps/types/session.h"

namespace epaxos::sim {
namespace {

std::uint64_t hash_bytes(Bytes bytes) {
  std::uint64_t hash = mix64(bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t taken = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), taken);
    hash = mix64(hash ^ word);
    bytes = bytes.subspan(taken);
  }
  return hash;
}

std::string name(const CommandId& id) {
  return "command " + std::to_string(id.session) + "/" + std::to_string(id.number);
}

}  // namespace

void ExecutionChecker::violation(std::string sentence) {
  if (violations_.size() < kViolationsMax) violations_.push_back(std::move(sentence));
}

void ExecutionChecker::on_started(ReplicaId replica) {
  clear(replica);
}

void ExecutionChecker::clear(ReplicaId replica) {
  const auto others = static_cast<std::uint16_t>(~(1u << replica.value()));
  for (auto& [id, facts] : commands_) facts.executed_by &= others;
  for (auto& [key, writes] : writes_) writes[replica.value()] = 0;
  barriers_[replica.value()] = 0;
}

void ExecutionChecker::on_imaged(ReplicaId replica, std::uint64_t image) {
  const std::size_t column = replica.value();
  State& state = images_[image];
  for (const auto& [id, facts] : commands_) {
    if ((facts.executed_by >> column & 1) != 0) state.commands.push_back(id);
  }
  for (const auto& [key, writes] : writes_) {
    if (writes[column] > 0) state.writes.emplace_back(key, writes[column]);
  }
  state.barriers = barriers_[column];
}

void ExecutionChecker::on_loaded(ReplicaId replica, std::uint64_t image) {
  const auto found = images_.find(image);
  if (found == images_.end()) {
    return violation(to_string(replica) + " has loaded an image that nobody took");
  }
  clear(replica);
  const std::size_t column = replica.value();
  const auto bit = static_cast<std::uint16_t>(1u << column);
  for (const CommandId& id : found->second.commands) commands_.at(id).executed_by |= bit;
  for (const auto& [key, writes] : found->second.writes) writes_[key][column] = writes;
  barriers_[column] = found->second.barriers;
}

void ExecutionChecker::on_proposed(ReplicaId, const Proposal& proposal) {
  const auto [at, is_new] = commands_.try_emplace(proposal.command.id);
  Facts& facts = at->second;
  const std::uint64_t hash = hash_bytes(proposal.command.payload);
  if (!is_new && facts.payload_hash != hash) {
    return violation(name(at->first) + " was proposed twice with different payloads");
  }
  facts.footprint = proposal.footprint;
  facts.payload_hash = hash;
}

void ExecutionChecker::place(ReplicaId replica, const CommandId& id, Facts& facts) {
  const std::size_t column = replica.value();
  indices_.clear();
  for (const Access access : facts.footprint.accesses()) {
    std::uint64_t& writes = writes_[access.key()][column];
    indices_.push_back(writes);
    if (access.writes()) ++writes;
  }
  indices_.push_back(barriers_[column]);
  if (facts.footprint.is_everything()) ++barriers_[column];
  if (!facts.placed) {
    facts.indices = indices_;
  } else if (facts.indices != indices_) {
    violation(name(id) + " stands at another place among its conflicting commands at " +
              to_string(replica) + " than where it was executed first");
  }
}

void ExecutionChecker::on_executed(ReplicaId replica, const Command& command, Bytes reply) {
  ++executed_;
  const auto found = commands_.find(command.id);
  if (found == commands_.end()) {
    return violation(name(command.id) + " was executed and never proposed");
  }
  Facts& facts = found->second;
  if (facts.payload_hash != hash_bytes(command.payload)) {
    violation(name(command.id) + " was executed with another payload than proposed");
  }
  const auto bit = static_cast<std::uint16_t>(1u << replica.value());
  if ((facts.executed_by & bit) != 0) {
    return violation(name(command.id) + " was executed twice at " + to_string(replica));
  }
  facts.executed_by |= bit;
  place(replica, command.id, facts);
  const std::uint64_t reply_hash = hash_bytes(reply);
  if (facts.placed && facts.reply_hash != reply_hash) {
    violation(name(command.id) + " gave another reply at " + to_string(replica) +
              " than where it was executed first");
  }
  facts.reply_hash = reply_hash;
  facts.placed = true;
}

void ExecutionChecker::on_read(ReplicaId replica, const Command& command, Bytes reply) {
  const auto found = commands_.find(command.id);
  if (found == commands_.end() || found->second.payload_hash != hash_bytes(command.payload)) {
    return violation(name(command.id) + " was read and never proposed like this");
  }
  Facts& facts = found->second;
  if (facts.footprint.writes()) {
    violation(name(command.id) + " writes and has no place in the order at " + to_string(replica));
  }
  if (facts.read || facts.placed) violation(name(command.id) + " was answered twice");
  facts.read = true;
  facts.reply_hash = hash_bytes(reply);
}

void ExecutionChecker::on_acknowledged(ReplicaId replica, CommandId command, Bytes reply) {
  const auto found = commands_.find(command);
  const bool is_read = found != commands_.end() && found->second.read;
  if (found == commands_.end() || (!is_read && !has_executed(replica, command))) {
    return violation(name(command) + " was acknowledged before " + to_string(replica) +
                     " executed it");
  }
  if (found->second.reply_hash != hash_bytes(reply)) {
    violation(name(command) + " was acknowledged with another reply than it gave");
  }
  // A request of a session may be repeated; then it gets the same answer.
  if (found->second.acknowledged && !is_client_session(command.session)) {
    violation(name(command) + " was acknowledged twice");
  }
  found->second.acknowledged = true;
  ++acknowledged_;
}

bool ExecutionChecker::has_executed(ReplicaId replica, CommandId command) const {
  const auto found = commands_.find(command);
  return found != commands_.end() && (found->second.executed_by >> replica.value() & 1) != 0;
}

std::vector<std::string> ExecutionChecker::missing_acknowledged(
    const std::vector<ReplicaId>& replicas) const {
  std::vector<std::string> missing;
  for (const auto& [id, facts] : commands_) {
    if (!facts.acknowledged || facts.read) continue;
    for (const ReplicaId replica : replicas) {
      if ((facts.executed_by >> replica.value() & 1) != 0) continue;
      missing.push_back(name(id) + " was acknowledged and is not executed at " +
                        to_string(replica));
      if (missing.size() == kViolationsMax) return missing;
    }
  }
  return missing;
}

}  // namespace epaxos::sim
