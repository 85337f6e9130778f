#pragma once

// A host with images, between parts that a test plays by hand: a disk that a crash sets back to
// what was durable, a machine with a state, and peers that speak in frames.

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "epaxos/runtime/image_maker.h"
#include "epaxos/runtime/image_messages.h"
#include "epaxos/storage/record_map.h"
#include "tests/epaxos/runtime/host_support.h"

namespace epaxos::runtime::testing {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Batches become durable on command, or at once.
class MapStore final : public storage::Store {
 public:
  Result<void> load(const RecordVisitor& visit) override {
    for (const auto& [key, value] : on_disk) {
      if (const Result<void> seen = visit(key, value); !seen) return seen;
    }
    return {};
  }
  Result<bool> read(const RecordKey& key, std::vector<std::byte>& value) const override {
    return storage::read_record(on_disk, key, value);
  }
  void submit(const Effects& effects) override {
    EXPECT_EQ(effects.batch, ++submitted) << "batches are numbered without gaps";
    Batch& batch = waiting_.emplace_back();
    for (const RecordEffect& record : effects.records) {
      const Bytes value = effects.view(record.value);
      batch.push_back({record.key, record.change, {value.begin(), value.end()}});
      waiting_bytes_ += value.size();
    }
    if (at_once) complete();
  }
  /// The next batch is on disk.
  void complete_one() {
    for (const Change& change : waiting_.front()) {
      waiting_bytes_ -= change.value.size();
      storage::make_change(on_disk, change.key, change.change, change.value);
    }
    waiting_.pop_front();
    ++durable_;
  }
  void complete() {
    while (!waiting_.empty()) complete_one();
  }
  [[nodiscard]] BatchNumber durable() const override { return durable_; }
  [[nodiscard]] storage::StoreState state() const override { return now; }
  [[nodiscard]] std::string error() const override { return "scripted trouble"; }
  [[nodiscard]] storage::Space space() const override { return room; }
  [[nodiscard]] std::uint64_t pending_bytes() const override {
    return waiting_bytes_ + other_pending_bytes;
  }

  /// Pieces of images in any area.
  [[nodiscard]] std::size_t pieces() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        on_disk, [](const auto& record) { return is_image_piece(record.first); }));
  }
  [[nodiscard]] std::optional<ImageHeader> header() const {
    const auto found = on_disk.find(kImageHeaderKey);
    return found == on_disk.end() ? std::nullopt : decode_image_header(found->second);
  }

  storage::RecordMap on_disk;
  bool at_once = true;
  storage::StoreState now = storage::StoreState::kReady;
  storage::Space room;
  std::uint64_t other_pending_bytes = 0;
  BatchNumber submitted = 0;

 private:
  struct Change {
    RecordKey key;
    RecordChange change = RecordChange::kPut;
    std::vector<std::byte> value;
  };
  using Batch = std::vector<Change>;

  std::deque<Batch> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  BatchNumber durable_ = 0;
};

/// An image that breaks its word in one of several ways.
class BadImage final : public Image {
 public:
  enum class How { kFails, kGivesNothing };
  explicit BadImage(How how) : how_(how) {}
  Result<bool> read(std::size_t, std::vector<std::byte>&) override {
    if (how_ == How::kFails) return fail(ErrorCode::kInvalidArgument, "the image has ended");
    return true;
  }

 private:
  const How how_;
};

/// The storage of a machine that keeps itself. What was begun and is not kept a crash takes away.
struct OwnStorage {
  struct State {
    std::uint64_t number = 0;
    std::vector<std::byte> mark;
    std::string state;
  };
  void complete() { kept = begun; }

  State begun;
  State kept;
  bool at_once = true;
  std::string trouble;  ///< Why the last state could not be kept, as is found out later.
};

/// Its state is a text, to which every command adds its payload.
class TextMachine final : public StateMachine {
 public:
  explicit TextMachine(Diary* diary = nullptr) : diary_(diary) {}
  [[nodiscard]] Result<Footprint> admit(Bytes) const override { return Footprint::write("k"); }
  void apply(std::span<const Command> batch, Replies& replies) override {
    for (const Command& command : batch) {
      state += text_of(command.payload);
      replies.add(command.payload);
    }
  }
  [[nodiscard]] Result<void> save(const Sink& sink) const override {
    const std::uint64_t size = state.size();
    if (const Result<void> said = sink(std::as_bytes(std::span(&size, 1))); !said) return said;
    return sink(testing::bytes_of(state));
  }
  Result<void> load(const Source& source) override {
    if (load_fails) return fail(ErrorCode::kCorrupted, "scripted failure to load");
    std::uint64_t size = 0;
    if (const Result<void> read = load_number(source, size); !read) return read;
    std::string loaded(size - skips_at_end, '\0');
    if (const auto read = source(std::as_writable_bytes(std::span(loaded))); !read) return read;
    state = std::move(loaded);
    if (diary_ != nullptr) diary_->push_back("load");
    return {};
  }
  Result<std::unique_ptr<Image>> image() override {
    if (image_fails) return fail(ErrorCode::kUnavailable, "scripted failure of an image");
    if (bad_image) return std::unique_ptr<Image>(new BadImage(*bad_image));
    return StateMachine::image();
  }
  [[nodiscard]] std::uint64_t digest() const override { return state.size(); }
  [[nodiscard]] bool keeps_itself() const override { return storage != nullptr; }
  Result<void> keep(std::uint64_t number, Bytes mark) override {
    if (keep_fails) return fail(ErrorCode::kIo, "scripted failure to keep");
    EXPECT_GT(number, storage->begun.number) << "numbers ascend";
    storage->begun = {number, {mark.begin(), mark.end()}, state};
    storage->trouble.clear();
    if (diary_ != nullptr) diary_->push_back("keep " + std::to_string(number));
    if (storage->at_once) storage->complete();
    return {};
  }
  [[nodiscard]] Result<std::uint64_t> kept() override {
    if (!storage->trouble.empty()) return fail(ErrorCode::kIo, storage->trouble);
    return storage->kept.number;
  }
  [[nodiscard]] Result<std::vector<std::byte>> kept_mark() const override {
    return storage->kept.mark;
  }

