#pragma once

// The state of a machine that keeps itself, as a start needs it: which one its storage holds, what
// that covers, and what this replica's store may count on. A note in the store says which state was
// durable, before any record goes that an older one needs; and which number the machine may have
// been given, before it is. So a machine that was set back and a store that was set back are both
// found out. Source: protocol.md 14.4.

#include <cstdint>
#include <string>
#include <vector>

#include "epaxos/runtime/kept_mark.h"
#include "epaxos/storage/store.h"
#include "executor/session_table.h"
#include "executor/state_machine.h"

namespace epaxos::runtime {

class KeptState {
 public:
  /// `remembers`: the store is there at the next start. Everything outlives this.
  KeptState(const net::BundleIdentity& owner, bool remembers, storage::Store& store,
            StateMachine& machine, executor::SessionTable& sessions);
  KeptState(const KeptState&) = delete;
  KeptState& operator=(const KeptState&) = delete;

  /// Whether the state is kept by the machine: it can, and there is a use for it.
  [[nodiscard]] bool is_used() const { return used_; }

  /// The start. True: it begins with the state that the machine holds; the session table is that of
  /// the mark, and coverage() what it covers.
  /// Errors: corrupted, wrong_identity, invalid_argument - machine and store do not fit together;
  /// those of the machine.
  Result<bool> restore();

  enum class News {
    kNone,
    kKept,    ///< The state with coverage() is durable; the turn's records say so.
    kFailed,  ///< trouble() says why.
  };
  /// Once a turn: looks for news, and notes in the turn's records what the store is to know.
  News follow(Tick now, Effects& out);

  /// Whether keep() may be called.
  [[nodiscard]] bool is_free() const;
  [[nodiscard]] bool under_way() const { return under_way_; }
  /// Lets the machine keep its present state, which covers this, together with the session table.
  /// Precondition: is_free(), and nothing is half done.
  /// Errors: why it came to nothing; is_free() again in a later turn.
  Result<void> keep(std::vector<std::byte> coverage);

  /// When follow() has something to do.
  [[nodiscard]] Tick next_deadline() const {
    if (under_way_) return look_at_;
    return note_is_due() ? 0 : kNever;
  }

  /// Of the newest durable state; 0: there is none.
  [[nodiscard]] std::uint64_t number() const { return kept_; }
  /// Bytes of its mark.
  [[nodiscard]] std::uint64_t mark_bytes() const { return kept_mark_bytes_; }
  /// Whether the machine was ever asked to keep something. Then its storage may hold it.
  [[nodiscard]] bool was_begun() const { return given_ > 0; }
  /// Of the state that was given last.
  [[nodiscard]] const std::vector<std::byte>& coverage() const { return coverage_; }
  [[nodiscard]] const Error& trouble() const { return trouble_; }

 private:
  /// A machine that needs longer is asked again after it.
  static constexpr Tick kLookUs = 10'000;

  [[nodiscard]] bool note_is_due() const {
    return used_ && !under_way_ && (noted_.kept != kept_ || noted_.most <= given_);
  }
  Result<void> check_note();
  Result<void> restore_mark();
  Result<std::uint64_t> batches_counted() const;

  const net::BundleIdentity owner_;
  const bool remembers_;
  const bool used_;
  storage::Store& store_;
  StateMachine& machine_;
  executor::SessionTable& sessions_;

  std::uint64_t kept_ = 0;
  std::uint64_t given_ = 0;  // The highest number so far.
  KeptNote noted_;           // In the store, or on its way there.
  BatchNumber note_batch_ = 0;
  bool under_way_ = false;
  Tick look_at_ = 0;
  std::vector<std::byte> coverage_;
  std::uint64_t mark_bytes_ = 0;
  std::uint64_t kept_mark_bytes_ = 0;
  Error trouble_;
};

}  // namespace epaxos::runtime
