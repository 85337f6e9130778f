// The two open-addressing tables against plain maps: growth, removal in the middle of a run of
// places, names whose hashes are equal.

#include "executor/hash_index.h"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "executor/value_table.h"

namespace epaxos::executor {
namespace {

TEST(HashIndex, AgreesWithAMapUnderRandomChanges) {
  HashIndex index;
  std::map<std::uint64_t, HashIndex::Number> reference;
  std::mt19937_64 random(7);
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t hash = random() % 3000;
    const auto known = reference.find(hash);
    const HashIndex::Position at = index.probe(hash);
    ASSERT_EQ(index[at], known == reference.end() ? HashIndex::kNone : known->second);
    if (random() % 2 == 0 && known == reference.end()) {
      const auto number = static_cast<HashIndex::Number>(step);
      index.put(at, hash, number);
      reference[hash] = number;
    } else if (random() % 3 == 0 && known != reference.end()) {
      index.remove(at);
      reference.erase(known);
    }
    ASSERT_EQ(index.size(), reference.size());
  }
  EXPECT_GT(reference.size(), 1000u) << "it has grown";
}

TEST(ValueTable, AgreesWithAMapThoughManyNamesShareAHash) {
  ValueTable table;
  std::map<std::string, std::string> reference;
  std::mt19937_64 random(8);
  for (int step = 0; step < 100'000; ++step) {
    const std::string name = "name " + std::to_string(random() % 2000);
    const std::uint64_t hash = std::hash<std::string>()(name) % 500;  // About four names each.
    table.prefetch_place(hash);
    table.prefetch_entry(hash);
    table.prefetch_value(hash);
    auto* const entry = table.find(name, hash);
    const auto known = reference.find(name);
    ASSERT_EQ(entry != nullptr, known != reference.end()) << name;
    if (entry == nullptr) {
      table.add(name, hash, std::to_string(step));
      reference[name] = std::to_string(step);
      continue;
    }
    ASSERT_EQ(entry->name, name);
    ASSERT_EQ(entry->value, known->second);
    if (random() % 2 == 0) {
      entry->value = known->second = std::string(random() % 100, 'v');
    } else {
      table.remove(name, hash);
      reference.erase(known);
    }
  }
  ASSERT_EQ(table.size(), reference.size());
  std::map<std::string, std::string> seen;
  table.for_each([&](const ValueTable::Entry& entry) { seen[entry.name] = entry.value; });
  EXPECT_EQ(seen, reference);
}

}  // namespace
}  // namespace epaxos::executor
