#include "epaxos/sim/key_value_load.h"

#include <array>

#include "executor/key_value_command.h"

namespace epaxos::sim {

std::string KeyValueLoad::key(Random& random, int number) const {
  if (random.chance(options().conflict_ppm)) return "hot";
  if (options().keys == 0) return "own" + std::to_string(number);
  return "key" + std::to_string(random.below(options().keys));
}

std::vector<std::byte> KeyValueLoad::command(Random& random, int number) {
  if (options().rich) return rich_command(random, number);
  const std::string name = key(random, number);
  const bool hot = name == "hot";
  switch (random.below(4)) {
    case 0:
      return kv::append(hot ? "log" : name, std::to_string(number) + ";");
    case 1:
      return kv::increment(hot ? "sum" : name + "n", 1);
    case 2:
      return kv::get(name);
    default:
      return kv::put(name, std::to_string(number));
  }
}

std::vector<std::byte> KeyValueLoad::rich_command(Random& random, int number) {
  const std::string name = key(random, number);
  const std::string value = std::to_string(number);
  switch (random.below(10)) {
    case 0:
      return kv::append(name + "log", value + ";");
    case 1:
      return kv::increment(name, 1);  // Of what a put wrote, or an append: then it is no number.
    case 2:
      return kv::put(name + "log", value);
    case 3:
      return kv::put(name, value);
    case 4:
      return kv::erase(name);
    case 5:
      return kv::compare_and_set(name, {}, value);
    case 6:
      return kv::compare_and_set(name, std::to_string(random.below(64)), value);
    case 7: {
      const std::string other = key(random, number) + "log";
      return kv::multi_put(std::array{kv::Entry(name, value), kv::Entry(other, value)});
    }
    case 8: {
      const std::string other = key(random, number) + "log";
      return kv::multi_get(std::array<std::string_view, 2>{name, other});
    }
    default:
      return kv::get(random.below(2) == 0 ? name : name + "log");
  }
}

LoadFactory key_value_load() {
  return [](Cluster& cluster, const LoadOptions& options) {
    return std::make_unique<KeyValueLoad>(cluster, options);
  };
}

}  // namespace epaxos::sim
