#include "epaxos/storage/store.h"

namespace epaxos {

std::string_view to_string(Durability durability) {
  switch (durability) {
    case Durability::kSync:
      return "sync";
    case Durability::kAsync:
      return "async";
    case Durability::kNone:
      return "none";
  }
  return "unknown";
}

Result<Durability> durability_from(std::string_view name) {
  for (const Durability d : {Durability::kSync, Durability::kAsync, Durability::kNone}) {
    if (to_string(d) == name) return d;
  }
  return fail(ErrorCode::kInvalidArgument,
              "durability \"" + std::string(name) + "\" is not known; use sync, async or none");
}

}  // namespace epaxos
