// A host that is behind fetches the image of a peer while what is said about images is lost, comes
// twice, is changed or made up, and its power fails: whatever is refused leaves its state as it
// was, a state that it takes is one that some replica had, and neither its disk nor what it says
// grows beyond what it was told. And the readers of coverages, headers and frames take any bytes.

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "deps/types/check.h"
#include "epaxos/protocol/core.h"
#include "epaxos/runtime/host.h"
#include "executor/key_value_machine.h"
#include "tests/fuzz/disk_store.h"
#include "tests/fuzz/input.h"

namespace epaxos::runtime {
namespace {

using fuzz::Exact;
using fuzz::Input;

constexpr int kReplicas = 3;
constexpr ReplicaId kBehind{0};
constexpr std::uint64_t kSession = 7;
/// What a replica has of images that are its own, at most.
constexpr std::size_t kOwnImagesBytesMax = 256 * 1024;

// --- Bytes of any content ------------------------------------------------------------------------

void read_coverage(Bytes bytes) {
  const auto first = protocol::decode_coverage(bytes, kReplicas);
  if (!first) return check(!first.error().message.empty(), "a refusal without a sentence");
  std::vector<std::byte> again;
  encode(*first, again);
  const auto second = protocol::decode_coverage(again, kReplicas);
  check(second.has_value() && *second == *first, "a coverage changed on its way through the codec");
}

void read_header(Bytes bytes) {
  const std::optional<ImageHeader> header = decode_image_header(bytes);
  if (!header) return;
  std::array<std::byte, kImageHeaderBytes> again{};
  encode(*header, again);
  check(decode_image_header(again) == header, "a header changed on its way through the codec");
  std::uint64_t last = header->pieces();
  check(last >= 1, "an image without a piece");
  check(header->piece_bytes(--last) <= kPieceBytes, "a piece is too large");
  check(header->piece_bytes(0) >= 1, "a piece is empty");
}

void read_frames(Bytes bytes) {
  if (const auto ask = read_ask(bytes)) check(ask->count <= kAskMax, "too much is asked for");
  if (const auto piece = read_piece(bytes)) {
    check(!piece->data.empty() && piece->data.size() <= kPieceBytes, "a piece of a wrong size");
  }
}

void read_any(Input& input) {
  const Exact exact(input.rest());
  read_coverage(exact.bytes());
  read_header(exact.bytes());
  read_frames(exact.bytes());
}

// --- A group of hosts ----------------------------------------------------------------------------

struct Bundle {
  ReplicaId from;
  ReplicaId to;
  std::vector<std::byte> bytes;
};

class Outbox final : public PeerSink {
 public:
  Outbox(ReplicaId self, std::deque<Bundle>& wire) : self_(self), wire_(wire) {}
  bool send(ReplicaId to, Bytes bundle) override {
    sent_bytes += bundle.size();
    if (wire_.size() < 64) wire_.push_back({self_, to, {bundle.begin(), bundle.end()}});
    return true;
  }
  std::size_t sent_bytes = 0;  ///< In this turn.

 private:
  const ReplicaId self_;
  std::deque<Bundle>& wire_;
};

net::BundleIdentity identity_of(ReplicaId self, std::uint64_t incarnation) {
  net::BundleIdentity identity;
  identity.self = self;
  identity.incarnation = incarnation;
  return identity;
}

struct Setting {
  bool votes = true;          ///< The replica that is behind; else any image will do for it.
  bool images_often = false;  ///< It makes its own ones all the time.
};

class Node {
 public:
  Node(ReplicaId self, std::uint64_t incarnation, const Setting& setting, std::deque<Bundle>& wire,
       storage::RecordMap disk = {})
      : store_(std::move(disk)),
        core_(core_config(self, setting)),
        outbox_(self, wire),
        host_(host_config(self, incarnation, setting), core_, store_, machine_, outbox_) {}

  void start(Tick now) {
    const Result<void> started = host_.start(now);
    check(started.has_value(), started ? "" : started.error().message.c_str());
  }

  void turn(Tick now, const std::function<void(Host&)>& input) {
    outbox_.sent_bytes = 0;
    host_.begin_turn(now);
    input(host_);
    host_.end_turn();
    check(!host_.stopped(), "a host stopped");
    check(outbox_.sent_bytes <= std::size_t{32} << 20, "a turn said too much");
  }

  void put(Tick now, std::string_view key, std::string_view value, std::uint64_t number) {
    const kv::Payload payload = kv::put(key, value);
    const Result<Footprint> footprint = machine_.admit(payload);
    SessionRequest request;
    if (number > 0) request.id = {kSession, number};
    turn(now, [&](Host& host) {
      host.propose(
          payload, *footprint, kNever, [](const Outcome&) {}, request);
    });
  }

  [[nodiscard]] Host& host() { return host_; }
  [[nodiscard]] const storage::RecordMap& disk() const { return store_.disk(); }
  [[nodiscard]] bool votes() const { return core_.voting(); }

