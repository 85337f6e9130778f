#pragma once

// The failure of an edge: a malformed frame, a full disk, a bad configuration. `Result<T>` holds a
// value or an `Error`; its member names are those of std::expected, so that a later move to it
// changes this header alone. Errors are made only by fail().

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "deps/types/check.h"

namespace epaxos {

/// What a caller may branch on. The sentence for the person is in Error::message.
enum class ErrorCode {
  kInvalidArgument,  ///< The request itself is wrong; retrying it unchanged cannot help.
  kMalformed,        ///< Bytes that do not decode, or hold values out of range.
  kTooLarge,         ///< Over a documented size limit.
  kOverloaded,       ///< A bounded queue is full; retry later.
  kDeadline,         ///< The caller's deadline passed.
  kOutOfSpace,       ///< The disk or the map is full; nothing was lost.
  kIo,               ///< The disk refused; the node stops.
  kCorrupted,        ///< Stored bytes fail their checksum or are missing.
  kWrongIdentity,    ///< Another cluster, replica, version or configuration.
  kBusy,             ///< A directory or port is in use by somebody else.
  kUnavailable,      ///< Nobody answered.
  kNotVoting,        ///< This replica lost its memory and may not vote or propose.
  kStopped,          ///< The node is stopping or has stopped.
  kUnsupported,      ///< Not offered by this protocol or machine.
  kUnknownSession,   ///< The session is not open, or no longer; open a new one.
};

/// Lower-case words of a code, as logs, counters and JSON print them.
std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;  ///< Names what was wrong and what to do, as a sentence.

  friend bool operator==(const Error&, const Error&) = default;
};

/// What fail() returns; converts to every Result.
struct Failure {
  Error error;
};

[[nodiscard]] inline Failure fail(ErrorCode code, std::string message) {
  return Failure{Error{code, std::move(message)}};
}

[[nodiscard]] inline Failure fail(Error error) {
  return Failure{std::move(error)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: like expected
  Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure.error)) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  /// Precondition of these: has_value().
  T& value() & { return *checked(); }
  const T& value() const& { return *const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(*checked()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return checked(); }
  const T* operator->() const { return const_cast<Result*>(this)->checked(); }

  T value_or(T other) const& { return has_value() ? value() : std::move(other); }

  /// Precondition: not has_value().
  [[nodiscard]] const Error& error() const {
    const Error* error = std::get_if<1>(&state_);
    check(error != nullptr, "the error of a result that holds a value was read");
    return *error;
  }

 private:
  T* checked() {
    T* value = std::get_if<0>(&state_);
    check(value != nullptr, "the value of a failed result was read");
    return value;
  }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : error_(std::move(failure.error)), failed_(true) {}  // NOLINT

  [[nodiscard]] bool has_value() const { return !failed_; }
  explicit operator bool() const { return has_value(); }

  /// Precondition: not has_value().
  [[nodiscard]] const Error& error() const {
    check(failed_, "the error of a successful result was read");
    return error_;
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace epaxos
