#pragma once

// The conversation between the measuring process and its children: one order, one reply, over a
// socket that keeps messages apart.

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/throughput/subject.h"

namespace epaxos::bench {

enum class Order : std::uint8_t {
  kOpen,      ///< Reply when the subject is open, and tell what has been measured.
  kConnect,   ///< Reply when the subject is ready for a load.
  kLoad,      ///< Begin the load.
  kBegin,     ///< Begin the window, and tell what has been measured.
  kMeasure,   ///< Tell what has been measured.
  kStopLoad,  ///< Propose nothing new.
  kQuit,      ///< Close everything and end.
};

struct Reply {
  bool ok = true;
  ErrorCode code = ErrorCode::kUnavailable;  ///< Unless ok.
  char sentence[480] = {};                   ///< Unless ok; ends with a zero.
  Measurement measurement;
};
static_assert(std::is_trivially_copyable_v<Reply>);

/// The life of a child: obeys until it is told to quit or the socket closes.
void obey(int socket, const MakeSubject& make, const GroupOptions& options, const Place& place);

}  // namespace epaxos::bench
