#pragma once

// Why bytes from outside were not taken. Each reason has a name, which is the name of its counter;
// nothing is dropped without one of them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace epaxos::net {

enum class Refusal : std::uint8_t {
  kTooShort,            ///< Less than a header.
  kTooLarge,            ///< Over the limit of its kind of message; see net/limits.h.
  kWrongMagic,          ///< Not ours at all.
  kWrongVersion,        ///< Another wire version.
  kWrongLength,         ///< The length in the header is not that of the message.
  kWrongChecksum,       ///< Damaged on the way.
  kWrongCluster,        ///< Intact, but of another cluster.
  kWrongSender,         ///< Outside of the group, or this replica itself.
  kWrongReceiver,       ///< Meant for another replica.
  kOldIncarnation,      ///< From an earlier life of its sender; the host's decision.
  kWrongConfiguration,  ///< The sender knows another membership.
  kBadFrame,            ///< Frames that do not fill the bundle exactly, or of a wrong size.
  kExtraFrames,         ///< A ZeroMQ message of more than one payload frame, or of none.
  kForeignRoute,        ///< A client that chose its own ZeroMQ routing id.
  kOverflow,            ///< More has arrived than waits to be read, at most.
  kMalformed,           ///< A body that does not decode, or holds values out of range.
  kBadRequest,          ///< One request of a message that was otherwise accepted.
};
inline constexpr std::size_t kRefusals = static_cast<std::size_t>(Refusal::kBadRequest) + 1;

/// The name of a reason as counters, logs and JSON print it: "wrong_cluster". Static storage.
std::string_view to_string(Refusal refusal);

class RefusalCounters {
 public:
  void count(Refusal refusal, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(refusal)] += times;
  }
  [[nodiscard]] std::uint64_t operator[](Refusal refusal) const {
    return counts_[static_cast<std::size_t>(refusal)];
  }
  [[nodiscard]] std::uint64_t total() const;

 private:
  std::array<std::uint64_t, kRefusals> counts_{};
};

}  // namespace epaxos::net
