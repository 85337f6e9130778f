#include "epaxos/runtime/images.h"

#include <algorithm>
#include <utility>

#include "deps/types/mutant.h"

namespace epaxos::runtime {
namespace {

/// While more than this waits for the disk, no image adds to it.
constexpr std::uint64_t kPendingMax = 4 * 1024 * 1024;
/// Pieces that one turn erases.
constexpr std::uint64_t kEraseMax = 64;
/// After a failure to read the state.
constexpr Tick kRetryUs = 60 * kSecond;
/// Unless so many times as much was logged as otherwise brings about the next image.
constexpr std::uint64_t kPinLogs = 8;
/// Of the room that records may take, so much may be those since the last image.
constexpr std::uint64_t kLogShare = 8;
constexpr const char* kNoRoom =
    "the store has too little room for one more image of the state, so what was executed stays in "
    "its records: see the room that epaxosctl status prints";
/// How long an offer is waited for.
constexpr Tick kOfferUs = 2 * kSecond;

Failure damaged(const std::string& what) {
  return fail(ErrorCode::kCorrupted, "the image of the state in the store is damaged (" + what +
                                         "); replace this replica, or restore its whole directory");
}

/// Reads the state part of an image from the store, one piece after the other.
class StateReader {
 public:
  StateReader(const storage::Store& store, const ImageHeader& header)
      : store_(store), header_(header), piece_(header.coverage_pieces()) {}

  /// The next `bytes` of it, for load(): what it asks for beyond them is a failure.
  Source part(std::uint64_t bytes) {
    left_ = bytes;
    return [this](std::span<std::byte> to) { return read(to); };
  }
  [[nodiscard]] bool part_is_over() const { return left_ == 0; }

 private:
  Result<void> read(std::span<std::byte> to) {
    if (to.size() > left_) return damaged("it ends too early");
    left_ -= to.size();
    while (!to.empty()) {
      if (taken_ == data_.size()) {
        if (const Result<void> next = next_piece(); !next) return next;
      }
      const Bytes from = Bytes(data_).subspan(taken_, std::min(to.size(), data_.size() - taken_));
      copy_bytes(from, to.data());
      taken_ += from.size();
      to = to.subspan(from.size());
    }
    return {};
  }

  Result<void> next_piece() {
    if (piece_ == header_.pieces()) return damaged("it ends too early");
    const Result<bool> found = store_.read(image_piece_key(header_.area, piece_), data_);
    if (!found) return fail(found.error());
    if (!*found || data_.size() != header_.piece_bytes(piece_))
      return damaged("a piece is missing");
    ++piece_;
    taken_ = 0;
    return {};
  }

