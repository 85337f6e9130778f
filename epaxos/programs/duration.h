#pragma once

// Durations as people write them.

#include <string_view>

#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos {

/// Microseconds of "500us", "20ms", "5s", "2m" or "1h"; a number alone means seconds. Fractions are
/// fine. Errors: invalid argument - something else, or not within `least_us`, 1 ms or 0, to 1 h.
Result<Tick> duration_from(std::string_view text, Tick least_us = 1'000);

}  // namespace epaxos
