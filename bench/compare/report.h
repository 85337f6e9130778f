#pragma once

// The comparison for people, as CSV and as JSON.

#include <string>

#include "bench/compare/loss.h"
#include "bench/compare/matrix.h"

namespace epaxos::bench {

/// The conditions, a table of medians, and what each protocol does in its own way.
std::string to_text(const CompareOptions& options, const Matrix& matrix);
/// A line a combination: of each figure the median, the least and the most.
std::string to_csv(const Matrix& matrix);
std::string to_json(const CompareOptions& options, const Matrix& matrix);

std::string to_text(const CompareOptions& options, const Losses& losses);
/// A line a kind of loss.
std::string to_csv(const Losses& losses);
std::string to_json(const CompareOptions& options, const Losses& losses);

}  // namespace epaxos::bench
