// One replica's disk is full under load: it refuses, the others go on, and with more room it goes
// on by itself. reliability.md 1, 5.1.

#include <filesystem>
#include <sys/mount.h>

#include <gtest/gtest.h>

#include "tests/process/counting_clients.h"

namespace epaxos::testing {
namespace {

/// A small file system in memory, gone at the end.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=2m,mode=700") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] bool grow() const {
    return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, "size=256m,mode=700") == 0;
  }

 private:
  const std::string path_;
  bool mounted_ = false;
};

TEST(FullDisk, OneReplicaRefusesTheOthersGoOnAndItGoesOnWithMoreRoom) {
  const std::vector<int> all{0, 1, 2};
  ClusterProcesses cluster(3);
  SmallDisk disk(cluster.data(1));
  if (!disk.mounted()) GTEST_SKIP() << "NOT TESTED: mounting a file system is not permitted here.";
  cluster.start_all();
  CountingClients clients(cluster, {.at = all, .shared_percent = 30});
  const auto store_is = [](const std::string& state) {
    return [=](const std::string& json) {
      return json.find(R"("store":{"state":")" + state + "\"") != std::string::npos;
    };
  };
  // Images make room for as many records as there may be, but not for more state than fits.
  const std::string value(64 * 1024, 'x');
  const auto filler = cluster.client_at(0);
  for (int key = 0; key < 64; ++key) {
    const auto put =
        filler->call(net::RequestKind::kPropose, kv::put("filler" + std::to_string(key), value));
    ASSERT_EQ(put.kind, OutcomeKind::kExecuted) << put.reason;
  }
  ASSERT_TRUE(cluster.wait_for(1, store_is("full"))) << clients.executed();

  EXPECT_TRUE(clients.wait_for_progress(100, {0, 2}));
  ASSERT_TRUE(disk.grow());

  ASSERT_TRUE(cluster.wait_for(1, store_is("ready"))) << cluster.log(1);
  EXPECT_TRUE(clients.wait_for_progress(30));
  clients.stop();
  EXPECT_TRUE(cluster.agree(all)) << cluster.log(1);
  EXPECT_EQ(clients.contradictions(*cluster.client_at(1)), "") << clients.summary();
}

}  // namespace
}  // namespace epaxos::testing
