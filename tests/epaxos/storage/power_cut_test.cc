// Power cuts: whatever a disk may hold after one, the store opens, holds every batch that it has
// called durable, and of the others a prefix, each of them whole. Source: reliability.md 1, 5.1.

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "epaxos/storage/lmdb_store.h"
#include "tests/epaxos/storage/power_cut_image.h"
#include "tests/epaxos/storage/power_cut_trace.h"
#include "tests/epaxos/storage/record_model.h"
#include "tests/epaxos/storage/store_helpers.h"

namespace epaxos::storage {
namespace {

const std::vector<std::uint8_t> kKinds = {1, 2};
constexpr std::uint64_t kLastSlot = 30;

/// What the directory holds from now on; locks are of no account.
void lay_out(const std::string& path, const DiskImage& image) {
  std::filesystem::remove_all(path);
  if (!image) return;
  std::filesystem::create_directory(path);
  for (const auto& [name, content] : *image) write_bytes(path + "/" + name, content);
}

/// What a store did while its disk was traced, and what it must hold after each of its batches.
struct TracedLoad {
  DiskImage start;
  std::vector<TraceEvent> events;
  std::vector<Records> states;  ///< [i]: after batch i.
};

/// Runs a store on a directory, several times, under a random load.
class Loader {
 public:
  /// `records` are those in `start`.
  Loader(std::string path, const DiskImage& start, Records records, std::uint64_t seed)
      : path_(std::move(path)), model_(seed, kKinds, kLastSlot, std::move(records)) {
    lay_out(path_, start);
    load_.start = start;
    load_.states.push_back(model_.records());
  }

  /// A run is made of bursts of batches.
  TracedLoad run(int runs, int bursts) {
    Trace::begin(path_);
    for (; runs > 0; --runs) run_once(bursts);
    load_.events = Trace::end();
    return std::move(load_);
  }

 private:
  void run_once(int bursts) {
    const auto directory = open_directory(path_);
    const BatchNumber before = load_.states.size() - 1;
    std::atomic<LmdbStore*> running{nullptr};
    Gate gate;
    LmdbOptions options;
    options.map_bytes = 256 * 1024;  // It grows.
    options.on_progress = [&] { Trace::acknowledged(before + running.load()->durable()); };
    options.write_fault = gate.hook();
    const auto store = must(LmdbStore::open(*directory, options));
    running = store.get();
    ASSERT_EQ(must(load_all(*store)), model_.records());
    BatchNumber last = 0;
    for (; bursts > 0; --bursts) write_burst(*store, gate, last);
    ASSERT_TRUE(store->close());
    if (model_.below(2) == 0) {
      ASSERT_TRUE(directory->mark_clean());
    }
  }

  /// The first batch in a transaction of its own, and all others in the next one: the same seed
  /// makes the same calls.
  void write_burst(LmdbStore& store, Gate& gate, BatchNumber& last) {
    gate.close();
    submit(store, ++last);
    gate.wait_for_the_writer();
    for (std::uint64_t more = model_.below(5); more > 0; --more) submit(store, ++last);
    gate.open();
    ASSERT_TRUE(wait_durable(store, last)) << store.error();
  }

  void submit(LmdbStore& store, BatchNumber number) {
    BatchBuilder batch(number);
    model_.change(batch, 25);
    load_.states.push_back(model_.records());
    Trace::submitted(load_.states.size() - 1);
    store.submit(batch.effects());
  }

  std::string path_;
  RecordModel model_;
  TracedLoad load_;
};

/// Opens what a power cut has left, and says what is wrong with it.
class Inspector {
 public:
  explicit Inspector(std::string path) : path_(std::move(path)) {}

  /// Empty when the store holds one of the `allowed` states, and goes on from there.
  std::string problem(const DiskImage& image, std::span<const Records> allowed) {
    lay_out(path_, image);
    const Result<Records> found = write_one_more(allowed);
    if (!found) return (image ? "" : "there is no directory: ") + found.error().message;
    const Result<Records> reopened = reopen_and_load(path_);
    if (!reopened) return "after one more batch: " + reopened.error().message;
    return *reopened == *found ? "" : "one more batch does not leave what it should";
  }

 private:
  Result<Records> write_one_more(std::span<const Records> allowed) {
    Result<std::unique_ptr<DataDirectory>> directory =
        DataDirectory::open(directory_options(path_));
    if (!directory) return fail(directory.error());
    Result<std::unique_ptr<LmdbStore>> store = LmdbStore::open(**directory);
    if (!store) return fail(store.error());
    Result<Records> loaded = load_all(**store);
    if (!loaded) return loaded;
    if (std::ranges::find(allowed, *loaded) == allowed.end()) {
      return fail(ErrorCode::kCorrupted, "an acknowledged batch is lost, or one is torn");
    }
    RecordModel model(1, kKinds, kLastSlot, *std::move(loaded));
    BatchBuilder batch(1);
    model.change(batch, 40);
    (*store)->submit(batch.effects());
    if (Result<void> closed = (*store)->close(); !closed) return fail(closed.error());
    return model.records();
  }

