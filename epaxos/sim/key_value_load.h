#pragma once

// Clients of the key-value machine: they write, read, append and increment, and if they are rich in
// ideas they compare, delete, and touch several keys at once. A share of the commands goes to one
// hot key.

#include <string>

#include "epaxos/sim/load.h"

namespace epaxos::sim {

class KeyValueLoad final : public Load {
 public:
  using Options = LoadOptions;
  using Load::Load;

 private:
  [[nodiscard]] std::vector<std::byte> command(Random& random, int number) override;
  [[nodiscard]] std::vector<std::byte> rich_command(Random& random, int number);
  [[nodiscard]] std::string key(Random& random, int number) const;
};

LoadFactory key_value_load();

}  // namespace epaxos::sim