  std::string state;
  OwnStorage* storage = nullptr;  ///< None: it does not keep itself.
  bool keep_fails = false;
  bool load_fails = false;
  std::uint64_t skips_at_end = 0;  ///< Bytes that load() leaves unread, by mistake.
  bool image_fails = false;
  std::optional<BadImage::How> bad_image;

 private:
  Diary* diary_;
};

struct HeardFrame {
  ReplicaId to;
  ImageMessage type{};
  std::vector<std::byte> body;
};

/// Keeps the host's own frames; others do not matter here.
class FrameNetwork final : public PeerSink {
 public:
  explicit FrameNetwork(const net::BundleIdentity& sender) : sender_(sender) {}
  bool send(ReplicaId to, Bytes bundle) override {
    net::BundleIdentity receiver = sender_;
    receiver.self = to;
    net::BundleReader reader(receiver, 3);
    EXPECT_FALSE(reader.open(bundle)) << "the host made a bundle that its receiver refuses";
    net::Frame frame;
    while (reader.next(frame)) {
      if (frame.type < kFirstHostFrame) continue;
      frames.push_back(
          {to, static_cast<ImageMessage>(frame.type), {frame.body.begin(), frame.body.end()}});
    }
    return true;
  }
  std::vector<HeardFrame> frames;

 private:
  const net::BundleIdentity sender_;
};

/// The parts together. Time begins late, as that of a machine that has been on for hours.
class ImageStage {
 public:
  explicit ImageStage(Durability durability = Durability::kSync) {
    config.identity.cluster.fill(std::byte{7});
    config.identity.self = kA;
    config.identity.incarnation = 5;
    config.replica_count = 3;
    config.durability = durability;
    config.pending_max = 100;
    config.image_log_bytes = 10'000;
    core.on_end_of_turn = [this](Effects& out) { play(out); };
    core.on_propose = [this](std::span<const Proposal> proposals, Effects&) { keep(proposals); };
  }

