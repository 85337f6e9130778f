#include "epaxos/storage/data_directory.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "epaxos/storage/file_system.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The failure to open; fails the test when it opens.
Error open_error(const DataDirectoryOptions& options) {
  const Result<std::unique_ptr<DataDirectory>> opened = DataDirectory::open(options);
  EXPECT_FALSE(opened) << "it opened";
  return opened ? Error{} : opened.error();
}

/// What a run of a replica leaves behind.
void run_once(const std::string& path, Durability durability, bool stops_cleanly) {
  const auto directory = must(DataDirectory::open(directory_options(path, durability)));
  EXPECT_TRUE(!stops_cleanly || directory->mark_clean().has_value());
}

TEST(DataDirectory, TheFirstStartCreatesItAndMayVote) {
  const TemporaryDirectory parent;

  const auto directory = must(DataDirectory::open(directory_options(parent / "data")));

  EXPECT_EQ(directory->incarnation(), 1U);
  EXPECT_EQ(directory->past().stop, PreviousStop::kFirstStart);
  EXPECT_TRUE(directory->voting());
  EXPECT_EQ(directory->non_voting_reason(), "");
  EXPECT_EQ(directory->store_witness(), 0U);
}

TEST(DataDirectory, EveryStartIsANewIncarnation) {
  const TemporaryDirectory parent;
  for (std::uint64_t incarnation = 1; incarnation <= 4; ++incarnation) {
    EXPECT_EQ(open_directory(parent.path())->incarnation(), incarnation);
  }
}

// An emptied directory must not start with the number of the life that peers know.
TEST(DataDirectory, IncarnationsFollowTheClockAndNeverGoBack) {
  const TemporaryDirectory parent;
  const auto at = [&](std::uint64_t clock_ms) {
    DataDirectoryOptions options = directory_options(parent.path());
    options.clock_ms = clock_ms;
    return must(DataDirectory::open(options))->incarnation();
  };
  EXPECT_EQ(at(1'000), 1'000U);
  EXPECT_EQ(at(2'000), 2'000U);
  EXPECT_EQ(at(500), 2'001U) << "a clock that was set back";
  EXPECT_EQ(at(2'500), 2'500U);
}

TEST(DataDirectory, TellsHowTheRunBeforeEndedAndAtWhichDurability) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kAsync, true);

  const auto second = must(DataDirectory::open(directory_options(parent.path())));
  EXPECT_EQ(second->past().stop, PreviousStop::kClean);
  EXPECT_EQ(second->past().durability, Durability::kAsync);
}

TEST(DataDirectory, AStopWithoutItsLastActIsUnclean) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kSync, false);

  const auto second = must(DataDirectory::open(directory_options(parent.path())));

  EXPECT_EQ(second->past().stop, PreviousStop::kUnclean);
  EXPECT_TRUE(second->voting()) << "at sync everything is on disk anyway";
}

TEST(DataDirectory, RemembersTheWitnessOfItsStore) {
  const TemporaryDirectory parent;
  {
    const auto directory = open_directory(parent.path());
    ASSERT_TRUE(directory->record_store_witness(41));
  }
  EXPECT_EQ(open_directory(parent.path())->store_witness(), 41U);
}

TEST(DataDirectory, IsHeldByOneOwnerWhoIsNamed) {
  const TemporaryDirectory parent;
  const auto owner = open_directory(parent.path());

  const Error error = open_error(directory_options(parent.path()));

  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.message,
              AllOf(HasSubstr(parent.path()), HasSubstr("process " + std::to_string(::getpid()))));
}

TEST(DataDirectory, ASecondProcessIsRefused) {
  const TemporaryDirectory parent;
  const auto owner = open_directory(parent.path());
  const std::uint64_t incarnation = owner->incarnation();

  const pid_t child = ::fork();
  if (child == 0) {
    const auto opened = DataDirectory::open(directory_options(parent.path()));
    ::_exit(!opened && opened.error().code == ErrorCode::kBusy ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);

  EXPECT_EQ(status, 0);
  EXPECT_EQ(owner->incarnation(), incarnation);
}

TEST(DataDirectory, IsFreeAgainWhenItsOwnerIsKilled) {
  const TemporaryDirectory parent;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto opened = DataDirectory::open(directory_options(parent.path()));
    ::kill(::getpid(), SIGKILL);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));

  EXPECT_EQ(open_directory(parent.path())->past().stop, PreviousStop::kUnclean);
}

