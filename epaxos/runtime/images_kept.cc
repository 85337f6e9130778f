// What a machine that keeps itself changes about images: when it is to keep its state, what follows
// from that, and how the image of a peer becomes the state that it keeps. Source: protocol.md
// 14.4-14.5.

#include <utility>

#include "deps/types/mutant.h"
#include "epaxos/runtime/images.h"

namespace epaxos::runtime {
namespace {

/// After a failure to keep the state.
constexpr Tick kKeepAgainUs = 60 * kSecond;
/// While this replica stands still until its new state is kept.
constexpr Tick kKeepLoadedAgainUs = kSecond;

}  // namespace

/// Whether a start would begin with the image that the header in the store names.
bool Images::header_counts() const {
  return config_.on_disk && kept_.number() == 0;
}

bool Images::wants_to_keep() const {
  if (!kept_.is_free() || now_ < keep_at_) return false;
  if (stage_ == Stage::kLoaded) return true;
  if (stage_ >= Stage::kComplete || store_.state() != storage::StoreState::kReady) return false;
  return asked_to_keep_ || log_bytes_ >= log_bytes_max();
}

void Images::keep_own(Effects& next) {
  std::vector<std::byte> coverage;
  core_.coverage(coverage);
  if (mutant(Mutant::kErasesBeforeKept)) core_.image_durable(coverage, next);
  asked_to_keep_ = false;
  log_bytes_before_keep_ = std::exchange(log_bytes_, 0);
  if (const Result<void> begun = kept_.keep(std::move(coverage)); !begun) {
    note_not_kept(begun.error());
  }
}

void Images::keep_loaded() {
  if (const Result<void> begun = kept_.keep(fetch_->coverage()); !begun) {
    note_not_kept(begun.error());
  }
}

void Images::follow_machine(Effects& out) {
  switch (kept_.follow(now_, out)) {
    case KeptState::News::kNone:
      return;
    case KeptState::News::kKept:
      return note_kept(out);
    case KeptState::News::kFailed:
      return note_not_kept(kept_.trouble());
  }
}

void Images::note_kept(Effects& out) {
  trouble_.clear();
  log_bytes_before_keep_ = 0;
  if (stage_ == Stage::kLoaded) {
    stage_ = Stage::kDurable;
    return;
  }
  ++counters_.kept;
  core_.image_durable(kept_.coverage(), out);
}

/// What was logged before it still needs a state that is kept.
void Images::note_not_kept(const Error& error) {
  ++counters_.failed;
  trouble_ = error.message;
  keep_at_ = now_ + (stage_ == Stage::kLoaded ? kKeepLoadedAgainUs : kKeepAgainUs);
  log_bytes_ += std::exchange(log_bytes_before_keep_, 0);
}

Tick Images::keep_deadline() const {
  if (stage_ == Stage::kDurable) return 0;
  if (stage_ == Stage::kLoaded && kept_.is_free()) return keep_at_;
  return kept_.next_deadline();
}

}  // namespace epaxos::runtime