  std::string path_;
};

/// Points of the trace at which most is at stake: the last moment before something is durable.
bool ends_with_a_sync(const TraceEvent& event) {
  switch (event.kind) {
    case TraceEvent::Kind::kSync:
    case TraceEvent::Kind::kSyncDirectory:
    case TraceEvent::Kind::kSyncParent:
    case TraceEvent::Kind::kRename:
      return true;
    default:
      return event.is_synchronous;
  }
}

struct Findings {
  std::uint64_t images = 0;
  std::vector<std::string> problems;
};

/// Cuts the power during every call that makes something durable, `images_each` times, and now and
/// then during another one, and looks at what is left.
class PowerCutter {
 public:
  PowerCutter(const TracedLoad& load, std::uint64_t seed)
      : load_(load), random_(seed), seed_(seed), disk_(load.start) {}

  void ignore_syncs() { disk_.ignore_syncs(); }

  Findings run(Inspector& inspector, std::uint64_t images_each) {
    Findings findings;
    for (const TraceEvent& event : load_.events) {
      const std::uint64_t other = random_() % 8 == 0 ? 1 : 0;
      std::uint64_t images = ends_with_a_sync(event) ? images_each : other;
      for (; images > 0 && findings.problems.size() < 10; --images) {
        const std::string problem = inspector.problem(disk_.cut(random_, event), allowed());
        ++findings.images;
        if (!problem.empty()) findings.problems.push_back(place(event) + problem);
      }
      take(event);
    }
    return findings;
  }

  /// A state that the disk may be in after `point` of its syncs, and what it then holds.
  DiskImage state_at(std::uint64_t point) {
    for (const TraceEvent& event : load_.events) {
      if (ends_with_a_sync(event) && point-- == 0) return disk_.cut(random_, event);
      take(event);
    }
    return disk_.seen();
  }

 private:
  /// From the last batch that was acknowledged to the last that was begun.
  [[nodiscard]] std::span<const Records> allowed() const {
    return std::span(load_.states).subspan(acknowledged_, submitted_ - acknowledged_ + 1);
  }

  void take(const TraceEvent& event) {
    if (event.kind == TraceEvent::Kind::kSubmitted) submitted_ = event.number;
    if (event.kind == TraceEvent::Kind::kAcknowledged) acknowledged_ = event.number;
    disk_.apply(event);
    ++taken_;
  }

  [[nodiscard]] std::string place(const TraceEvent& event) const {
    return "seed " + std::to_string(seed_) + ", cut in call " + std::to_string(taken_) + " (" +
           event.file + " at " + std::to_string(event.offset) + "), batches " +
           std::to_string(acknowledged_) + " to " + std::to_string(submitted_) + ": ";
  }

  const TracedLoad& load_;
  std::mt19937_64 random_;
  std::uint64_t seed_;
  TracedDisk disk_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t submitted_ = 0;
  std::uint64_t taken_ = 0;
};

/// Loads of many seeds, and the cuts of each, in memory: what a disk does is computed.
class PowerCut : public testing::Test {
 protected:
  TracedLoad load(std::uint64_t seed, int runs = 3, int bursts = 8) {
    return Loader(parent_ / "traced", std::nullopt, {}, seed).run(runs, bursts);
  }

  /// Fails the test for every problem. How many images there were.
  std::uint64_t expect_no_problem(const TracedLoad& traced, std::uint64_t seed,
                                  std::uint64_t images_each) {
    const Findings findings = PowerCutter(traced, seed).run(inspector_, images_each);
    for (const std::string& problem : findings.problems) ADD_FAILURE() << problem;
    return findings.images;
  }

  /// The power fails, the store starts again and works, and the power fails once more.
  std::uint64_t cut_twice(std::uint64_t seed, std::uint64_t images_each) {
    const TracedLoad first = load(seed, 1, 5);
    DiskImage left = PowerCutter(first, seed).state_at(seed * 7 % 40);
    if (left) left->erase("stamp.new");  // It is cut off when it is opened; open() is not traced.
    lay_out(parent_ / "again", left);
    Records records = must(reopen_and_load(parent_ / "again"));
    const TracedLoad second =
        Loader(parent_ / "traced", left, std::move(records), seed + 1).run(2, 4);
    return expect_no_problem(second, seed, images_each);
  }

  TemporaryDirectory parent_{memory_root()};
  Inspector inspector_{parent_ / "cut"};
};

// Were a call missing in the trace, images would be of another store than this one.
TEST_F(PowerCut, TheTraceHoldsEverythingThatTheStoreWrote) {
  const TracedLoad traced = load(1);
  TracedDisk disk(traced.start);
  int synced = 0;
  for (const TraceEvent& event : traced.events) {
    disk.apply(event);
    synced += ends_with_a_sync(event);
  }

  EXPECT_GT(synced, 100);
  for (const auto& [name, content] : disk.seen()) {
    EXPECT_TRUE(content == read_bytes(parent_ / "traced" + "/" + name)) << name;
  }
  EXPECT_TRUE(disk.seen().contains("data.mdb"));
  EXPECT_TRUE(disk.seen().contains("stamp"));
}

TEST_F(PowerCut, LosesNothingThatWasAcknowledgedAndTearsNoBatch) {
  const std::uint64_t images = expect_no_problem(load(1), 1, 4);

  EXPECT_GE(images, 400U);
}

TEST_F(PowerCut, LosesNothingWhenItComesAgainAfterTheRestart) {
  std::uint64_t images = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) images += cut_twice(seed, 1);

