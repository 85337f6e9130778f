// The name that somebody meant.

#include "deps/types/nearest_name.h"

#include <gtest/gtest.h>

namespace epaxos {
namespace {

TEST(NearestName, IsTheOneWithTheFewestChangesAndNoneThatIsFar) {
  constexpr std::string_view kNames[] = {"slot-reuse", "reply-at-commit", "never-fast"};
  EXPECT_EQ(nearest_name("slot-resue", kNames), "slot-reuse");
  EXPECT_EQ(nearest_name("never-fats", kNames), "never-fast");
  EXPECT_EQ(nearest_name("rep", kNames), "reply-at-commit") << "it was cut short";
  EXPECT_EQ(nearest_name("durable", kNames), "");
  EXPECT_EQ(nearest_name("slot-reuse", {}), "");
}

TEST(NearestName, OfAShortWordHasAllLettersButOne) {
  constexpr std::string_view kSites[] = {"CA", "VA", "EU", "JP", "A"};
  EXPECT_EQ(nearest_name("JO", kSites), "JP");
  EXPECT_EQ(nearest_name("AC", kSites), "CA") << "two that have changed places";
  EXPECT_EQ(nearest_name("UEE", kSites), "") << "two changes of three letters";
  EXPECT_EQ(nearest_name("XX", kSites), "");
  EXPECT_EQ(nearest_name("B", kSites), "") << "nothing is left of it";
  EXPECT_EQ(nearest_name("", kSites), "");
  constexpr std::string_view kCommands[] = {"get", "put", "mget"};
  EXPECT_EQ(nearest_name("gte", kCommands), "get");
}

}  // namespace
}  // namespace epaxos
