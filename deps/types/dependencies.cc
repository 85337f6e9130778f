#include "deps/types/dependencies.h"

namespace epaxos {

std::string to_string(const Dependencies& dependencies) {
  std::string text = "[";
  for (int row = 0; row < dependencies.rows(); ++row) {
    if (row > 0) text += ',';
    text += std::to_string(dependencies[ReplicaId(static_cast<std::uint16_t>(row))].value());
  }
  return text + "]";
}

}  // namespace epaxos