 private:
  static CoreConfig core_config(ReplicaId self, const Setting& setting) {
    CoreConfig config;
    config.self = self;
    config.replica_count = kReplicas;
    config.image_lag_instances = 1;
    config.voting = self != kBehind || setting.votes;
    return config;
  }
  static HostConfig host_config(ReplicaId self, std::uint64_t incarnation, const Setting& setting) {
    HostConfig config;
    config.identity = identity_of(self, incarnation);
    config.replica_count = kReplicas;
    if (self == kBehind && setting.images_often) config.image_log_bytes = 64;
    if (self == kBehind && !setting.votes) config.not_voting_reason = "it is new";
    return config;
  }

  fuzz::DiskStore store_;
  protocol::EpaxosCore core_;
  KeyValueMachine machine_;
  Outbox outbox_;
  Host host_;
};

class Group {
 public:
  explicit Group(Input& input) : input_(input) {
    setting_.votes = input.flag();
    setting_.images_often = input.flag();
    for (std::uint16_t i = 0; i < kReplicas; ++i) {
      nodes_[i] = std::make_unique<Node>(ReplicaId(i), 1, setting_, wire_);
      nodes_[i]->start(0);
    }
    prepare(1 + input.below(8));
  }

  void run() {
    for (int steps = 0; steps < 150 && !input_.at_end(); ++steps) step();
    end();
  }

 private:
  Node& behind() { return *nodes_[0]; }

  /// The others execute some commands without it, and have images.
  void prepare(unsigned commands) {
    turn(1, [](Host& host) {
      host.control_session(SessionOperation::kOpen, kSession, kNever, [](const Outcome&) {});
    });
    between_others();
    for (unsigned i = 1; i <= commands; ++i) {
      nodes_[1 + i % 2]->put(now_, i % 3 == 0 ? "a" : "b", "value", i % 2 == 0 ? i : 0);
      note_digests();
      between_others();
    }
    for (std::size_t i = 1; i < kReplicas; ++i) nodes_[i]->host().request_image();
    pass_time(1);
    between_others();
    check(nodes_[1]->host().counters().commands_executed >= commands, "nothing was executed");
  }

  /// What is said to the one that is behind is lost.
  void between_others() {
    for (int count = 0; count < 200 && !wire_.empty(); ++count) {
      const Bundle bundle = std::move(wire_.front());
      wire_.pop_front();
      if (bundle.to != kBehind && bundle.from != kBehind) deliver(bundle);
    }
  }

  void step() {
    switch (input_.below(16)) {
      case 6:
        if (!wire_.empty()) wire_.pop_front();
        return;
      case 7:
        if (!wire_.empty()) deliver(Bundle(wire_.front()));
        return;
      case 8:
      case 9:
        if (!wire_.empty()) change(wire_.front());
        return;
      case 10:
        return forge();
      case 11:
      case 12:
        return pass_time(1);
      case 13:
        return pass_time(8);
      case 14: {
        Node& node = *nodes_[input_.below(kReplicas)];
        const std::uint64_t number = input_.flag() ? 100u + ++numbers_ : 0;
        node.put(now_, input_.flag() ? "a" : "c", "other", number);
        return note_digests();
      }
      case 15:
        return fail_or_ask();
      default:
        return deliver_first();
    }
  }

  void fail_or_ask() {
    const unsigned what = input_.below(4);
    if (what == 0) return restart();
    nodes_[what % kReplicas]->host().request_image();
  }

  void deliver_first() {
    if (wire_.empty()) return pass_time(1);
    const Bundle bundle = std::move(wire_.front());
    wire_.pop_front();
    deliver(bundle);
  }

  void deliver(const Bundle& bundle) {
    if (bundle.to == kBehind) told_bytes_ += bundle.bytes.size();
    turn(bundle.to.value(), [&](Host& host) { host.receive_bundle(bundle.bytes); });
  }

  void pass_time(int times) {
    for (; times > 0; --times) {
      now_ += 150'000;
      for (std::size_t i = 0; i < kReplicas; ++i) turn(i, [](Host&) {});
    }
  }

  /// One turn, after which a state is as before, or commands were executed, or it is one that a
  /// replica had.
  void turn(std::size_t at, const std::function<void(Host&)>& input) {
    Node& node = *nodes_[at];
    const std::uint64_t before = node.host().digest();
    const std::uint64_t executed = node.host().counters().instances_executed;
    node.turn(now_, input);
    const std::uint64_t after = node.host().digest();
    if (after != before && node.host().counters().instances_executed == executed) {
      check(digests_.contains(after), "a state appeared that no replica had");
    }
    digests_.insert(after);
    check_disk();
  }
  void note_digests() {
    for (const auto& node : nodes_) digests_.insert(node->host().digest());
  }

