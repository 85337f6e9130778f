#include "epaxos/runtime/kept_state.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::runtime {
namespace {

/// "the state machine's own storage holds ... (number N)".
std::string holds(const char* what, std::uint64_t number) {
  return std::string("the state machine's own storage holds ") + what + " (number " +
         std::to_string(number) + ")";
}

}  // namespace

KeptState::KeptState(const net::BundleIdentity& owner, bool remembers, storage::Store& store,
                     StateMachine& machine, executor::SessionTable& sessions)
    : owner_(owner),
      remembers_(remembers),
      used_(remembers && machine.keeps_itself()),
      store_(store),
      machine_(machine),
      sessions_(sessions) {
}

// --- The start ---------------------------------------------------------------------------------

Result<bool> KeptState::restore() {
  if (machine_.keeps_itself()) {
    const Result<std::uint64_t> kept = machine_.kept();
    if (!kept) return fail(kept.error());
    kept_ = given_ = *kept;
  }
  if (!remembers_ && kept_ > 0) {
    return fail(ErrorCode::kInvalidArgument,
                holds("a state", kept_) +
                    ", and at durability \"none\" nothing is remembered that it would fit to: "
                    "start with an empty storage, or choose durability \"sync\" or \"async\"");
  }
  if (const Result<void> fits = check_note(); !fits) return fail(fits.error());
  if (kept_ == 0) return false;
  if (const Result<void> restored = restore_mark(); !restored) return fail(restored.error());
  return true;
}

/// Whether store and machine were never set back, one without the other.
Result<void> KeptState::check_note() {
  std::vector<std::byte> bytes;
  const Result<bool> found = store_.read(kKeptNoteKey, bytes);
  if (!found) return fail(found.error());
  if (*found) {
    const std::optional<KeptNote> note = read_note(bytes);
    if (!note) {
      return fail(ErrorCode::kCorrupted,
                  "the record of what the state machine keeps makes no sense; replace this "
                  "replica, or restore its whole directory");
    }
    noted_ = *note;
  }
  if (!machine_.keeps_itself() && *found) {
    return fail(ErrorCode::kInvalidArgument,
                "this replica was started with a state machine that keeps itself, and the present "
                "one does not: use that machine, or replace this replica");
  }
  if (kept_ < noted_.kept) {
    return fail(ErrorCode::kCorrupted, holds("an older state", kept_) +
                                           " than this replica had made durable (number " +
                                           std::to_string(noted_.kept) +
                                           "): restore its newest state, or replace this replica");
  }
  if (kept_ > noted_.most) {
    return fail(ErrorCode::kCorrupted,
                holds("a state", kept_) +
                    " that this replica's data directory does not know of: it was emptied or set "
                    "back, and the storage was not. Restore the newest of both, or replace this "
                    "replica, which begins with both of them empty");
  }
  return {};
}

Result<void> KeptState::restore_mark() {
  const Result<std::vector<std::byte>> bytes = machine_.kept_mark();
  if (!bytes) return fail(bytes.error());
  const Result<KeptMark> mark = read_mark(*bytes);
  if (!mark) return fail(mark.error());
  if (const Result<void> own = expect_owner(*mark, owner_); !own) return own;
  if (mark->number != kept_) {
    return fail(ErrorCode::kCorrupted, holds("a state", kept_) +
                                           " with the mark of another one (number " +
                                           std::to_string(mark->number) +
                                           "): restore its newest state, or replace this replica");
  }
  const Result<std::uint64_t> counted = batches_counted();
  if (!counted) return fail(counted.error());
  if (*counted < mark->batches) {
    return fail(ErrorCode::kCorrupted,
                holds("a state", kept_) +
                    " that is newer than this replica's data directory, which was set back. "
                    "Restore the newest of both, or replace this replica, which begins with both "
                    "of them empty");
  }
  Bytes rest = mark->sessions;
  const Result<void> loaded = sessions_.load([&rest](std::span<std::byte> to) -> Result<void> {
    if (to.size() > rest.size()) return fail(ErrorCode::kCorrupted, "the sessions end too early");
    copy_bytes(rest.first(to.size()), to.data());
    rest = rest.subspan(to.size());
    return {};
  });
  if (!loaded) return fail(loaded.error());
  coverage_.assign(mark->coverage.begin(), mark->coverage.end());
  kept_mark_bytes_ = bytes->size();
  return {};
}

/// As the store would tell it after a crash; 0: below "sync" nobody counts.
Result<std::uint64_t> KeptState::batches_counted() const {
  std::vector<std::byte> bytes;
  const Result<bool> found = store_.read(kCountKey, bytes);
  if (!found) return fail(found.error());
  std::uint64_t count = 0;
  if (*found && bytes.size() == sizeof count) copy_bytes(bytes, &count);
  return count;
}

// --- A turn ------------------------------------------------------------------------------------

KeptState::News KeptState::follow(Tick now, Effects& out) {
  if (!used_) return News::kNone;
  News news = News::kNone;
  if (under_way_) {
    look_at_ = now + kLookUs;
    const Result<std::uint64_t> kept = machine_.kept();
    if (!kept) {
      trouble_ = kept.error();
      news = News::kFailed;
    } else if (*kept >= given_) {
      check(*kept == given_, "a state machine has kept a state that it was not asked to");
      kept_ = given_;
      kept_mark_bytes_ = mark_bytes_;
      news = News::kKept;
    }
    under_way_ = news == News::kNone;
  }
  // Records that an older state needs are erased in this batch or a later one.
  if (note_is_due()) {
    noted_ = {kept_, given_ + 1};
    put_note(noted_, out);
    note_batch_ = out.batch;
  }
  return news;
}

bool KeptState::is_free() const {
  return used_ && !under_way_ && given_ < noted_.most && store_.durable() >= note_batch_;
}

Result<void> KeptState::keep(std::vector<std::byte> coverage) {
  check(is_free(), "a state machine is to keep two states at once, or one that is not noted");
  ++given_;
  const Result<std::uint64_t> batches = batches_counted();
  if (!batches) return fail(batches.error());
  const Result<std::vector<std::byte>> mark =
      make_mark(owner_, given_, *batches, coverage, sessions_);
  if (!mark) return fail(mark.error());
  if (const Result<void> begun = machine_.keep(given_, *mark); !begun) return begun;
  under_way_ = true;
  look_at_ = 0;  // It may be done already.
  coverage_ = std::move(coverage);
  mark_bytes_ = mark->size();
  return {};
}

}  // namespace epaxos::runtime
