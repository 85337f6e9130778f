#pragma once

// The moment at which loads on several machines begin together. It is a time of UTC, as people
// write it; the machines' clocks agree about it as well as NTP makes them.

#include <cstdint>
#include <string>

#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::bench {

/// Microseconds since 1970, of UTC.
Tick unix_now_us();

/// Reads "12:30", "12:30:15" - the next such moment - or "2026-05-03T12:30:15Z".
/// Errors: invalid argument - it is none, has passed, or is more than a day ahead.
Result<Tick> start_time_from(const std::string& text, Tick unix_now_us);

/// "2026-05-03 12:30:15 UTC".
std::string utc_text(Tick unix_us);

}  // namespace epaxos::bench
