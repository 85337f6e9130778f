// A replica starts again on a disk that is no longer what it wrote: records are gone, changed, of
// another row, kind or epoch, exchanged, or made up, and each passed its checksum. The core and its
// host refuse such a disk with a sentence, or run on it; then what came back is what the records
// say, no more, and whatever it votes and promises afterwards stands beside that.

#include <iterator>

#include "epaxos/runtime/host.h"
#include "executor/state_machine.h"
#include "tests/fuzz/disk_store.h"
#include "tests/fuzz/hostile_run.h"
#include "tests/fuzz/record_source.h"

namespace epaxos::protocol {
namespace {

/// Changes a disk as a broken one, a mistaken copy or a bug might.
class Vandal {
 public:
  Vandal(Input& input, int n, Disk& disk) : input_(input), disk_(disk), source_(input, n) {}

  void change() {
    const unsigned how = input_.below(8);
    if (how == 0) return make_up();
    if (disk_.empty()) return;
    const auto at = any();
    std::vector<std::byte>& value = at->second;
    switch (how) {
      case 1:
        disk_.erase(at);
        return;
      case 2:
        return flip(value);
      case 3:
        value.resize(input_.number<std::uint16_t>() % 256);
        return;
      case 4:
        return move(at);
      case 5:
        return std::swap(value, any()->second);
      case 6:
        value = any()->second;
        return;
      default:
        return copy_to_other_kind(at);
    }
  }

 private:
  Disk::iterator any() {
    auto found = disk_.begin();
    std::advance(found, input_.number<std::uint16_t>() % disk_.size());
    return found;
  }

  void make_up() {
    RecordKey key;
    const Bytes value = source_.record(key);
    disk_[key].assign(value.begin(), value.end());
  }

  void flip(std::vector<std::byte>& value) {
    if (value.empty()) return;
    value[input_.number<std::uint16_t>() % value.size()] ^= std::byte{input_.byte()};
  }

  void move(Disk::iterator from) {
    auto record = disk_.extract(from);
    RecordKey& key = record.key();
    const std::uint8_t to = input_.byte();
    switch (input_.below(6)) {
      case 0:
        key.kind = to % (kRecordKindMax + 1);
        break;
      case 1:
        key.group = GroupId(to);
        break;
      case 2:
        key.epoch = Epoch(to);
        break;
      case 3:
        key.row = ReplicaId(to % 8);
        break;
      case 4:
        key.slot = Slot(input_.number<std::uint64_t>());
        break;
      default:
        key.slot = Slot(to % 8);
    }
    disk_.insert(std::move(record));
  }

  void copy_to_other_kind(Disk::iterator from) {
    RecordKey key = from->first;
    key.kind = static_cast<std::uint8_t>(1 + input_.below(6));
    disk_[key] = from->second;
  }

  Input& input_;
  Disk& disk_;
  RecordSource source_;
};

class DeafSink final : public runtime::PeerSink {
 public:
  bool send(ReplicaId, Bytes) override { return true; }
};

/// Replies with the payload, whatever it is: nobody admitted what these peers propose.
class EchoMachine final : public StateMachine {
 public:
  [[nodiscard]] Result<Footprint> admit(Bytes) const override { return Footprint(); }
  void apply(std::span<const Command> batch, Replies& replies) override {
    for (const Command& command : batch) replies.add(command.payload);
  }
  [[nodiscard]] Result<std::vector<std::byte>> query(Bytes) const override {
    return fail(ErrorCode::kUnsupported, "no queries here");
  }
  [[nodiscard]] Result<void> save(const Sink&) const override { return {}; }
  Result<void> load(const Source&) override { return {}; }
  [[nodiscard]] std::uint64_t digest() const override { return 0; }
};

runtime::HostConfig host_config(int n) {
  runtime::HostConfig config;
  config.identity.incarnation = 2;
  config.replica_count = n;
  config.image_log_bytes = 256;  // Nearly every turn an image.
  return config;
}

/// The same disk under a whole host, for some turns in which a client asks and peers are heard.
class HostLife {
 public:
  HostLife(Input& input, int n, Disk disk)
      : input_(input), n_(n), store_(std::move(disk)), core_(watched_config(n)) {}

