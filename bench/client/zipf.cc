#include "bench/client/zipf.h"

#include <algorithm>
#include <cmath>

#include "deps/types/check.h"

namespace epaxos::bench {
namespace {

/// So many terms are added one by one; the rest is an integral with two corrections.
constexpr std::uint64_t kTerms = 10'000;

double eta(std::uint64_t items, double theta, double zeta) {
  if (items <= 2) return 0;  // The first two ranks are told apart without it.
  return (1 - std::pow(2.0 / static_cast<double>(items), 1 - theta)) /
         (1 - Zipf::zeta(2, theta) / zeta);
}

}  // namespace

Zipf::Zipf(std::uint64_t items, double theta)
    : items_(items),
      zeta_(zeta(items, theta)),
      first_two_(zeta(2, theta)),
      alpha_(1 / (1 - theta)),
      eta_(eta(items, theta, zeta_)) {
  check(items > 0, "Zipf's law has items to choose from");
  check(theta > 0 && theta < 1, "this generator of Zipf's law needs a theta between 0 and 1");
}

std::uint64_t Zipf::rank_of(double share) const {
  const double among = share * zeta_;
  if (among < 1) return 0;
  if (among < first_two_ || items_ <= 2) return std::min<std::uint64_t>(1, items_ - 1);
  const double at = static_cast<double>(items_) * std::pow(eta_ * share - eta_ + 1, alpha_);
  return std::min(static_cast<std::uint64_t>(at), items_ - 1);
}

double Zipf::zeta(std::uint64_t items, double theta) {
  double sum = 0;
  const std::uint64_t terms = std::min(items, kTerms);
  for (std::uint64_t i = terms; i > 0; --i) sum += std::pow(static_cast<double>(i), -theta);
  if (terms == items) return sum;
  // Euler and Maclaurin: the terms behind `from` up to `to`.
  const auto from = static_cast<double>(terms);
  const auto to = static_cast<double>(items);
  const auto value = [theta](double x) { return std::pow(x, -theta); };
  const auto slope = [theta](double x) { return -theta * std::pow(x, -theta - 1); };
  const double area = (std::pow(to, 1 - theta) - std::pow(from, 1 - theta)) / (1 - theta);
  return sum + area + (value(to) - value(from)) / 2 + (slope(to) - slope(from)) / 12;
}

}  // namespace epaxos::bench
