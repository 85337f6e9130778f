// What --assert takes, what it then means, and what it refuses.

#include "bench/wan/gate.h"

#include <gmock/gmock.h>

#include "tests/wan/wan_support.h"

namespace epaxos::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::must;

TEST(Gate, AFactorAndATimeBeyondTheBound) {
  const Gate gate = must(Gate::parse("p50<=1.01*bound+1ms"));

  EXPECT_EQ(gate.phase(), Gate::Phase::kBoth);
  EXPECT_DOUBLE_EQ(gate.share(), 0.5);
  EXPECT_DOUBLE_EQ(gate.limit_us(100'000), 102'000);
  EXPECT_TRUE(gate.holds(102'000, 100'000));
  EXPECT_FALSE(gate.holds(102'001, 100'000));
}

TEST(Gate, EveryFormIsRead) {
  EXPECT_DOUBLE_EQ(must(Gate::parse("p50 <= bound")).limit_us(70), 70);
  EXPECT_DOUBLE_EQ(must(Gate::parse("p50<=2*bound")).limit_us(70), 140);
  EXPECT_DOUBLE_EQ(must(Gate::parse("p50<=bound-500us")).limit_us(7000), 6500);
  EXPECT_DOUBLE_EQ(must(Gate::parse("p99.9<=bound+10ms")).share(), 0.999);
  const Gate fixed = must(Gate::parse("execution p99<400ms"));
  EXPECT_EQ(fixed.phase(), Gate::Phase::kExecution);
  EXPECT_DOUBLE_EQ(fixed.limit_us(1), 400'000) << "whatever the bound is";
  EXPECT_FALSE(fixed.holds(400'000, 1)) << "less, and not equal";
  EXPECT_EQ(must(Gate::parse("commit p50<=bound")).phase(), Gate::Phase::kCommit);
}

TEST(Gate, WhatIsWrongIsNamedWithHowItIsWritten) {
  const auto error_of = [](const char* text) {
    const auto gate = Gate::parse(text);
    return gate ? std::string("accepted") : gate.error().message;
  };
  EXPECT_THAT(error_of("mean<=bound"),
              AllOf(HasSubstr("\"mean<=bound\" does not begin with a percentile"),
                    HasSubstr("Write it as \"p50<=1.01*bound+1ms\"")));
  EXPECT_THAT(error_of("p101<=bound"), HasSubstr("from p0 to p100"));
  EXPECT_THAT(error_of("p<=bound"), HasSubstr("percentile"));
  EXPECT_THAT(error_of("p50>bound"), HasSubstr("has no \"<\" or \"<=\""));
  EXPECT_THAT(error_of("p50<=bound*2"), HasSubstr("has neither \"+\" nor \"-\""));
  EXPECT_THAT(error_of("p50<=-1*bound"), HasSubstr("has a negative factor"));
  EXPECT_THAT(error_of("p50<=bound+much"), HasSubstr("does not end with a bound, or a time"));
  EXPECT_THAT(error_of("p50<="), HasSubstr("does not end with a bound, or a time"));
  EXPECT_THAT(error_of("p50<=100"), HasSubstr("in us, ms or s: \"100\""));
  EXPECT_THAT(error_of("p50<=bound+1msx"), HasSubstr("\"1msx\""));
  EXPECT_THAT(error_of("p50<=1.01*bounds"), HasSubstr("neither"));
}

}  // namespace
}  // namespace epaxos::bench
