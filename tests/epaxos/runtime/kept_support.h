#pragma once

// A host whose machine keeps itself, and what a crash leaves of both.

#include <memory>
#include <optional>
#include <string>

#include "epaxos/runtime/kept_mark.h"
#include "tests/epaxos/runtime/image_support.h"

namespace epaxos::runtime::testing {

/// What a crash leaves.
struct Remains {
  storage::RecordMap disk;
  OwnStorage::State machine;
};
inline Remains remains_of(const ImageStage& stage) {
  return {stage.store.on_disk, stage.storage.kept};
}

inline std::unique_ptr<ImageStage> restarted_with(const Remains& remains) {
  auto stage = std::make_unique<ImageStage>();
  stage->store.on_disk = remains.disk;
  stage->let_machine_keep(remains.machine);
  return stage;
}

inline std::optional<KeptNote> note_of(const ImageStage& stage) {
  const auto found = stage.store.on_disk.find(kKeptNoteKey);
  return found == stage.store.on_disk.end() ? std::nullopt : read_note(found->second);
}

class KeepingState : public ::testing::Test {
 protected:
  void start(Durability durability = Durability::kSync) {
    stage = std::make_unique<ImageStage>(durability);
    stage->let_machine_keep();
    ASSERT_TRUE(stage->start());
  }
  void execute(const std::string& state) {
    stage->execute(state);
    turns();
  }
  /// All that is due, and what happened in it.
  Diary turns() {
    Diary all = stage->turn();
    const Diary more = stage->settle();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Diary keep_now() {
    stage->host().request_image();
    return turns();
  }
  /// Why a start on this is refused; empty: it is not.
  static std::string refusal(const Remains& remains) {
    const Result<void> started = restarted_with(remains)->start();
    return started ? "" : started.error().message;
  }

  std::unique_ptr<ImageStage> stage;
};

}  // namespace epaxos::runtime::testing