  EXPECT_GE(images, 100U);
}

// The check of this file must be able to fail.
TEST_F(PowerCut, ADiskThatIgnoresSyncsIsNoticed) {
  const TracedLoad traced = load(2);
  PowerCutter cutter(traced, 2);
  cutter.ignore_syncs();

  EXPECT_GE(cutter.run(inspector_, 2).problems.size(), 10U);
}

class NightlyPowerCut : public PowerCut {};

TEST_F(NightlyPowerCut, LosesNothingInAHundredThousandImages) {
  std::uint64_t images = 0;
  for (std::uint64_t seed = 1; images < 100'000 && !HasFailure(); ++seed) {
    images += expect_no_problem(load(1'000 + seed), seed, 10);
    images += cut_twice(1'000 + seed, 5);
  }
  RecordProperty("images", static_cast<int>(images));
}

// ---- The disk of this file ----

TraceEvent write_of(std::string file, std::uint64_t offset, std::string bytes) {
  TraceEvent event;
  event.kind = TraceEvent::Kind::kWrite;
  event.file = std::move(file);
  event.offset = offset;
  event.bytes = std::move(bytes);
  return event;
}

TraceEvent call(TraceEvent::Kind kind, std::string file = {}, std::string renamed_to = {}) {
  TraceEvent event;
  event.kind = kind;
  event.file = std::move(file);
  event.renamed_to = std::move(renamed_to);
  return event;
}

/// A directory with one file.
DiskImage holding(std::string content) {
  std::map<std::string, std::string> files;
  files["f"] = std::move(content);
  return files;
}

/// What a file may be after a cut; "-" when it may be missing.
std::set<std::string> versions(const TracedDisk& disk, const std::string& file,
                               const TraceEvent& in_flight) {
  std::set<std::string> seen;
  std::mt19937_64 random(1);
  for (int i = 0; i < 2'000; ++i) {
    const DiskImage image = disk.cut(random, in_flight);
    seen.insert(image->contains(file) ? image->at(file) : "-");
  }
  return seen;
}

TEST(TracedDisk, EachSectorIsInAnyOfItsVersionsSinceTheLastSync) {
  const std::string zeros(kSectorBytes, '\0');
  const std::string a(kSectorBytes, 'a');
  const std::string b(kSectorBytes, 'b');
  const std::string c(kSectorBytes, 'c');
  const TraceEvent synced = write_of("f", 0, a + a);
  const TraceEvent pending = write_of("f", 0, b + b);
  const TraceEvent in_flight = write_of("f", kSectorBytes, c);
  TracedDisk disk(holding(zeros + zeros));
  disk.apply(synced);
  disk.apply(call(TraceEvent::Kind::kSync, "f"));
  disk.apply(pending);

  EXPECT_EQ(versions(disk, "f", in_flight), (std::set{a + a, a + b, a + c, b + a, b + b, b + c}));
}

TEST(TracedDisk, ASynchronousWriteIsDurableWhenItReturnsAndNoOtherSector) {
  const std::string zeros(kSectorBytes, '\0');
  const std::string a(kSectorBytes, 'a');
  const std::string b(kSectorBytes, 'b');
  const TraceEvent pending = write_of("f", 0, a + a);
  TraceEvent synchronous = write_of("f", kSectorBytes, b);
  synchronous.is_synchronous = true;
  TracedDisk disk(holding(zeros + zeros));
  disk.apply(pending);

  EXPECT_TRUE(versions(disk, "f", synchronous).contains(zeros + zeros));
  disk.apply(synchronous);

  EXPECT_EQ(versions(disk, "f", call(TraceEvent::Kind::kSubmitted)), (std::set{zeros + b, a + b}));
}

TEST(TracedDisk, NamesMayBeTheOldOnesUntilTheDirectoryIsSynced) {
  const TraceEvent content = write_of("f.new", 0, "new");
  TracedDisk disk(holding("old"));
  disk.apply(content);
  disk.apply(call(TraceEvent::Kind::kSync, "f.new"));
  disk.apply(call(TraceEvent::Kind::kRename, "f.new", "f"));
  const TraceEvent sync = call(TraceEvent::Kind::kSyncDirectory);

  EXPECT_EQ(versions(disk, "f", sync), (std::set<std::string>{"old", "new"}));
  EXPECT_EQ(versions(disk, "f.new", sync), (std::set<std::string>{"-", "new"}));
  disk.apply(sync);

  EXPECT_EQ(versions(disk, "f", sync), (std::set<std::string>{"new"}));
}

}  // namespace
}  // namespace epaxos::storage
