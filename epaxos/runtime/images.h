#pragma once

// The images of a host: it makes its own ones, so that a restart begins near the end and old
// records may go; it gives them to peers; and it installs one of a peer when its core wishes. A
// machine that keeps itself takes the place of the first, see kept_state.h; then images are made
// for peers. No protocol stands in here: what an image covers, and for whom it will do, is the
// core's to say.
// Source: protocol.md 14.4-14.5.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "epaxos/contract/core.h"
#include "epaxos/runtime/image_fetch.h"
#include "epaxos/runtime/image_maker.h"
#include "epaxos/runtime/kept_state.h"
#include "epaxos/storage/store.h"
#include "executor/session_table.h"

namespace epaxos::runtime {

struct ImagesConfig {
  bool on_disk = true;  ///< Otherwise an image is made only for a peer that asks.
  /// Bytes of records after which the next image is made; more when images are larger.
  std::uint64_t log_bytes = 0;
  std::size_t turn_bytes = 0;  ///< That a turn reads of the state.
  Tick pause_us = 0;           ///< Between two such turns.
  net::BundleIdentity owner;   ///< Whose state it is, whatever the incarnation.
};

struct ImageCounters {
  std::uint64_t made = 0;
  std::uint64_t kept = 0;      ///< By a state machine that keeps itself.
  std::uint64_t failed = 0;    ///< The state could not be read, or kept.
  std::uint64_t requests = 0;  ///< Of peers.
  std::uint64_t pieces_sent = 0;
  std::uint64_t pieces_received = 0;
  std::uint64_t fetches = 0;  ///< That began.
  std::uint64_t fetches_given_up = 0;
  std::uint64_t refused_offers = 0;  ///< Too large to be worth it, or of no use here.
  std::uint64_t refused_damaged = 0;
  std::uint64_t refused_malformed = 0;
  std::uint64_t installed = 0;
};

struct ImageStatus {
  ImageCounters counters;
  std::uint64_t number = 0;  ///< Of the state that the next start begins with; 0: none.
  std::uint64_t bytes = 0;  ///< Of the image; of what is kept beside a state machine's own storage.
  std::uint64_t log_bytes = 0;  ///< Of records since then.
  bool making = false;
  bool fetching = false;
  bool waits_for_peer = false;  ///< The next one is asked for; a peer still fetches the last one.
  std::string trouble;          ///< Why the last image could not be made; empty: it could.
};

class Images {
 public:
  /// Everything outlives it.
  Images(const ImagesConfig& config, Core& core, storage::Store& store, StateMachine& machine,
         executor::SessionTable& sessions);
  Images(const Images&) = delete;
  Images& operator=(const Images&) = delete;

  // --- The start. Errors: corrupted.

  /// Before the core gets the first record.
  Result<void> restore_coverage();
  /// Whether the record belongs to an image; then it has been noted.
  bool note_record(const RecordKey& key);
  /// After the last record.
  Result<void> restore_state();

  // --- A turn, in this order.

  void tick(Tick now) { now_ = now; }
  [[nodiscard]] static bool is_mine(net::FrameType type) { return type >= kFirstHostFrame; }
  void receive(ReplicaId from, const net::Frame& frame, Effects& out);
  void wish(const ImageWish& wish, Effects& out);
  /// Adds pieces to the turn's records. Afterwards nothing but what the core says to durable()
  /// belongs to the turn.
  void end_turn(Effects& out);
  void note_log(std::uint64_t bytes) { log_bytes_ += bytes; }
  /// The turn's executions are applied. `at_boundary`: the last one ended a component, and nothing
  /// is half done; `all_applied`: the core has no execution under way.
  /// Sets `at_boundary` when an image takes the place of what was half done.
  /// Errors: the state machine is neither what it was nor what it was to be; the host must stop.
  Result<void> after_executions(bool& at_boundary, bool all_applied, Effects& next);

  /// An image of a peer is about to take the place of the state: the core gets nothing but
  /// durable() and applied(), so that it executes nothing that would be lost.
  [[nodiscard]] bool paused() const { return stage_ >= Stage::kDraining; }
  /// What the state says may be told: after a crash the replica begins with it, or with more.
  [[nodiscard]] bool state_is_durable() const { return stage_ != Stage::kLoaded; }
  /// When the next turn is due although nothing arrives; 0: at once.
  [[nodiscard]] Tick next_deadline() const;

  /// Makes an image as soon as possible, whatever was logged, and whatever failed before.
  void request() {
    (kept_.is_used() ? asked_to_keep_ : asked_) = turn_is_due_ = true;
    retry_at_ = keep_at_ = 0;
  }
  [[nodiscard]] ImageStatus status() const;

 private:
  /// How long an image stays for a peer that has asked for a piece of it.
  static constexpr Tick kPinUs = 10 * kSecond;
  /// The same without a disk, where an image is there for peers alone.
  static constexpr Tick kKeepUs = 60 * kSecond;

