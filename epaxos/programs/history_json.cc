#include "epaxos/programs/history_json.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <nlohmann/json.hpp>

#include "epaxos/protocol/message.h"

namespace epaxos {
namespace {

using Json = nlohmann::ordered_json;

std::string_view word_for(DecidedBy how) {
  switch (how) {
    case DecidedBy::kNobody:
      return "undecided";
    case DecidedBy::kFastPath:
      return "fast path";
    case DecidedBy::kSlowPath:
      return "slow path";
    case DecidedBy::kRecovery:
      return "recovery";
    case DecidedBy::kPeer:
      return "peer";
    case DecidedBy::kUnknown:
      return "unknown";
    case DecidedBy::kImage:
      return "image";
  }
  return "unknown";
}

std::string_view word_for(SlowReason reason) {
  switch (reason) {
    case SlowReason::kNone:
      return "";
    case SlowReason::kAnswersDiffer:
      return "answers differ";
    case SlowReason::kFloor:
      return "floor";
    case SlowReason::kTooFewAnswered:
      return "too few answered";
  }
  return "";
}

std::string_view word_for(RecoveryReason reason) {
  switch (reason) {
    case RecoveryReason::kOwnerSilent:
      return "owner silent";
    case RecoveryReason::kOwnerMayNotVote:
      return "owner may not vote";
    case RecoveryReason::kRoundClosed:
      return "round closed";
  }
  return "";
}

std::string_view word_for(InstanceHistory::Kind kind) {
  using protocol::MessageType;
  if (kind == InstanceHistory::Kind::kNack) return name_of(MessageType::kNack);
  return name_of(kind == InstanceHistory::Kind::kAcceptOk ? MessageType::kAcceptOk
                                                          : MessageType::kPreAcceptOk);
}

Json name_or_null(const InstanceId& id) {
  return id.slot == Slot() ? Json(nullptr) : Json(to_string(id));
}

/// {"R0": 12, "R1": 7}: a slot a row, without those that have none.
Json slots(const Dependencies& dependencies) {
  Json out = Json::object();
  for (int row = 0; row < dependencies.rows(); ++row) {
    const Slot slot = dependencies[replica_at(row)];
    if (slot > Slot()) out[to_string(replica_at(row))] = slot.value();
  }
  return out;
}

/// When this replica first had to do with it.
Tick begin_of(const InstanceHistory& h) {
  if (h.given_at != 0) return h.given_at;
  if (h.recovery && h.recovery->at != 0) return h.recovery->at;
  return h.committed_at != 0 ? h.committed_at : h.now;
}

Json history(const InstanceHistory& h, std::uint64_t unix_now_us) {
  const Tick begin = begin_of(h);
  const auto time = [&](Tick at) { return at == 0 ? Json(nullptr) : Json(at - begin); };
  Json out = {{"instance", to_string(h.id)},
              {"replica", h.asked.value()},
              {"replicas", h.replica_count},
              {"kept", h.kept},
              {"why_not_kept", h.why_not_kept},
              {"begin_age_us", h.now - std::min(h.now, begin)},
              {"begin_unix_us", unix_now_us - (h.now - std::min(h.now, begin))},
              {"recorded", h.recorded},
              {"commands", h.commands},
              {"given_us", time(h.given_at)},
              {"behind", name_or_null({h.id.row, h.behind})},
              {"fenced", h.fenced},
              {"retries", name_or_null(h.retries)},
              {"retried_as", name_or_null(h.retried)},
              {"proposed_us", time(h.proposed_at)},
              {"initial", slots(h.initial)},
              {"pre_accept_sent_us", time(h.sent_at)}};
  out["answers"] = Json::array();
  for (const InstanceHistory::Answer& each : h.answers) {
    out["answers"].push_back(
        {{"from", each.from.value()}, {"message", word_for(each.kind)}, {"at_us", time(each.at)}});
  }
  out["extra_dependencies"] = Json::array();
  for (const InstanceHistory::Extra& each : h.extras) {
    const Slot proposed = h.initial.rows() > 0 ? h.initial[each.of.row] : Slot();
    out["extra_dependencies"].push_back({{"from", each.from.value()},
                                         {"dependency", to_string(each.of)},
                                         {"proposed", proposed.value()}});
  }
  out["fast_quorum_us"] = time(h.fast_quorum_at);
  out["slow_path_us"] = time(h.slow_at);
  out["slow_reason"] = word_for(h.slow_reason);
  out["accept_sent_us"] = time(h.accept_sent_at);
  if (h.not_asked.size() > 0) out["not_asked"] = h.not_asked.bits();
  out["resent"] = h.resent;
  out["recovery"] = nullptr;
  if (h.recovery) {
    out["recovery"] = {
        {"by", h.recovery->by.value()},
        {"at_us", time(h.recovery->at)},
        {"reason", h.recovery->reason ? Json(word_for(*h.recovery->reason)) : Json(nullptr)},
        {"silent_us", h.recovery->silent_us},
        {"attempts", h.recovery->attempts}};
  }
  out["decided_by"] = word_for(h.decided_by);
  out["told_by"] = h.decided_by == DecidedBy::kPeer ? Json(h.told_by.value()) : Json(nullptr);
  out["nop"] = h.nop;
  out["committed_us"] = time(h.committed_at);
  out["decided"] = slots(h.decided);
  out["waited_for"] = Json::array();
  for (const InstanceHistory::Wait& each : h.waits) {
    // What it was told of before its own life began has no time here.
    const bool is_later = each.committed_at > begin;
    out["waited_for"].push_back({{"instance", to_string(each.on)},
                                 {"was_committed", each.was_committed},
                                 {"committed_us", is_later ? time(each.committed_at) : nullptr}});
  }
  out["blocker"] = h.blocker ? Json(to_string(*h.blocker)) : Json(nullptr);
  out["blocker_unknown"] = h.blocker_unknown;
  out["last"] = h.last ? Json(to_string(*h.last)) : Json(nullptr);
  out["component"] = h.component;
  out["ready_us"] = time(h.ready_at);
  out["executed"] = h.executed;
  out["executed_us"] = time(h.executed_at);
  return out;
}

}  // namespace

std::string history_json(std::span<const InstanceHistory> histories) {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  const auto now_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count());
  Json out = Json::array();
  for (const InstanceHistory& each : histories) out.push_back(history(each, now_us));
  return out.dump();
}

}  // namespace epaxos
