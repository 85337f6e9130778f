#pragma once

// What must hold of every trace, and what it consists of.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace epaxos::bench::testing {

/// Every arrow has both ends and points forward; each row is in the order of time, and of its
/// slices two are apart or one lies in the other.
inline void expect_sound(const nlohmann::json& events) {
  using Row = std::pair<int, int>;
  std::map<Row, std::int64_t> last;
  std::map<Row, std::vector<std::int64_t>> open;
  std::map<std::uint64_t, std::int64_t> starts;
  std::map<std::uint64_t, std::int64_t> ends;
  for (const nlohmann::json& event : events) {
    const std::string kind = event.at("ph");
    if (kind == "M") continue;
    const Row row{event.at("pid").get<int>(), event.at("tid").get<int>()};
    const auto at = event.at("ts").get<std::int64_t>();
    EXPECT_GE(at, last[row]);
    last[row] = at;
    if (kind == "X") {
      const std::int64_t end = at + event.at("dur").get<std::int64_t>();
      std::vector<std::int64_t>& around = open[row];
      while (!around.empty() && around.back() <= at) around.pop_back();
      EXPECT_TRUE(around.empty() || end <= around.back()) << event.dump();
      around.push_back(end);
    } else {
      const bool is_new =
          (kind == "s" ? starts : ends).emplace(event.at("id").get<std::uint64_t>(), at).second;
      EXPECT_TRUE(is_new) << event.dump();
    }
  }
  ASSERT_EQ(starts.size(), ends.size());
  for (const auto& [arrow, at] : starts) {
    ASSERT_TRUE(ends.contains(arrow));
    EXPECT_LE(at, ends.at(arrow));
  }
}

/// Of the events of this kind ("X": slices, "s": starts of arrows).
inline std::multiset<std::string> names(const nlohmann::json& events, const std::string& kind) {
  std::multiset<std::string> out;
  for (const nlohmann::json& event : events) {
    if (event.at("ph") == kind) out.insert(event.at("name").get<std::string>());
  }
  return out;
}

/// "PreAccept R0.3" from one process to another.
struct Arrow {
  std::string message;   ///< "PreAccept".
  std::string instance;  ///< "R0.3".
  int from = 0;          ///< Of a replica the number, from 0.
  int to = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

inline std::vector<Arrow> arrows_of(const nlohmann::json& events) {
  std::map<std::uint64_t, Arrow> arrows;
  for (const nlohmann::json& event : events) {
    const std::string kind = event.at("ph");
    if (kind != "s" && kind != "f") continue;
    Arrow& arrow = arrows[event.at("id").get<std::uint64_t>()];
    const std::string name = event.at("name");
    arrow.message = name.substr(0, name.find(' '));
    arrow.instance = name.substr(name.find(' ') + 1);
    (kind == "s" ? arrow.from : arrow.to) = event.at("pid").get<int>() - 1;
    (kind == "s" ? arrow.begin : arrow.end) = event.at("ts").get<std::int64_t>();
  }
  std::vector<Arrow> out;
  for (auto& [id, arrow] : arrows) out.push_back(std::move(arrow));
  return out;
}

}  // namespace epaxos::bench::testing
