#include "net/address.h"

#include <gtest/gtest.h>

namespace epaxos::net {
namespace {

TEST(Address, UsableOnesAreTaken) {
  for (const char* address :
       {"tcp://127.0.0.1:7000", "tcp://node-1.example.org:1", "tcp://[::1]:7000",
        "tcp://localhost:65535", "ipc:///tmp/replica-0"}) {
    EXPECT_TRUE(check_connect_address(address)) << address;
    EXPECT_TRUE(check_bind_address(address)) << address;
  }
}

TEST(Address, WildcardsAreForListeningOnly) {
  for (const char* address : {"tcp://*:7000", "tcp://127.0.0.1:*", "tcp://0.0.0.0:7000",
                              "tcp://*:*", "tcp://127.0.0.1:0", "tcp://[::]:7000"}) {
    EXPECT_TRUE(check_bind_address(address)) << address;
    ASSERT_FALSE(check_connect_address(address)) << address;
    EXPECT_EQ(check_connect_address(address).error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Address, TheSentenceNamesWhatIsWrong) {
  const auto message = [](const char* address) {
    const auto result = check_bind_address(address);
    return result ? std::string("accepted") : result.error().message;
  };
  EXPECT_NE(message("").find("it is empty"), std::string::npos);
  EXPECT_NE(message("127.0.0.1:7000").find("neither tcp:// nor ipc://"), std::string::npos);
  EXPECT_NE(message("udp://127.0.0.1:7000").find("neither"), std::string::npos);
  EXPECT_NE(message("tcp://127.0.0.1").find("the port is missing"), std::string::npos);
  EXPECT_NE(message("tcp://:7000").find("the host is missing"), std::string::npos);
  EXPECT_NE(message("tcp://a b:7000").find("characters"), std::string::npos);
  EXPECT_NE(message("tcp://h:65536").find("1 to 65535"), std::string::npos);
  EXPECT_NE(message("tcp://h:7000x").find("1 to 65535"), std::string::npos);
  EXPECT_NE(message("tcp://h:-1").find("1 to 65535"), std::string::npos);
  EXPECT_NE(message("ipc://").find("path"), std::string::npos);
  EXPECT_NE(message(("ipc:///" + std::string(200, 'x')).c_str()).find("longer"), std::string::npos);
}

}  // namespace
}  // namespace epaxos::net