  const storage::Store& store_;
  const ImageHeader header_;
  std::uint64_t piece_;
  std::uint64_t left_ = 0;
  std::vector<std::byte> data_;
  std::size_t taken_ = 0;
};

}  // namespace

Images::Images(const ImagesConfig& config, Core& core, storage::Store& store, StateMachine& machine,
               executor::SessionTable& sessions)
    : config_(config),
      core_(core),
      store_(store),
      machine_(machine),
      sessions_(sessions),
      kept_(config.owner, config.on_disk, store, machine, sessions) {
  check(config.turn_bytes > 0, "an image that no turn writes is never complete");
}

// --- The start ---------------------------------------------------------------------------------

Result<void> Images::restore_coverage() {
  const Result<bool> kept = kept_.restore();
  if (!kept) return fail(kept.error());
  if (*kept) return core_.restore_coverage(kept_.coverage());
  std::vector<std::byte> bytes;
  const Result<bool> found = store_.read(kImageHeaderKey, bytes);
  if (!found) return fail(found.error());
  if (!*found) return {};
  current_ = decode_image_header(bytes);
  if (!current_) return damaged("its header makes no sense");
  numbers_ = current_->number;
  Result<std::vector<std::byte>> coverage = read_coverage(*current_);
  if (!coverage) return fail(coverage.error());
  current_coverage_ = *std::move(coverage);
  return core_.restore_coverage(current_coverage_);
}

Result<std::vector<std::byte>> Images::read_coverage(const ImageHeader& header) const {
  std::vector<std::byte> coverage;
  std::vector<std::byte> data;
  for (std::uint64_t piece = 0; piece < header.coverage_pieces(); ++piece) {
    const Result<bool> found = store_.read(image_piece_key(header.area, piece), data);
    if (!found) return fail(found.error());
    if (!*found || data.size() != header.piece_bytes(piece)) return damaged("a piece is missing");
    coverage.insert(coverage.end(), data.begin(), data.end());
  }
  executor::Checksum hash;
  hash.update(coverage);
  if (hash.value() != header.coverage_digest) return damaged("its coverage is another one");
  return coverage;
}

bool Images::note_record(const RecordKey& key) {
  if (key == kImageHeaderKey || key == kKeptNoteKey) return true;
  if (!is_image_piece(key)) return false;
  std::uint64_t& found = found_[key.row.value()];
  found = std::max(found, key.slot.value());
  return true;
}

Result<void> Images::restore_state() {
  for (std::uint16_t area = 1; area <= kImageAreas; ++area) {
    const bool is_current = current_ && current_->area == area;
    if (!is_current && found_[area] > 0) erase_area(area, found_[area]);
  }
  bool replaced = false;
  return current_ ? load_state(*current_, replaced) : Result<void>();
}

Result<void> Images::load_state(const ImageHeader& header, bool& replaced) {
  StateReader reader(store_, header);
  executor::SessionTable sessions;
  if (const Result<void> loaded = sessions.load(reader.part(header.sessions_bytes)); !loaded) {
    return loaded;
  }
  if (!reader.part_is_over()) return damaged("its sessions end too early");
  if (const Result<void> loaded = machine_.load(reader.part(header.machine_bytes)); !loaded) {
    return loaded;
  }
  replaced = true;
  if (!reader.part_is_over()) return damaged("it holds more than the state machine reads");
  sessions_ = std::move(sessions);
  return {};
}

// --- Its own images ----------------------------------------------------------------------------

bool Images::wants_own() const {
  if (maker_ != nullptr || own_batch_ || stage_ >= Stage::kComplete || now_ < retry_at_) {
    return false;
  }
  if (store_.state() != storage::StoreState::kReady) return false;
  const std::uint64_t due = log_bytes_max();
  if (is_pinned() && log_bytes_ < kPinLogs * due && !store_.space().runs_out()) return false;
  return asked_ || (config_.on_disk && !kept_.is_used() && log_bytes_ >= due);
}

/// Bytes of records after which the next image is due. On a small disk there must be room for that
/// one beside them.
std::uint64_t Images::log_bytes_max() const {
  const std::uint64_t limit = store_.space().limit_bytes;
  const std::uint64_t size = current_ && !kept_.is_used() ? current_->state_bytes() : 0;
  const std::uint64_t due = std::max(config_.log_bytes, size);
  return limit > 0 ? std::min(due, limit / kLogShare) : due;
}

/// Whether so much of an image fits beside what waits for the disk, and leaves what no image may
/// take. Pieces that no longer fit would stand before the records that are to make room.
bool Images::has_room(std::uint64_t image_bytes) const {
  storage::Space space = store_.space();
  space.used_bytes += store_.pending_bytes() + image_bytes + image_bytes / 8;  // Whole pages.
  return !space.is_short();
}

std::optional<std::uint16_t> Images::free_area() const {
  for (std::uint16_t area = 1; area <= kImageAreas; ++area) {
    const bool is_taken =
        (current_ && current_->area == area) || (fetch_ != nullptr && fetch_->area() == area) ||
        (maker_ != nullptr && maker_->header().area == area) ||
        std::ranges::any_of(erasing_, [area](const Erasing& each) { return each.area == area; });
    if (!is_taken) return area;
  }
  return std::nullopt;
}

/// Nothing more is fetched meanwhile.
bool Images::disk_is_behind() const {
  return store_.state() != storage::StoreState::kReady || store_.pending_bytes() > 2 * kPendingMax;
}

bool Images::disk_keeps_up() const {
  return store_.state() == storage::StoreState::kReady && store_.pending_bytes() <= kPendingMax;
}

void Images::begin() {
  const std::optional<std::uint16_t> area = free_area();
  if (!area) return;  // Soon.
  if (!has_room(current_ ? current_->state_bytes() : 0)) {
    return give_up_own({ErrorCode::kOutOfSpace, kNoRoom});
  }
  ImageMaker::Parts parts;
  core_.coverage(parts.coverage);
  const bool forgets = mutant(Mutant::kImageWithoutSessions);
  Result<std::unique_ptr<Image>> of_sessions = (forgets ? no_sessions_ : sessions_).image();
  if (!of_sessions) return give_up_own(of_sessions.error());
  Result<std::unique_ptr<Image>> of_machine = machine_.image();
  if (!of_machine) return give_up_own(of_machine.error());
  parts.sessions = std::move(*of_sessions);
  parts.machine = std::move(*of_machine);
  maker_ = std::make_unique<ImageMaker>(++numbers_, *area, std::move(parts));
  asked_ = false;
  if (!kept_.is_used()) log_bytes_before_ = std::exchange(log_bytes_, 0);
}

void Images::give_up_own(const Error& error) {
  ++counters_.failed;
  trouble_ = error.message;
  retry_at_ = now_ + kRetryUs;
  asked_ = false;
  drop_maker();
}

/// What was logged before it still needs an image.
void Images::drop_maker() {
  if (maker_ == nullptr) return;
  erase_area(maker_->header().area, maker_->pieces());
  maker_.reset();
  log_bytes_ += std::exchange(log_bytes_before_, 0);
}

void Images::make_some(Effects& out) {
  if (maker_ == nullptr || own_batch_ || !disk_keeps_up() || now_ < make_at_) return;
  make_at_ = now_ + config_.pause_us;
  if (!has_room(config_.turn_bytes)) {
    return give_up_own({ErrorCode::kOutOfSpace, kNoRoom});
  }
  const Result<bool> complete = maker_->write(config_.turn_bytes, out);
  if (!complete) return give_up_own(complete.error());
  if (!*complete) return;
  if (mutant(Mutant::kCoverageAfterState)) {
    std::vector<std::byte> coverage;
    core_.coverage(coverage);
    maker_->replace_coverage(coverage, out);
  }
  Slice header;
  encode(maker_->header(), out.allocate(kImageHeaderBytes, header));
  out.put(kImageHeaderKey, header);
  own_batch_ = out.batch;
}

/// The header is on disk.
void Images::switch_to(const ImageHeader& header, std::vector<std::byte> coverage) {
  if (current_) erase_area(current_->area, current_->pieces());
  current_ = header;
  current_coverage_ = std::move(coverage);
  keep_until_ = now_ + kKeepUs;
  if (!made_for_ || preparing_) return;
  // When it asks again, what is forgotten may have passed this image too, for ever.
  preparing_ = std::exchange(made_for_, std::nullopt);
  prepare_at_ = now_;
}

void Images::drop_current() {
  if (!current_) return;
  preparing_.reset();
  erase_area(current_->area, current_->pieces());
  current_.reset();
}

void Images::erase_area(std::uint16_t area, std::uint64_t pieces) {
  erasing_.push_back({area, 0, pieces});
}

void Images::erase_some(Effects& out) {
  if (erasing_.empty() || !disk_keeps_up()) return;
  Erasing& first = erasing_.front();
  first.next = std::min(first.end, first.next + kEraseMax);
  if (first.next > 0) out.erase_through(image_piece_key(first.area, first.next - 1));
  if (first.next == first.end) erasing_.erase(erasing_.begin());
}

// --- A turn ------------------------------------------------------------------------------------

void Images::end_turn(Effects& out) {
  turn_is_due_ = false;
  follow_store(out);
  if (stage_ == Stage::kAsked && now_ >= asked_at_ + kOfferUs) stage_ = Stage::kNone;
  // What no start begins with is there for peers, and nobody needs it for long.
  if (!header_counts() && now_ >= keep_until_ && !maker_) drop_current();
  if (stage_ == Stage::kFetching) {
    if (fetch_->is_stuck() || !has_room(0)) {
      give_up_fetch();
    } else {
      fetch_->ask(now_, disk_is_behind(), out);
    }
  }
  if (stage_ == Stage::kComplete && !own_batch_ && !kept_.under_way()) {
    // From here on the core executes nothing, so the answer holds.
    if (core_.may_install(fetch_->coverage())) {
      stage_ = Stage::kDraining;
      drop_maker();
    } else {
      give_up_fetch();
    }
  }
  if (!paused()) make_some(out);
  prepare_offer(out);
  forget_offers();
  erase_some(out);
}

/// Pieces are read back from the disk, so it is the store's own word that counts, also where the
/// host does not wait for it.
void Images::follow_store(Effects& out) {
  const BatchNumber durable = store_.durable();
  if (own_batch_ && *own_batch_ <= durable) {
    own_batch_.reset();
    ++counters_.made;
    trouble_.clear();
    const std::unique_ptr<ImageMaker> made = std::move(maker_);
    switch_to(made->header(), made->coverage());
    // A start may begin with what the machine keeps instead, which may be older.
    if (!kept_.was_begun()) core_.image_durable(current_coverage_, out);
  }
  follow_machine(out);
  if (kept_.is_used()) return;
  if (stage_ == Stage::kLoaded && fetched_batch_ <= durable) stage_ = Stage::kDurable;
}

Result<void> Images::after_executions(bool& at_boundary, bool all_applied, Effects& next) {
  if (stage_ == Stage::kDurable) {
    at_boundary = true;
    install(next);
  } else if (stage_ == Stage::kDraining && all_applied && store_.durable() >= fetched_batch_) {
    if (!kept_.is_used() || kept_.is_free()) return load_fetched(next);
  } else if (stage_ == Stage::kLoaded) {
    if (wants_to_keep()) keep_loaded();
  } else if (at_boundary) {
    if (wants_own()) begin();
    if (wants_to_keep()) keep_own(next);
  }
  return {};
}

Tick Images::next_deadline() const {
  // What waits for the disk is woken by it; but one that has no speed is done at once.
  const BatchNumber durable = store_.durable();
  if (paused() && kept_.is_used()) return keep_deadline();
  if (paused()) return stage_ >= Stage::kLoaded && fetched_batch_ <= durable ? 0 : kNever;
  if (turn_is_due_ || (own_batch_ && *own_batch_ <= durable)) return 0;
  if (stage_ == Stage::kComplete && !own_batch_ && !kept_.under_way()) return 0;
  if (!erasing_.empty() && disk_keeps_up()) return 0;
  const bool makes = maker_ != nullptr && !own_batch_ && disk_keeps_up();
  const Tick fetch = stage_ == Stage::kFetching ? fetch_->due(disk_is_behind()) : kNever;
  const Tick offer = preparing_ ? prepare_at_ : kNever;
  return std::min({makes ? make_at_ : kNever, offer, fetch, keep_deadline()});
}

ImageStatus Images::status() const {
  ImageStatus status;
  status.counters = counters_;
  if (!header_counts() && kept_.is_used()) {
    status.number = kept_.number();
    status.bytes = kept_.mark_bytes();
  } else if (current_) {
    status.number = current_->number;
    status.bytes = current_->coverage_bytes + current_->state_bytes();
  }
  status.log_bytes = log_bytes_;
  status.making = maker_ != nullptr || kept_.under_way();
  status.fetching = fetch_ != nullptr;
  status.waits_for_peer = asked_ && is_pinned();
  status.trouble = trouble_;
  return status;
}

}  // namespace epaxos::runtime