TEST(DataDirectory, OfAnotherReplicaOrClusterIsRefusedAndNotTouched) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kSync, true);
  const std::string stamp = read_bytes(parent / "stamp");

  DataDirectoryOptions other_replica = directory_options(parent.path());
  other_replica.identity = identity_of(3);
  DataDirectoryOptions other_cluster = directory_options(parent.path());
  other_cluster.identity = identity_of(2, 9);
  DataDirectoryOptions other_count = directory_options(parent.path());
  other_count.identity.replica_count = 3;

  for (const auto& options : {other_replica, other_cluster, other_count}) {
    const Error error = open_error(options);
    EXPECT_EQ(error.code, ErrorCode::kWrongIdentity);
    EXPECT_THAT(error.message, AllOf(HasSubstr("belongs to replica 2 of 5"),
                                     HasSubstr("0707070707070707"), HasSubstr("but this is")));
  }
  EXPECT_EQ(read_bytes(parent / "stamp"), stamp);
}

TEST(DataDirectory, BeginsARunAndEndsItOnADiskThatIsFull) {
  const TemporaryDirectory parent;
  if (::mount("tmpfs", parent.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "NOT TESTED: mounting a file system is not permitted here";
  }
  run_once(parent.path(), Durability::kSync, false);
  std::ofstream balloon(parent / "balloon", std::ios::binary);
  while (balloon.write(std::string(4096, 'b').data(), 4096).flush()) continue;

  for (std::uint64_t incarnation = 2; incarnation <= 5; ++incarnation) {
    const auto directory = DataDirectory::open(directory_options(parent.path()));
    EXPECT_TRUE(directory) << (directory ? "" : directory.error().message);
    if (!directory) break;
    EXPECT_EQ((*directory)->incarnation(), incarnation);
    EXPECT_TRUE((*directory)->record_store_witness(incarnation));
    EXPECT_TRUE((*directory)->mark_clean());
  }
  balloon.close();
  ::umount2(parent.path().c_str(), MNT_DETACH);
}

TEST(DataDirectory, EveryChangedBitOfTheStampIsNoticed) {
  const TemporaryDirectory parent(memory_root());
  run_once(parent.path(), Durability::kSync, true);
  const std::string stamp = read_bytes(parent / "stamp");

  for (std::size_t bit = 0; bit < 8 * stamp.size(); ++bit) {
    std::string damaged = stamp;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    write_bytes(parent / "stamp", damaged);
    const Error error = open_error(directory_options(parent.path()));
    ASSERT_TRUE(error.code == ErrorCode::kCorrupted || error.code == ErrorCode::kWrongIdentity)
        << "bit " << bit << ": " << error.message;
  }
}

TEST(DataDirectory, ATruncatedOrEmptyOrHugeStampIsNoticed) {
  const TemporaryDirectory parent(memory_root());
  run_once(parent.path(), Durability::kSync, true);
  const std::string stamp = read_bytes(parent / "stamp");

  for (std::size_t size = 0; size < stamp.size(); ++size) {
    write_bytes(parent / "stamp", stamp.substr(0, size));
    ASSERT_NE(open_error(directory_options(parent.path())).message, "") << size;
  }
  write_bytes(parent / "stamp", stamp + stamp);
  EXPECT_EQ(open_error(directory_options(parent.path())).code, ErrorCode::kCorrupted);
  write_bytes(parent / "stamp", std::string(1 << 20, 'x'));
  EXPECT_EQ(open_error(directory_options(parent.path())).code, ErrorCode::kTooLarge);
}

TEST(DataDirectory, AStoreWithoutAStampIsRefused) {
  const TemporaryDirectory parent;
  write_bytes(parent / "data.mdb", "somebody's records");

  const Error error = open_error(directory_options(parent.path()));

  EXPECT_EQ(error.code, ErrorCode::kCorrupted);
  EXPECT_THAT(error.message, HasSubstr("no stamp"));
}

TEST(DataDirectory, OneWithFilesOfSomebodyElseIsRefusedAndNotTouched) {
  const TemporaryDirectory parent;
  std::filesystem::create_directory(parent / "lost+found");
  write_bytes(parent / "notes.txt", "mine");

  const Error error = open_error(directory_options(parent.path()));

  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, AllOf(HasSubstr("holds other files (\"notes.txt\")"),
                                   HasSubstr("name an empty directory")));
  EXPECT_FALSE(std::filesystem::exists(parent / "lock"));
  EXPECT_FALSE(std::filesystem::exists(parent / "stamp"));
  std::filesystem::remove(parent / "notes.txt");
  EXPECT_TRUE(DataDirectory::open(directory_options(parent.path()))) << "a file system of its own";
  write_bytes(parent / "notes.txt", "mine");
  EXPECT_TRUE(DataDirectory::open(directory_options(parent.path()))) << "it has the replica's data";
}

