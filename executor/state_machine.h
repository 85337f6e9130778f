#pragma once

// What an embedder replicates. Every replica applies the same commands in the same order wherever
// the order matters, so apply() must be deterministic: no clock, no randomness, no local state.
//
// Four functions make a machine: admit(), apply(), save() and load(). examples/counter.cc is one.
// A large one also gives an image() of itself, which is read in pieces. One that has a database of
// its own keeps itself there, instead of being copied into the replica's store.
//
// Threads: all calls come from the node's loop thread, one at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "deps/types/bytes.h"
#include "deps/types/command.h"
#include "deps/types/footprint.h"
#include "deps/types/result.h"

namespace epaxos {

/// Collects the answers of a batch, one a command, in order. One block of bytes, reused.
class Replies {
 public:
  /// Ends the answer of the next command.
  void add(Bytes reply);

  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  [[nodiscard]] Bytes operator[](std::size_t index) const;
  void clear();

 private:
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> ends_;
};

/// Where save() writes to; pieces may be of any size.
using Sink = std::function<Result<void>(Bytes)>;
/// Where load() reads from: fills the buffer completely, or fails. It holds one state and nothing
/// else, so that whoever asks for more after its end gets a failure.
using Source = std::function<Result<void>(std::span<std::byte>)>;

/// Reads one number that save() wrote with bytes_of(); leaves it as it is when that fails.
template <Number T>
Result<void> load_number(const Source& source, T& number) {
  T loaded{};
  Result<void> read = source(std::as_writable_bytes(std::span(&loaded, 1)));
  if (read) number = loaded;
  return read;
}

/// A state as it was at one moment, read in pieces while commands go on changing its machine.
class Image {
 public:
  Image() = default;
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  virtual ~Image() = default;

  /// Appends the next piece, of about `bytes` bytes: at least something, and more when a single
  /// entry is larger. False: that was the last piece, and it may have been an empty one.
  /// Cost: that of copying the piece. Errors: invalid argument when the image has ended, see
  /// StateMachine::image().
  [[nodiscard]] virtual Result<bool> read(std::size_t bytes, std::vector<std::byte>& out) = 0;
};

class StateMachine {
 public:
  StateMachine() = default;
  StateMachine(const StateMachine&) = delete;
  StateMachine& operator=(const StateMachine&) = delete;
  virtual ~StateMachine() = default;

  /// What a client's command touches, or why it is no command of this machine. Called at the
  /// proposing replica only; must depend on the payload alone. A command whose footprint writes
  /// nothing is a read.
  [[nodiscard]] virtual Result<Footprint> admit(Bytes payload) const = 0;

  /// Applies a batch in order and adds one reply a command.
  /// Precondition: admit() accepted each of them, at some replica.
  virtual void apply(std::span<const Command> batch, Replies& replies) = 0;

  /// The same for commands that only read, between two batches: other replicas run them at other
  /// places or not at all. Unless overridden: apply().
  virtual void read(std::span<const Command> batch, Replies& replies) { apply(batch, replies); }

  /// Writes and reads the whole state. Equal states write equal bytes, however they came about.
  /// load() replaces what is there, or fails and leaves it.
  [[nodiscard]] virtual Result<void> save(const Sink& sink) const = 0;
  virtual Result<void> load(const Source& source) = 0;

  /// An image of the state as it is now; what it reads, load() accepts. One at a time: once another
  /// is taken, load() has replaced the state, or the machine is gone, the earlier one may have
  /// ended, and then its read() fails. Unless overridden: everything that save() writes, at once,
  /// in memory. Override it where that takes longer than a few milliseconds.
  [[nodiscard]] virtual Result<std::unique_ptr<Image>> image();

  /// A client's local, possibly stale read between two batches, in the machine's own language.
  /// Unless overridden: unsupported. (Whoever embeds a node reads the machine itself, with
  /// Node::query().)
  [[nodiscard]] virtual Result<std::vector<std::byte>> query(Bytes request) const;

  /// A fingerprint of the state: equal states, equal digests, whatever way led there.
  /// Unless overridden: a hash of what save() writes, at the cost of writing it; 0 when it fails.
  [[nodiscard]] virtual std::uint64_t digest() const;

  // A machine with storage of its own. It tells which state is durable there, and the replica
  // starts from that one and replays what follows; images are made for peers only. What it has
  // applied or loaded since is not to survive a crash: it comes back as it was when keep() was
  // called, or else the replica would apply commands twice. (A transaction that is open between
  // two calls of keep() does this; so do files that are written beside the ones that count.)

  /// Whether this machine is one. Always the same answer.
  [[nodiscard]] virtual bool keeps_itself() const { return false; }

  /// Begins to make the state as it is now durable, in one atomic step together with `number` and
  /// `mark`, and may return before that is done. The numbers ascend; another call comes only when
  /// kept() has told the end of this one. Whatever a crash interrupts, the next start finds the
  /// state, the number and the mark of one and the same keep(). At durability "none" it is not
  /// called.
  /// Units: the mark holds the session table and some kilobytes beside it: about 120 bytes for each
  /// session and reply of 100 bytes that clients have not acknowledged.
  /// Errors: whatever the storage says; shown in the replica's status, and tried again later.
  virtual Result<void> keep(std::uint64_t number, Bytes mark);

  /// The number of the newest state that is durable; 0: there is none, and the machine is empty.
  /// Never goes back. Asked at the start, and in every turn while a keep() goes on, so it is to be
  /// cheap. Errors: why the last keep() has come to nothing; it is tried again later.
  [[nodiscard]] virtual Result<std::uint64_t> kept() { return 0; }

  /// The mark that was kept with that state. Asked once, at the start, when the machine holds
  /// exactly that state. Unless overridden: unsupported.
  [[nodiscard]] virtual Result<std::vector<std::byte>> kept_mark() const;
};

}  // namespace epaxos
