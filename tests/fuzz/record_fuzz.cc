// Records that passed the store's checksum but hold anything: a core refuses them with a sentence
// or runs on them, and what decodes gives the same values after it was encoded again.

#include <algorithm>
#include <map>

#include "deps/types/check.h"
#include "epaxos/protocol/core.h"
#include "tests/fuzz/record_source.h"

namespace epaxos::protocol {
namespace {

using fuzz::Exact;
using fuzz::Input;

template <class Record>
void read(Bytes value, int rows) {
  Record record;
  if (!decode(value, rows, record)) return;
  Effects first;
  const Slice once = encode(record, first);
  const Exact copy(first.view(once));
  Record same;
  check(decode(copy.bytes(), rows, same), "a record that was encoded does not decode");
  Effects second;
  const Slice twice = encode(same, second);
  check(std::ranges::equal(first.view(once), second.view(twice)),
        "a record changed on its way through the codec");
}

class Disk {
 public:
  Disk(Input& input, int n) : input_(input), n_(n), source_(input, n) {}

  void fill() {
    for (int count = 0; count < 64 && !input_.at_end(); ++count) {
      RecordKey key;
      const Bytes value = source_.record(key);
      std::vector<std::byte> bytes(value.begin(), value.end());
      const std::uint8_t change = input_.byte();
      if (change % 4 == 3 && !bytes.empty()) {
        bytes[input_.number<std::uint16_t>() % bytes.size()] ^= std::byte{change};
      }
      const Exact exact(bytes);
      read<VoteRecord>(exact.bytes(), n_);
      read<DecisionRecord>(exact.bytes(), n_);
      read<FloorRecord>(exact.bytes(), n_);
      records_[key] = std::move(bytes);
    }
  }

  /// A replica starts on it, and lives for a while.
  void start() const {
    CoreConfig config;
    config.self = ReplicaId(0);
    config.replica_count = n_;
    EpaxosCore core(config);
    for (const auto& [key, value] : records_) {
      const Result<void> restored = core.restore(key, value);
      if (restored) continue;
      check(!restored.error().message.empty(), "a refusal without a sentence");
      return;
    }
    Effects out;
    out.batch = 1;
    core.start(0, out);
    core.end_of_turn(out);
    for (Tick now = 0; now < 2'000'000; now += 250'000) {
      out.clear();
      ++out.batch;
      out.now = now;
      core.tick(now, out);
      core.durable(out.batch - 1, out);
      core.end_of_turn(out);
    }
  }

 private:
  Input& input_;
  const int n_;
  RecordSource source_;
  std::map<RecordKey, std::vector<std::byte>> records_;
};

}  // namespace
}  // namespace epaxos::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  epaxos::protocol::Disk disk(input, input.flag() ? 5 : 3);
  disk.fill();
  disk.start();
  return 0;
}