  Host& host() {
    if (host_ == nullptr) {
      network = std::make_unique<FrameNetwork>(config.identity);
      host_ = std::make_unique<Host>(config, core, store, machine, *network);
    }
    return *host_;
  }
  Result<void> start() { return host().start(now); }
  /// Before the start: the machine keeps itself, and begins with what its storage holds.
  void let_machine_keep(const OwnStorage::State& kept = {}) {
    storage.begun = storage.kept = kept;
    machine.storage = &storage;
    machine.state = kept.state;
  }
  Diary turn(const std::function<void()>& inputs = {}) {
    diary.clear();
    host().begin_turn(++now);
    if (inputs) inputs();
    host().end_turn();
    return diary;
  }
  /// Turns as long as one is due at once. A host that turns for ever spins.
  Diary settle() {
    Diary all;
    for (int turns = 0; is_due(); ++turns) {
      if (turns == 2000) {
        ADD_FAILURE() << "the host spins";
        break;
      }
      const Diary some = turn();
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  [[nodiscard]] bool is_due() { return host().next_deadline() <= now; }
  Diary after(Tick delay) {
    now += delay;
    return turn();
  }

  // --- What the core does in its next turn.

  void execute(std::string payload, bool ends_component = true) {
    to_execute_.push_back(std::move(payload));
    ends_component_ = ends_component;
  }
  /// A record of the protocol, of this size.
  void log(std::size_t bytes) { to_log_ += bytes; }
  void wish(ReplicaId from, std::uint64_t bytes_max = ~std::uint64_t{0}) {
    wish_ = ImageWish{from, bytes_max};
  }
  void execute_proposals() { execute_proposals_ = true; }

  // --- Clients.

  CommandId propose(std::string_view payload, Tick deadline = kNever,
                    const SessionRequest& request = {}) {
    return host().propose(
        bytes_of(payload), Footprint::write("k"), deadline,
        [this](const Outcome& outcome) { note(outcome); }, request);
  }
  void note(const Outcome& outcome) {
    outcomes.push_back(std::string(to_string(outcome.kind)) + ": " +
                       (outcome.kind == OutcomeKind::kExecuted
                            ? text_of(outcome.reply)
                            : std::string(to_string(outcome.code))));
  }

  // --- Peers. `speak` fills the effects of one who sends to this host.

  void hear(ReplicaId from, const std::function<void(Effects&)>& speak) {
    Effects out;
    speak(out);
    for (const SendEffect& send : out.sends) hear(from, send.type, out.view(send.body));
  }
  void hear(ReplicaId from, net::FrameType type, Bytes body) {
    net::BundleIdentity sender = config.identity;
    sender.self = from;
    net::BundleWriter writer;
    writer.start(sender, kA, 0);
    writer.append({GroupId(), Epoch(), type, body});
    const Bytes bytes = writer.bytes();
    host().receive_bundle(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  /// Frames since the last call, of one type.
  std::vector<HeardFrame> sent(ImageMessage type) {
    std::vector<HeardFrame> all = std::exchange(network->frames, {});
    std::erase_if(all, [type](const HeardFrame& frame) { return frame.type != type; });
    return all;
  }
  [[nodiscard]] ImageStatus images() {
    HostStatus status;
    host().status(status);
    return status.image;
  }

  Diary diary;
  HostConfig config;
  ScriptedCore core{diary};
  MapStore store;
  TextMachine machine{&diary};
  OwnStorage storage;
  std::unique_ptr<FrameNetwork> network;
  Tick now = 10'000 * kSecond;
  std::vector<std::string> outcomes;
  Blocks blocks;

 private:
  void play(Effects& out) {
    for (const std::string& payload : std::exchange(to_execute_, {})) {
      payloads_.push_back(std::make_unique<std::string>(payload));
      blocks.execute_foreign(*payloads_.back(), out);
      out.ends_component = ends_component_;
    }
    if (std::exchange(execute_proposals_, false)) {
      for (const Proposal& proposal : std::exchange(proposals_, {})) {
        blocks.execute(std::span(&proposal, 1), out);
      }
      out.ends_component = true;
    }
    if (const std::size_t bytes = std::exchange(to_log_, 0); bytes > 0) {
      record(out, std::string(bytes, 'r'));
    }
    if (wish_) out.image_wish = std::exchange(wish_, std::nullopt);
  }
  void keep(std::span<const Proposal> proposals) {
    for (const Proposal& proposal : proposals) {
      payloads_.push_back(std::make_unique<std::string>(text_of(proposal.command.payload)));
      proposals_.push_back(proposal);
      proposals_.back().command.payload = bytes_of(*payloads_.back());
    }
  }

  std::vector<std::unique_ptr<std::string>> payloads_;
  std::vector<std::string> to_execute_;
  bool ends_component_ = true;
  std::size_t to_log_ = 0;
  std::optional<ImageWish> wish_;
  bool execute_proposals_ = false;
  std::vector<Proposal> proposals_;
  std::unique_ptr<Host> host_;
};

/// The image of a peer, and how the peer answers questions about it.
class PeerImage {
 public:
  PeerImage(executor::SessionTable& sessions, StateMachine& machine, std::string_view coverage,
            std::uint64_t number = 9) {
    const Bytes covered = testing::bytes_of(coverage);
    ImageMaker::Parts parts;
    parts.coverage = {covered.begin(), covered.end()};
    parts.sessions = *sessions.image();
    parts.machine = *machine.image();
    ImageMaker maker(number, 1, std::move(parts));
    Effects out;
    while (!*maker.write(1 << 20, out)) continue;
    header = maker.header();
    for (const RecordEffect& record : out.records) {
      const Bytes piece = out.view(record.value);
      pieces.emplace_back(piece.begin(), piece.end());
    }
  }
  /// Of a machine with this state, and no sessions.
  explicit PeerImage(std::string_view state, std::string_view coverage = "peer")
      : PeerImage(*std::make_unique<executor::SessionTable>(), *machine_with(state), coverage) {}

  /// What the question asks for.
  [[nodiscard]] std::vector<ImagePiece> answer(const HeardFrame& asked) const {
    const std::optional<ImageAsk> ask = read_ask(asked.body);
    EXPECT_TRUE(ask && ask->number == header.number) << "a question that makes no sense";
    std::vector<ImagePiece> answers;
    for (std::uint64_t i = ask->first; i < ask->first + ask->count; ++i) {
      answers.push_back({header.number, i, pieces[i]});
    }
    return answers;
  }

  ImageHeader header;
  std::vector<std::vector<std::byte>> pieces;

 private:
  static std::unique_ptr<TextMachine> machine_with(std::string_view state) {
    auto machine = std::make_unique<TextMachine>();
    machine->state = state;
    return machine;
  }
};

}  // namespace epaxos::runtime::testing
