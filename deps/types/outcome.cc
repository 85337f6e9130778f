#include "deps/types/outcome.h"

namespace epaxos {

std::string_view to_string(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kExecuted:
      return "executed";
    case OutcomeKind::kRejected:
      return "rejected";
    case OutcomeKind::kUnknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace epaxos
