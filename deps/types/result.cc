#include "deps/types/result.h"

namespace epaxos {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kMalformed:
      return "malformed";
    case ErrorCode::kTooLarge:
      return "too_large";
    case ErrorCode::kOverloaded:
      return "overloaded";
    case ErrorCode::kDeadline:
      return "deadline";
    case ErrorCode::kOutOfSpace:
      return "out_of_space";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kCorrupted:
      return "corrupted";
    case ErrorCode::kWrongIdentity:
      return "wrong_identity";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kNotVoting:
      return "not_voting";
    case ErrorCode::kStopped:
      return "stopped";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kUnknownSession:
      return "unknown_session";
  }
  return "unknown";
}

}  // namespace epaxos