TEST(DataDirectory, AnotherFormatIsToldFromDamage) {
  const TemporaryDirectory parent;
  write_bytes(parent / "stamp", "epaxos data directory, format 1\nwhatever\n");

  const Error error = open_error(directory_options(parent.path()));

  EXPECT_EQ(error.code, ErrorCode::kWrongIdentity);
  EXPECT_THAT(error.message, HasSubstr("another version"));
}

TEST(DataDirectory, APathThatCannotServeIsExplained) {
  const TemporaryDirectory parent;
  write_bytes(parent / "file", "");

  EXPECT_THAT(open_error(directory_options(parent / "file")).message,
              HasSubstr("is not a directory"));
  EXPECT_THAT(open_error(directory_options(parent / "no/such")).message,
              HasSubstr("its parent directory does not exist"));
  EXPECT_THAT(open_error(directory_options(parent / "file/below")).message,
              HasSubstr("cannot be created"));
}

TEST(DataDirectory, WithoutPermissionIsExplained) {
  const TemporaryDirectory parent;
  std::filesystem::create_directory(parent / "data");
  std::filesystem::permissions(parent / "data", std::filesystem::perms::owner_read);
  std::filesystem::permissions(parent.path(), std::filesystem::perms::all);

  // The superuser may do everything, so an ordinary user tries.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);
    const auto opened = DataDirectory::open(directory_options(parent / "data"));
    const bool explained = !opened && opened.error().code == ErrorCode::kInvalidArgument &&
                           opened.error().message.find("not writable") != std::string::npos;
    ::_exit(explained ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);

  EXPECT_EQ(status, 0);
}

TEST(SystemFailure, SaysWhatToDo) {
  const auto sentence = [](int error) {
    return system_failure("/d", "cannot be", error).error.message;
  };
  EXPECT_THAT(sentence(EMFILE), HasSubstr("ulimit -n"));
  EXPECT_THAT(sentence(ENFILE), HasSubstr("fs.file-max"));
  EXPECT_THAT(sentence(ENOMEM), HasSubstr("ulimit -v"));
  EXPECT_THAT(sentence(ENOSPC), HasSubstr("free some space"));
  EXPECT_THAT(sentence(EDQUOT), HasSubstr("free some space"));
  EXPECT_EQ(sentence(EIO), "/d: cannot be: Input/output error");
}

TEST(DataDirectory, OnAReadOnlyFileSystemIsExplained) {
  const TemporaryDirectory parent;
  if (::mount("tmpfs", parent.path().c_str(), "tmpfs", MS_RDONLY, "size=1m") != 0) {
    GTEST_SKIP() << "NOT TESTED: mounting a file system is not permitted here";
  }

  const Error error = open_error(directory_options(parent.path()));

  ::umount2(parent.path().c_str(), MNT_DETACH);
  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, AllOf(HasSubstr("not writable"), HasSubstr("Read-only")));
}

TEST(DataDirectory, NetworkAndUserSpaceFileSystemsAreRefusedAndLocalOnesAreNot) {
  for (const std::int64_t type : {0x6969, 0x65735546, 0x01021997, 0x517b}) {
    EXPECT_NE(filesystem_problem(type), "") << std::hex << type;
  }
  EXPECT_NE(filesystem_problem(static_cast<std::int32_t>(0xff534d42)), "") << "sign-extended";
  for (const std::int64_t type : {0xef53, 0x58465342, 0x01021994, 0x794c7630}) {
    EXPECT_EQ(filesystem_problem(type), "") << std::hex << type;
  }
}

// ---- Who may vote ----

struct VotingCase {
  PreviousStop stop;
  Durability before;
  bool lost_before;
  Durability now;
  bool lost;
};

class VotingRule : public testing::TestWithParam<VotingCase> {};

TEST_P(VotingRule, MemoryIsLostExactlyWhenVotesMayBeMissing) {
  const VotingCase& c = GetParam();
  EXPECT_EQ(
      memory_is_lost({.stop = c.stop, .durability = c.before, .memory_lost = c.lost_before}, c.now),
      c.lost);
}

