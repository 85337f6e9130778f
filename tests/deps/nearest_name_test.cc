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

}  // namespace
}  // namespace epaxos
