#pragma once

// What cores count. Each protocol has an enumeration of its own, that ends with kCount, and a name
// for each of its values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace epaxos {

struct Counter {
  std::string_view name;  ///< Static storage, snake_case, unit last.
  std::uint64_t value = 0;
};

template <class Count>
class CounterSet {
 public:
  static constexpr std::size_t kSize = static_cast<std::size_t>(Count::kCount);
  using Names = std::array<std::string_view, kSize>;

  void add(Count what, std::uint64_t times = 1) {
    values_[static_cast<std::size_t>(what)] += times;
  }
  [[nodiscard]] std::uint64_t operator[](Count what) const {
    return values_[static_cast<std::size_t>(what)];
  }
  void append_to(std::vector<Counter>& out, const Names& names) const {
    for (std::size_t i = 0; i < kSize; ++i) out.push_back({names[i], values_[i]});
  }

 private:
  std::array<std::uint64_t, kSize> values_{};
};

}  // namespace epaxos
