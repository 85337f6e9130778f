// The reference machine: any bytes are refused by name or are a command; what it admits it applies
// and answers, its footprint is honest (commands that do not conflict commute), queries answer as
// gets do, and a saved machine is loaded whole.

#include <algorithm>
#include <array>

#include "deps/types/check.h"
#include "executor/key_value_machine.h"
#include "tests/fuzz/input.h"

namespace epaxos::fuzz {
namespace {

struct Admitted {
  std::vector<std::byte> payload;
  Footprint footprint;
};

/// A key of few, so that commands meet.
std::string_view key(Input& input) {
  constexpr std::array<std::string_view, 5> kKeys{"a", "b", "ab", "counter", ""};
  return kKeys[input.below(kKeys.size())];
}

kv::Payload command(Input& input) {
  const unsigned operation = input.below(10);
  const std::string_view name = key(input);
  const auto value = [&] { return text_of(input.bytes(input.below(8))); };
  switch (operation) {
    case 0:
      return kv::get(name);
    case 1:
      return kv::put(name, value());
    case 2:
      return kv::erase(name);
    case 3: {
      const std::string_view expected = value();
      const bool has = input.flag();
      return kv::compare_and_set(name, has ? std::optional(expected) : std::nullopt, value());
    }
    case 4:
      return kv::append(name, value());
    case 5:
      return kv::increment(name, input.number<std::int64_t>());
    case 6: {
      const std::array entries{kv::Entry{name, value()}, kv::Entry{key(input), value()}};
      return kv::multi_put(entries);
    }
    case 7: {
      const std::array keys{name, key(input)};
      return kv::multi_get(keys);
    }
    default: {
      const Bytes any = input.bytes(input.byte());
      return {any.begin(), any.end()};
    }
  }
}

std::vector<std::byte> apply(KeyValueMachine& machine, const Admitted& admitted) {
  Command each;
  each.payload = admitted.payload;
  Replies replies;
  machine.apply(std::span(&each, 1), replies);
  check(replies.size() == 1, "a command has no reply of its own");
  check(kv::decode_reply(replies[0]).has_value(), "a reply does not decode");
  return {replies[0].begin(), replies[0].end()};
}

std::vector<std::byte> saved(const KeyValueMachine& machine) {
  std::vector<std::byte> bytes;
  const Result<void> done = machine.save([&](Bytes piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  });
  check(done.has_value(), "a machine could not be saved");
  return bytes;
}

Result<void> load(KeyValueMachine& machine, Bytes bytes) {
  return machine.load([&](std::span<std::byte> to) -> Result<void> {
    if (bytes.size() < to.size()) return fail(ErrorCode::kCorrupted, "the end came early");
    std::copy_n(bytes.begin(), to.size(), to.begin());
    bytes = bytes.subspan(to.size());
    return {};
  });
}

void check_saves_and_loads(const KeyValueMachine& machine) {
  const std::vector<std::byte> bytes = saved(machine);
  KeyValueMachine copy;
  check(load(copy, bytes).has_value(), "a saved machine could not be loaded");
  check(copy.digest() == machine.digest(), "a loaded machine has another digest");
  check(saved(copy) == bytes, "a loaded machine saves other bytes");
}

/// Applies one command to a copy of the machine that has seen the last two the other way round.
void check_commutes(const KeyValueMachine& before, const Admitted& first, const Admitted& second) {
  if (conflicts(first.footprint, second.footprint)) return;
  const std::vector<std::byte> bytes = saved(before);
  std::array<KeyValueMachine, 2> machines;
  for (KeyValueMachine& machine : machines) check(load(machine, bytes).has_value(), "no copy");
  const auto first_reply = apply(machines[0], first);
  const auto second_reply = apply(machines[0], second);
  check(apply(machines[1], second) == second_reply, "a reply depends on what does not conflict");
  check(apply(machines[1], first) == first_reply, "a reply depends on what does not conflict");
  check(machines[0].digest() == machines[1].digest(), "commands do not conflict nor commute");
}

void run(Input& input) {
  KeyValueMachine machine;
  if (input.flag()) {  // What a snapshot of somebody else might hold.
    const Bytes bytes = input.bytes(input.byte());
    if (!load(machine, bytes)) check(machine.size() == 0, "a failed load left something behind");
  }
  std::optional<Admitted> last;
  for (int count = 0; count < 64 && !input.at_end(); ++count) {
    Admitted next{command(input), {}};
    Result<Footprint> footprint = machine.admit(next.payload);
    const Result<std::vector<std::byte>> answer = machine.query(next.payload);
    if (!footprint) {
      check(!footprint.error().message.empty(), "a refusal without a sentence");
      check(!answer, "what is no command was answered");
      continue;
    }
    next.footprint = *std::move(footprint);
    check(!answer || !next.footprint.writes(), "a query that writes was answered");
    if (last) check_commutes(machine, *last, next);
    const std::uint64_t digest = machine.digest();
    const std::vector<std::byte> reply = apply(machine, next);
    if (!next.footprint.writes()) check(machine.digest() == digest, "a read changed the state");
    if (answer) check(*answer == reply, "a query is answered differently from a get");
    last = std::move(next);
  }
  check_saves_and_loads(machine);
  (void)kv::decode_reply(input.rest());
}

}  // namespace
}  // namespace epaxos::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  epaxos::fuzz::run(input);
  return 0;
}