constexpr auto kSync = Durability::kSync;
constexpr auto kAsync = Durability::kAsync;
constexpr auto kNone = Durability::kNone;
constexpr auto kFirst = PreviousStop::kFirstStart;
constexpr auto kClean = PreviousStop::kClean;
constexpr auto kUnclean = PreviousStop::kUnclean;

INSTANTIATE_TEST_SUITE_P(Table, VotingRule,
                         testing::Values(
                             // A first start has promised nothing.
                             VotingCase{kFirst, kSync, false, kSync, false},
                             VotingCase{kFirst, kSync, false, kAsync, false},
                             VotingCase{kFirst, kSync, false, kNone, false},
                             // At sync everything was on disk before anybody heard of it.
                             VotingCase{kClean, kSync, false, kSync, false},
                             VotingCase{kUnclean, kSync, false, kSync, false},
                             VotingCase{kClean, kSync, false, kAsync, false},
                             VotingCase{kUnclean, kSync, false, kAsync, false},
                             // At async only a clean stop has written everything.
                             VotingCase{kClean, kAsync, false, kAsync, false},
                             VotingCase{kUnclean, kAsync, false, kAsync, true},
                             VotingCase{kClean, kAsync, false, kSync, false},
                             VotingCase{kUnclean, kAsync, false, kSync, true},
                             // At none nothing was written, however it stopped.
                             VotingCase{kClean, kNone, false, kNone, true},
                             VotingCase{kUnclean, kNone, false, kNone, true},
                             VotingCase{kClean, kNone, false, kSync, true},
                             VotingCase{kUnclean, kNone, false, kAsync, true},
                             // A start at none does not read what was written.
                             VotingCase{kClean, kSync, false, kNone, true},
                             VotingCase{kClean, kAsync, false, kNone, true},
                             // Once lost, always lost.
                             VotingCase{kClean, kSync, true, kSync, true},
                             VotingCase{kClean, kAsync, true, kSync, true},
                             VotingCase{kUnclean, kSync, true, kAsync, true}));

TEST(DataDirectory, LostMemoryStaysLostWhateverTheLaterRunsAre) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kAsync, false);
  run_once(parent.path(), Durability::kSync, true);
  run_once(parent.path(), Durability::kSync, true);

  const auto directory = must(DataDirectory::open(directory_options(parent.path())));

  EXPECT_FALSE(directory->voting());
  EXPECT_THAT(directory->non_voting_reason(),
              AllOf(HasSubstr("does not vote"), HasSubstr("--unsafe-rejoin")));
}

TEST(DataDirectory, ARunAtNoneThatWouldNotReadWhatIsThereIsRefusedAndChangesNothing) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kSync, true);
  DataDirectoryOptions options = directory_options(parent.path());
  options.durability = Durability::kNone;

  const Error error = open_error(options);

  EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.message, AllOf(HasSubstr("durability sync"), HasSubstr("Start it as before")));
  EXPECT_TRUE(must(DataDirectory::open(directory_options(parent.path())))->voting());
}

TEST(DataDirectory, ARunAtNoneBetweenTwoAtSyncLosesTheMemoryIfTheOperatorInsisted) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kSync, true);
  DataDirectoryOptions options = directory_options(parent.path());
  options.durability = Durability::kNone;
  options.unsafe_rejoin = true;
  must(DataDirectory::open(options));

  EXPECT_FALSE(must(DataDirectory::open(directory_options(parent.path())))->voting());
}

TEST(DataDirectory, WhatAnotherProtocolWroteIsRefusedByItsName) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kSync, true);
  DataDirectoryOptions options = directory_options(parent.path());
  options.protocol = "raft";

  const Error error = open_error(options);

  EXPECT_EQ(error.code, ErrorCode::kWrongIdentity);
  EXPECT_THAT(error.message,
              AllOf(HasSubstr("written by the protocol epaxos"),
                    HasSubstr("this replica runs raft"), HasSubstr("--protocol epaxos")));
  EXPECT_TRUE(must(DataDirectory::open(directory_options(parent.path())))->voting());
}

TEST(DataDirectory, TheOperatorMayInsistOnVoting) {
  const TemporaryDirectory parent;
  run_once(parent.path(), Durability::kAsync, false);
  DataDirectoryOptions options = directory_options(parent.path());
  options.unsafe_rejoin = true;
  EXPECT_TRUE(must(DataDirectory::open(options))->voting());

  EXPECT_TRUE(must(DataDirectory::open(directory_options(parent.path())))->voting())
      << "the run that was insisted on kept everything";
}

}  // namespace
}  // namespace epaxos::storage
