#pragma once

// What an embedder replicates. Every replica applies the same commands in the same order wherever
// the order matters, so apply() must be deterministic: no clock, no randomness, no local state.
//
// Four functions make a machine: admit(), apply(), save() and load(). examples/counter.cc is one.
//
// Threads: all calls come from the node's loop thread, one at a time.

#include <cstdint>
#include <functional>
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
/// Where load() reads from: fills the buffer completely, or fails.
using Source = std::function<Result<void>(std::span<std::byte>)>;

/// Reads one number that save() wrote with bytes_of(); leaves it as it is when that fails.
template <Number T>
Result<void> load_number(const Source& source, T& number) {
  T loaded{};
  Result<void> read = source(std::as_writable_bytes(std::span(&loaded, 1)));
  if (read) number = loaded;
  return read;
}

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

  /// Writes and reads the whole state. Equal states write equal bytes, however they came about.
  /// load() replaces what is there, or fails and leaves it.
  [[nodiscard]] virtual Result<void> save(const Sink& sink) const = 0;
  virtual Result<void> load(const Source& source) = 0;

  /// A client's local, possibly stale read between two batches, in the machine's own language.
  /// Unless overridden: unsupported. (Whoever embeds a node reads the machine itself, with
  /// Node::query().)
  [[nodiscard]] virtual Result<std::vector<std::byte>> query(Bytes request) const;

  /// A fingerprint of the state: equal states, equal digests, whatever way led there.
  /// Unless overridden: a hash of what save() writes, at the cost of writing it; 0 when it fails.
  [[nodiscard]] virtual std::uint64_t digest() const;
};

}  // namespace epaxos