  /// Of what comes from a peer.
  enum class Stage {
    kNone,
    kAsked,  ///< For an offer.
    kFetching,
    kComplete,  ///< To be installed at the end of this turn, or dropped.
    kDraining,  ///< Paused; executions under way end.
    kLoaded,    ///< The state is there, its header on the way to the disk, or it is being kept.
    kDurable,
  };
  /// What a peer was offered.
  struct Offered {
    ImageHeader header;  ///< Of current_, with this coverage. Number 0: nothing.
    bool asked = false;  ///< For a piece of it.
    std::vector<std::byte> coverage;
  };
  struct Erasing {
    std::uint16_t area = 0;
    std::uint64_t next = 0;
    std::uint64_t end = 0;
  };

  // Its own ones.
  [[nodiscard]] bool wants_own() const;
  [[nodiscard]] bool disk_keeps_up() const;
  [[nodiscard]] std::uint64_t log_bytes_max() const;
  [[nodiscard]] bool has_room(std::uint64_t image_bytes) const;
  [[nodiscard]] bool disk_is_behind() const;
  void begin();
  void follow_store(Effects& out);
  void make_some(Effects& out);
  void switch_to(const ImageHeader& header, std::vector<std::byte> coverage);
  void give_up_own(const Error& error);
  void drop_maker();
  void drop_current();
  [[nodiscard]] std::optional<std::uint16_t> free_area() const;
  void erase_area(std::uint16_t area, std::uint64_t pieces);
  void erase_some(Effects& out);
  Result<std::vector<std::byte>> read_coverage(const ImageHeader& header) const;
  /// `replaced`: the state machine has taken it over, whatever failed afterwards.
  Result<void> load_state(const ImageHeader& header, bool& replaced);

  // A machine that keeps itself: images_kept.cc.
  [[nodiscard]] bool header_counts() const;
  [[nodiscard]] bool wants_to_keep() const;
  void keep_own(Effects& next);
  void follow_machine(Effects& out);
  void note_kept(Effects& out);
  void note_not_kept(const Error& error);
  void keep_loaded();
  [[nodiscard]] Tick keep_deadline() const;

  // For peers.
  void on_request(ReplicaId from, Effects& out);
  void prepare_offer(Effects& out);
  void send_offer_of(ReplicaId to, Effects& out);
  void forget_offers();
  void on_ask(ReplicaId from, const ImageAsk& ask, Effects& out);
  [[nodiscard]] bool is_pinned() const { return now_ < pinned_until_; }
  void pin() {
    pinned_until_ = now_ + kPinUs;
    keep_until_ = now_ + kKeepUs;
  }

  // From a peer.
  void on_offer(ReplicaId from, const ImageHeader& offer);
  void on_piece(ReplicaId from, const ImagePiece& piece, Effects& out);
  void give_up_fetch();
  Result<void> load_fetched(Effects& next);
  void put_fetched_header(Effects& next);
  void install(Effects& next);

  const ImagesConfig config_;
  Core& core_;
  storage::Store& store_;
  StateMachine& machine_;
  executor::SessionTable& sessions_;
  executor::SessionTable no_sessions_;  // For a known bug.
  Tick now_ = 0;

  std::optional<ImageHeader> current_;
  std::vector<std::byte> current_coverage_;
  std::uint64_t numbers_ = 0;  // The highest that was used.
  std::uint64_t log_bytes_ = 0;
  std::uint64_t log_bytes_before_ = 0;  // Up to the one that is being made.
  bool asked_ = false;
  bool turn_is_due_ = false;  // It was asked for between two turns.
  std::string trouble_;
  Tick retry_at_ = 0;
  Tick make_at_ = 0;  // When the next part of an image is due.
  std::unique_ptr<ImageMaker> maker_;
  std::optional<BatchNumber> own_batch_;  // In which the header of a complete one is.
  std::vector<Erasing> erasing_;
  std::array<std::uint64_t, kImageAreas + 1> found_{};  // Pieces in each area at the start.

  KeptState kept_;
  std::uint64_t log_bytes_before_keep_ = 0;  // Up to the state that is being kept.
  bool asked_to_keep_ = false;
  Tick keep_at_ = 0;  // Not before, after a failure.

  std::array<Offered, kReplicasMax> offered_;
  std::optional<ReplicaId> preparing_;  // An offer for whom.
  std::optional<ReplicaId>
      made_for_;         // Who gets an offer of the next image as soon as it is there.
  Tick prepare_at_ = 0;  // When the next part of it is due.
  Tick pinned_until_ = 0;
  Tick keep_until_ = 0;

  Stage stage_ = Stage::kNone;
  ReplicaSet asked_whom_;  // For an offer, since asked_at_ or before.
  Tick asked_at_ = 0;
  std::uint64_t worth_bytes_ = 0;
  std::unique_ptr<ImageFetch> fetch_;
  ImageHeader fetched_;
  BatchNumber fetched_batch_ = 0;  // Of its last piece, and then of its header.

  ImageCounters counters_;
};

}  // namespace epaxos::runtime
