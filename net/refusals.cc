#include "net/refusals.h"

#include <numeric>

namespace epaxos::net {

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kTooShort:
      return "too_short";
    case Refusal::kTooLarge:
      return "too_large";
    case Refusal::kWrongMagic:
      return "wrong_magic";
    case Refusal::kWrongVersion:
      return "wrong_version";
    case Refusal::kWrongLength:
      return "wrong_length";
    case Refusal::kWrongChecksum:
      return "wrong_checksum";
    case Refusal::kWrongCluster:
      return "wrong_cluster";
    case Refusal::kWrongSender:
      return "wrong_sender";
    case Refusal::kWrongReceiver:
      return "wrong_receiver";
    case Refusal::kOldIncarnation:
      return "old_incarnation";
    case Refusal::kWrongConfiguration:
      return "wrong_configuration";
    case Refusal::kBadFrame:
      return "bad_frame";
    case Refusal::kExtraFrames:
      return "extra_frames";
    case Refusal::kForeignRoute:
      return "foreign_route";
    case Refusal::kOverflow:
      return "overflow";
    case Refusal::kMalformed:
      return "malformed";
    case Refusal::kBadRequest:
      return "bad_request";
  }
  return "unknown";
}

std::uint64_t RefusalCounters::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
}

}  // namespace epaxos::net
