// Three replicas of any protocol of the line-up among letters that are lost, repeated, late and
// changed on their way, over disks that lag and powers that fail: whatever they are told, no check
// of theirs fires, they come back with what was durable, and what they execute decodes. They need
// not agree, as the letters lie.

#include "compare/line_up.h"
#include "tests/compare/paxos/staged_cores.h"
#include "tests/fuzz/input.h"

namespace epaxos::compare {
namespace {

constexpr int kReplicas = 3;
constexpr std::size_t kLettersMax = 4'000;

/// Another bit, another byte, or a number that some limit is made for.
void change(fuzz::Input& input, Letter& letter) {
  if (letter.words.empty()) return;
  std::uint64_t& word = letter.words[input.number<std::uint16_t>() % letter.words.size()];
  switch (input.below(5)) {
    case 0:
      word ^= std::uint64_t{1} << input.below(64);
      break;
    case 1:
      word = input.number<std::uint64_t>();
      break;
    case 2:
      word = input.byte();
      break;
    case 3:
      word += input.number<std::int8_t>();
      break;
    case 4:
      letter.bytes = input.number<std::uint16_t>() % (letter.bytes + 1);
      break;
  }
}

/// A letter as it was, or not; from whom it was, or from another one.
void deliver(fuzz::Input& input, StagedCores& cores, bool lies) {
  if (cores.letters.empty()) return;
  const std::size_t place = input.number<std::uint16_t>() % cores.letters.size();
  const bool again = input.below(8) == 0;
  if (!lies) return cores.deliver(place, again);
  Letter letter = cores.letters[place];
  change(input, letter);
  if (input.below(8) == 0) letter.type = input.byte();
  if (input.below(4) == 0)
    letter.from = ReplicaId(static_cast<std::uint16_t>(input.below(kReplicas)));
  if (letter.from == letter.to) return;
  cores.letters.push_front(std::move(letter));
  cores.deliver(0);
}

void trouble(fuzz::Input& input, StagedCore& core) {
  switch (input.below(5)) {
    case 0:
      core.lags = !core.lags;
      if (!core.lags) core.catch_up();
      break;
    case 1:
      core.catch_up();
      break;
    case 2:
      core.lose_power();
      core.boot();
      break;
    case 3:
      core.make_image();
      break;
    case 4: {
      const auto change = static_cast<MemberChange>(input.below(2));
      const ReplicaId whom = replica_at(input.below(kReplicas + 1));
      core.turn([&](Effects& out) { (void)core.core->change_members(change, whom, out); });
      break;
    }
  }
}

void propose(fuzz::Input& input, StagedCores& cores, std::uint64_t number) {
  const auto replica = static_cast<int>(input.below(kReplicas));
  const std::size_t bytes = input.below(200);
  if (number % 4 == 0) return cores.propose_read(replica, number);
  cores.propose(replica, number, bytes);
}

void run(fuzz::Input& input, Reads reads) {
  const std::vector<Protocol> protocols = line_up();
  CoreConfig config;
  config.reads = reads;
  StagedCores cores(protocols[input.below(static_cast<unsigned>(protocols.size()))], kReplicas,
                    config);
  std::uint64_t commands = 0;
  for (int step = 0; step < 800 && !input.at_end(); ++step) {
    StagedCore& core = cores[static_cast<int>(input.below(kReplicas))];
    switch (input.below(8)) {
      case 0:
        propose(input, cores, ++commands);
        break;
      case 1:
        cores.pass(Tick{1'000} << input.below(10));
        break;
      case 2:
        trouble(input, core);
        cores.collect();
        break;
      case 3:
        deliver(input, cores, true);
        break;
      default:
        deliver(input, cores, false);
    }
    while (cores.letters.size() > kLettersMax) cores.letters.pop_front();
  }
}

}  // namespace
}  // namespace epaxos::compare

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testing::GTEST_FLAG(break_on_failure) = true;  // An expectation that does not hold is a find.
  epaxos::fuzz::Input input(data, size);
  // The length tells how they read, so that what a corpus holds stays what it was.
  epaxos::compare::run(input, static_cast<epaxos::Reads>(size % 3));
  return 0;
}