  /// Errors: why it did not start.
  Result<void> run() {
    runtime::Host host(host_config(n_), core_, store_, machine_, sink_);
    if (Result<void> started = host.start(0); !started) return started;
    MessageSource source(input_, n_);
    int outcomes = 0;
    for (Tick now = 1; now < 8; ++now) {
      host.begin_turn(now * 250'000);
      if (!input_.at_end()) hear(source, host);
      if (now == 2) {
        host.propose({}, Footprint::write("a"), kNever,
                     [&outcomes](const Outcome&) { ++outcomes; });
      }
      host.end_turn();
    }
    host.stop("the test is over");
    check(outcomes == 1, "a client has not one outcome");
    return {};
  }
  [[nodiscard]] const Disk& disk() const { return store_.disk(); }

 private:
  void hear(MessageSource& source, runtime::Host& host) {
    Effects encoded;
    const unsigned type = 1 + input_.below(kMessageTypes - 1);
    const Slice body = source.body(static_cast<MessageType>(type), encoded);
    net::BundleIdentity peer = host_config(n_).identity;
    peer.self = ReplicaId(1);
    net::BundleWriter writer;
    writer.start(peer, ReplicaId(0), 1);
    writer.append({GroupId(), Epoch(), static_cast<net::FrameType>(type), encoded.view(body)});
    host.receive_bundle(writer.bytes());
  }

  Input& input_;
  const int n_;
  fuzz::DiskStore store_;
  EpaxosCore core_;
  EchoMachine machine_;
  DeafSink sink_;
};

/// A store gives records in the order of their keys; one that does not is refused, never believed.
void restore_out_of_order(Input& input, int n, const Disk& disk) {
  if (disk.size() < 2) return;
  std::vector<Disk::const_iterator> order;
  for (auto each = disk.begin(); each != disk.end(); ++each) order.push_back(each);
  const std::size_t at = input.number<std::uint16_t>() % (order.size() - 1);
  std::swap(order[at], order[at + 1]);
  EpaxosCore core(watched_config(n));
  for (const Disk::const_iterator& each : order) {
    const Result<void> restored = core.restore(each->first, each->second);
    if (restored) continue;
    return check(!restored.error().message.empty(), "a refusal without a sentence");
  }
  check(false, "records were accepted in another order than that of their keys");
}

/// The image as a host writes it, of a machine without a state.
void put_image(const CoverageBytes& coverage, Disk& disk) {
  std::vector<std::byte> state;
  const Sink sink = [&state](Bytes bytes) {
    state.insert(state.end(), bytes.begin(), bytes.end());
    return Result<void>();
  };
  check(executor::SessionTable().save(sink).has_value(), "sessions cannot be saved");
  check(coverage.size() <= runtime::kPieceBytes && state.size() <= runtime::kPieceBytes,
        "an image of a small state is large");
  const runtime::ImageHeader header{1, coverage.size(), state.size(), 0, 0, 1};
  encode(header,
         disk[runtime::kImageHeaderKey] = std::vector<std::byte>(runtime::kImageHeaderBytes));
  disk[runtime::image_piece_key(1, 0)] = coverage;
  disk[runtime::image_piece_key(1, 1)] = state;
}

void run(Input& input) {
  const int n = input.flag() ? 5 : 3;
  const bool reads_back = input.flag();
  Replica before(n, reads_back);
  check(before.boot().has_value(), "an empty disk was refused");
  Run(input, n, before).run(1 + input.byte());
  Disk disk = before.disk();
  CoverageBytes image = before.image();
  Vandal vandal(input, n, disk);
  for (unsigned changes = input.below(6); changes > 0; --changes) vandal.change();
  restore_out_of_order(input, n, disk);
  if (input.below(4) == 3) ImageSource(input, n).change(image);

  Replica after(n, reads_back, disk, image);
  const Result<void> started = after.boot();
  if (started) {
    Run(input, n, after).run(100);
  } else {
    check(!started.error().message.empty(), "a refusal without a sentence");
  }
  // Beside the records of its core, a host has some of its own.
  if (!image.empty()) put_image(image, disk);
  if (input.flag()) {
    const Bytes count = input.bytes(input.below(2) == 0 ? sizeof(std::uint64_t) : input.below(16));
    RecordKey key = fuzz::kCountKey;
    if (input.below(8) == 0) key.row = ReplicaId(1);
    disk[key].assign(count.begin(), count.end());
  }
  HostLife life(input, n, disk);
  if (const Result<void> ran = life.run(); !ran) {
    return check(!ran.error().message.empty(), "a refusal without a sentence");
  }
  check(started.has_value(), "a host started on what its core refuses");
  const Result<void> again = HostLife(input, n, life.disk()).run();
  check(again.has_value(), again ? "" : again.error().message.c_str());
}

}  // namespace
}  // namespace epaxos::protocol

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  epaxos::protocol::run(input);
  return 0;
}
