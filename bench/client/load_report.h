#pragma once

// What a load says when it has ended: for people, and for the process that started it.

#include <string>

#include "bench/client/load.h"
#include "bench/report/latency.h"

namespace epaxos::bench {

/// Executed commands per measured second.
double commands_per_second(const LoadResult& result);

std::string load_text(const LoadResult& result);

/// With the histograms, so that results of several clients can be merged.
Json load_json(const LoadResult& result);

/// Reads what load_json() wrote.
/// Errors: malformed - it is something else.
Result<LoadResult> read_load(std::string_view json);

}  // namespace epaxos::bench
