#include "deps/types/session.h"

#include <gtest/gtest.h>

namespace epaxos {
namespace {

TEST(Session, WhoMayOpenWhichIds) {
  EXPECT_FALSE(is_client_session(0));
  EXPECT_TRUE(is_client_session(1));
  EXPECT_TRUE(is_client_session(kOwnSessionBit - 1));
  EXPECT_FALSE(is_client_session(kOwnSessionBit));
  EXPECT_FALSE(is_session_control(kOwnSessionBit));
  EXPECT_FALSE(is_session_control(kControlSessionBit));
  EXPECT_TRUE(is_session_control(kOwnSessionBit | kControlSessionBit | 7));
}

TEST(Session, ControlSurvivesTheWire) {
  for (const auto operation : {SessionOperation::kOpen, SessionOperation::kTouch,
                               SessionOperation::kClose, SessionOperation::kExpire}) {
    const SessionControl control{operation, 17, 1'000'000, 23};
    const Result<SessionControl> decoded = decode_session_control(encode_session_control(control));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, control);
  }
}

TEST(Session, ControlThatCannotBeIsRefused) {
  const auto refused = [](std::vector<std::byte> payload) {
    return !decode_session_control(payload).has_value();
  };
  const std::vector<std::byte> good = encode_session_control({SessionOperation::kOpen, 17, 1, 0});
  EXPECT_FALSE(refused(good));
  std::vector<std::byte> changed = good;
  changed.pop_back();
  EXPECT_TRUE(refused(changed));
  for (const int operation : {0, 5, 255}) {
    changed = good;
    changed[0] = static_cast<std::byte>(operation);
    EXPECT_TRUE(refused(changed)) << operation;
  }
  EXPECT_TRUE(refused(encode_session_control({SessionOperation::kOpen, 0, 1, 0})));
  EXPECT_TRUE(refused(encode_session_control({SessionOperation::kOpen, kOwnSessionBit, 1, 0})));
}

// The virtual keys are part of the wire version: a replica that computed others would order the
// commands of a session differently.
TEST(Session, TheVirtualKeysAreThoseOfTheWireVersion) {
  EXPECT_EQ(session_access(1).packed(), 5351045858546119959u);
  EXPECT_TRUE(session_access(1).writes());
  EXPECT_NE(session_access(1).key(), session_access(2).key());
}

TEST(Session, CommandsAboutASessionConflictWithItsOthersAndOpeningsWithExpiriesAlone) {
  const Footprint open_1 = session_footprint({SessionOperation::kOpen, 1, 0, 0});
  const Footprint open_2 = session_footprint({SessionOperation::kOpen, 2, 0, 0});
  const Footprint touch_1 = session_footprint({SessionOperation::kTouch, 1, 0, 0});
  const Footprint close_2 = session_footprint({SessionOperation::kClose, 2, 0, 0});
  const Footprint expire_2 = session_footprint({SessionOperation::kExpire, 2, 0, 0});
  const Footprint write_1{Access::write(hash_key("k")), session_access(1)};

  EXPECT_FALSE(conflicts(open_1, open_2));
  EXPECT_TRUE(conflicts(open_1, touch_1));
  EXPECT_TRUE(conflicts(open_1, write_1));
  EXPECT_TRUE(conflicts(open_1, expire_2)) << "the horizon of all sessions";
  EXPECT_TRUE(conflicts(close_2, expire_2));
  EXPECT_FALSE(conflicts(write_1, expire_2));
  EXPECT_FALSE(conflicts(touch_1, expire_2));
}

}  // namespace
}  // namespace epaxos