  void check_disk() {
    std::size_t bytes = 0;
    for (const auto& [key, value] : behind().disk()) {
      if (is_image_piece(key)) bytes += value.size();
    }
    check(bytes <= 2 * told_bytes_ + kOwnImagesBytesMax, "more lies on a disk than was told");
  }

  // --- Lies

  /// Frames about images are changed; the others stay, so that the group agrees otherwise.
  void change(Bundle& bundle) {
    net::BundleReader reader(identity_of(bundle.to, 1), kReplicas);
    if (reader.open(bundle.bytes)) return;
    net::BundleWriter writer;
    const net::BundleHeader header = reader.header();
    writer.start(identity_of(bundle.from, header.incarnation), bundle.to, header.durable_sequence);
    net::Frame frame;
    while (reader.next(frame)) {
      std::vector<std::byte> body(frame.body.begin(), frame.body.end());
      if (frame.type >= kFirstHostFrame) change_body(frame.type, body);
      frame.body = body;
      writer.append(frame);
    }
    const Bytes changed = writer.bytes();
    bundle.bytes.assign(changed.begin(), changed.end());
  }

  void change_body(net::FrameType& type, std::vector<std::byte>& body) {
    lied_ = true;
    if (input_.below(8) == 7) type = static_cast<net::FrameType>(kFirstHostFrame + input_.below(8));
    for (unsigned changes = input_.below(3); changes > 0 && !body.empty(); --changes) {
      const std::size_t at = input_.number<std::uint16_t>() % body.size();
      switch (input_.below(4)) {
        case 0:
          body.resize(at / 8 * 8);
          break;
        case 1:
          change_word(at % 48 / 8, body);
          break;
        default:
          body[at] ^= std::byte{input_.byte()};
      }
    }
  }

  void change_word(std::size_t index, std::vector<std::byte>& body) {
    const std::uint64_t value = word();
    if (body.size() < (index + 1) * sizeof value) return;
    copy_bytes(std::as_bytes(std::span(&value, 1)), &body[index * sizeof value]);
  }

  std::uint64_t word() {
    const std::uint8_t byte = input_.byte();
    if (byte >= 250) return input_.number<std::uint64_t>();
    if (byte >= 240) return kPieceBytes * (byte - 239u);
    return byte % 8;
  }

  /// Something about images that nobody said.
  void forge() {
    lied_ = true;
    const ReplicaId to(static_cast<std::uint16_t>(input_.below(kReplicas)));
    const ReplicaId from(
        static_cast<std::uint16_t>((to.value() + 1 + input_.below(2)) % kReplicas));
    const net::FrameType type = static_cast<net::FrameType>(kFirstHostFrame + input_.below(6));
    std::vector<std::uint64_t> words;
    for (unsigned count = input_.flag() ? 3 : input_.below(8); count > 0; --count) {
      words.push_back(word());
    }
    if (type == static_cast<net::FrameType>(ImageMessage::kOffer)) words.resize(6, 1);
    const Bytes body = std::as_bytes(std::span(words));
    net::BundleWriter writer;
    writer.start(identity_of(from, from == kBehind ? life_ : 1), to, ~std::uint64_t{0} >> 1);
    for (unsigned count = 1 + input_.below(3); count > 0; --count) {
      writer.append({GroupId(), Epoch(), type, body});
    }
    const Bytes bytes = writer.bytes();
    deliver({from, to, {bytes.begin(), bytes.end()}});
  }

  // --- The power

  void restart() {
    storage::RecordMap disk = behind().disk();
    nodes_[0] = std::make_unique<Node>(kBehind, ++life_, setting_, wire_, std::move(disk));
    behind().start(now_);
    // Images cover less than was executed, and the rest is executed at the start.
    digests_.insert(behind().host().digest());
    turn(0, [](Host&) {});
  }

  /// What comes back is what was there.
  void end() {
    wire_.clear();
    for (int i = 0; i < 30; ++i) {
      now_ += 150'000;
      turn(0, [](Host&) {});
    }
    const bool may_compare = !lied_ && behind().votes();
    const std::uint64_t before = behind().host().digest();
    restart();
    for (int i = 0; i < 4; ++i) turn(0, [](Host&) {});
    if (may_compare) check(behind().host().digest() == before, "a start gave another state");
  }

  Input& input_;
  Setting setting_;
  Tick now_ = 1;
  std::deque<Bundle> wire_;
  std::array<std::unique_ptr<Node>, kReplicas> nodes_;
  std::uint64_t life_ = 1;
  std::uint64_t numbers_ = 0;
  std::size_t told_bytes_ = 0;  ///< To the one that is behind.
  bool lied_ = false;
  std::set<std::uint64_t> digests_{0};
};

}  // namespace
}  // namespace epaxos::runtime

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  epaxos::fuzz::Input input(data, size);
  if (input.below(8) == 7) {
    epaxos::runtime::read_any(input);
  } else {
    epaxos::runtime::Group(input).run();
  }
  return 0;
}
