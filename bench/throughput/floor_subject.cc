// The bare floor: what a command costs when nothing is decided but who is told. Every replica
// proposes, answers and commits with the messages and records of the fast path, coalesced a turn
// and gated by the store like the host's; nobody looks at what is inside.

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "bench/throughput/subject.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/quorum.h"
#include "epaxos/protocol/record.h"
#include "epaxos/runtime/event_loop.h"
#include "epaxos/runtime/prefix_gate.h"
#include "epaxos/storage/lmdb_store.h"
#include "epaxos/storage/memory_store.h"
#include "net/bundle.h"

namespace epaxos::bench {
namespace {

using protocol::Commit;
using protocol::CommitKind;
using protocol::MessageType;
using protocol::PreAccept;
using protocol::PreAcceptOk;
using protocol::RecordKind;

class FloorSubject final : public Subject {
 public:
  FloorSubject(const GroupOptions& options, const Place& place)
      : n_(options.replicas),
        self_(place.self),
        batch_(options.batch),
        window_(std::max<std::size_t>(1, options.in_flight / options.batch)),
        payload_(options.value_bytes + kKeyBytes),
        durability_(options.durability),
        identity_{place.cluster.id, place.self, 1, place.cluster.configuration_hash("floor")},
        reader_(identity_, n_),
        writers_(static_cast<std::size_t>(n_)),
        queue_({}) {
    std::size_t open = 64;
    while (open < 4 * window_) open *= 2;
    open_.resize(open);
  }

  ~FloorSubject() override {
    if (thread_.joinable()) stop_thread();
  }

  Result<void> open(const Place& place) {
    auto wake_up = runtime::WakeUp::open();
    if (!wake_up) return fail(wake_up.error());
    wake_up_ = *std::move(wake_up);
    if (const Result<void> store = open_store(place); !store) return store;
    net::PeerPlaneOptions plane;
    plane.self = self_;
    // Nothing is sent twice here, so nothing may be dropped while one replica lags behind.
    plane.queue_messages_max = 1 << 20;
    for (const ReplicaSettings& replica : place.cluster.replicas) {
      plane.addresses.push_back(replica.peer);
    }
    auto peers = net::PeerPlane::open(context_, plane);
    if (!peers) return fail(peers.error());
    peers_ = *std::move(peers);
    poller_.add_fd(wake_up_->fd());
    poller_.add(peers_->pollable());
    effects_->batch = 1;
    thread_ = std::thread([this] { loop(); });
    return {};
  }

  bool ready() override {
    bool all = true;
    on_loop([&] {
      for (std::uint16_t peer = 0; peer < n_; ++peer) {
        if (ReplicaId(peer) != self_) all = all && peers_->connected(ReplicaId(peer));
      }
    });
    return all;
  }
  void start_load() override {
    on_loop([this] { proposing_ = true; });
  }
  void stop_load() override {
    on_loop([this] { proposing_ = false; });
  }
  void begin_window() override {
    on_loop([this] { latency_us_ = {}; });
  }
  void measure(Measurement& out) override {
    on_loop([&] {
      out.totals.completed = completed_ * batch_;
      out.totals.fast_path = completed_;
      out.totals.bundles_out = bundles_out_;
      out.totals.bytes_out = bytes_out_;
      out.in_flight = in_flight_ * batch_;
      out.latency_us = latency_us_;
    });
  }

  Result<void> close() override {
    stop_thread();
    if (failed_) {
      return fail(ErrorCode::kOverloaded, "The bare floor lost a message: a queue was full.");
    }
    if (disk_ == nullptr) return {};
    if (const Result<void> closed = disk_->close(); !closed) return closed;
    return directory_->mark_clean();
  }

 private:
  static constexpr std::size_t kKeyBytes = 16;  // Of a put: about what its key and lengths take.
  static constexpr int kStepsMax = 16;

  /// An own instance that is not decided.
  struct Open {
    std::uint64_t slot = 0;  ///< 0: free.
    Tick started = 0;
    int answers = 0;
    bool deciding = false;
  };
  struct AwaitsDurable {
    BatchNumber batch = 0;
    std::uint64_t slot = 0;
    bool decision = false;
  };

  Result<void> open_store(const Place& place) {
    if (durability_ == Durability::kNone) {
      store_ = std::make_unique<storage::MemoryStore>();
      return {};
    }
    auto directory =
        storage::DataDirectory::open({.path = place.directory + "/floor-" + to_string(self_),
                                      .identity = {place.cluster.id, self_, n_},
                                      .durability = durability_});
    if (!directory) return fail(directory.error());
    directory_ = *std::move(directory);
    storage::LmdbOptions options;
    options.on_progress = [this] { wake_up_->announce(); };
    auto store = storage::LmdbStore::open(*directory_, std::move(options));
    if (!store) return fail(store.error());
    disk_ = store->get();
    store_ = *std::move(store);
    return store_->load([](const RecordKey&, Bytes) { return Result<void>(); });
  }

  template <class Task>
  void on_loop(const Task& task) {
    std::atomic<bool> done = false;
    const bool taken = queue_.submit(runtime::Task([&] {
      task();
      done = true;
      done.notify_one();
    }));
    check(taken, "the bare floor was asked after its end");
    wake_up_->announce();
    done.wait(false);
  }

  void stop_thread() {
    on_loop([this] { ended_ = true; });
    thread_.join();
  }

  // --- The loop's thread ---

  void loop() {
    const std::function<void(Bytes)> take = [this](Bytes bundle) { receive(bundle); };
    while (!ended_) {
      now_ = runtime::EventLoop::now();
      bool busy = peers_->receive(take) > 0;
      while (proposing_ && in_flight_ < window_ && open_[next_slot_ % open_.size()].slot == 0) {
        propose();
        busy = true;
      }
      busy |= end_turn();
      queue_.take(tasks_);
      for (runtime::Task& task : tasks_.tasks()) task();
      if (busy || !tasks_.empty() || !wake_up_->wait_is_needed()) continue;
      poller_.wait(kNever);
      wake_up_->awake(poller_.ready(0));
    }
  }

  void propose() {
    const InstanceId id{self_, Slot(next_slot_)};
    proposals_.resize(batch_);
    for (std::size_t i = 0; i < batch_; ++i) {
      proposals_[i].command = {{1, next_slot_ * batch_ + i}, 0, false, payload_};
      proposals_[i].footprint = {Access::write(mix64(next_slot_ * batch_ + i))};
    }
    const Footprint merged =
        batch_ > 1 ? merged_footprint(proposals_) : proposals_.front().footprint;
    Dependencies initial(n_);
    initial[self_] = Slot(next_slot_ - 1);
    Slice body;
    const auto room =
        protocol::encode_with_room(id, initial, block_bytes(proposals_, merged), *effects_, body);
    encode_block(proposals_, merged, room);
    put(RecordKind::kPreAccepted, id, body);
    awaits_durable_.push_back({effects_->batch, next_slot_, false});
    send(others(), MessageType::kPreAccept, body, Release::kGated);
    open_[next_slot_ % open_.size()] = {next_slot_, now_};
    ++next_slot_;
    ++in_flight_;
  }

  void receive(Bytes bundle) {
    if (reader_.open(bundle)) return;
    const ReplicaId from = reader_.header().from;
    net::Frame frame;
    while (reader_.next(frame)) {
      switch (static_cast<MessageType>(frame.type)) {
        case MessageType::kPreAccept:
          on_pre_accept(from, frame.body);
          break;
        case MessageType::kPreAcceptOk:
          on_pre_accept_ok(frame.body);
          break;
        default:
          on_commit(frame.body);
      }
    }
  }

  void on_pre_accept(ReplicaId from, Bytes body) {
    PreAccept message;
    if (!decode(body, n_, message)) return;
    put(RecordKind::kPreAccepted, message.instance, effects_->append(body));
    const PreAcceptOk answer{message.instance, true, {}};
    send(ReplicaSet::only(from), MessageType::kPreAcceptOk, encode(answer, *effects_),
         Release::kGated);
  }

  void on_pre_accept_ok(Bytes body) {
    PreAcceptOk message;
    if (decode(body, n_, message)) count_answer(message.instance.slot.value());
  }

  void on_commit(Bytes body) {
    Commit message;
    if (!decode(body, n_, message)) return;
    put_decision(message.instance);
    ++learned_;
  }

  /// An answer of a peer, or the own record on disk.
  void count_answer(std::uint64_t slot) {
    Open& open = open_[slot % open_.size()];
    if (open.slot != slot) return;
    ++open.answers;
    if (open.deciding || open.answers < protocol::fast_quorum_size(n_)) return;
    open.deciding = true;
    put_decision({self_, Slot(slot)});
    awaits_durable_.push_back({effects_->batch, slot, true});
  }

  void decide(std::uint64_t slot) {
    const Commit commit{{self_, Slot(slot)}, CommitKind::kInitial, {}, {}};
    send(others(), MessageType::kCommit, encode(commit, *effects_), Release::kNow);
    Open& open = open_[slot % open_.size()];
    latency_us_.add(now_ - open.started, batch_);
    open.slot = 0;
    --in_flight_;
    ++completed_;
  }

  [[nodiscard]] ReplicaSet others() const { return ReplicaSet::all(n_).without(self_); }

  void send(ReplicaSet to, MessageType type, Slice body, Release release) {
    effects_->sends.push_back(
        {to.bits(), release, static_cast<net::FrameType>(type), GroupId(), Epoch(), body});
  }

  void put(RecordKind kind, const InstanceId& id, Slice value) {
    effects_->put({static_cast<std::uint8_t>(kind), GroupId(), Epoch(), id.row, id.slot}, value);
  }
  void put_decision(const InstanceId& id) {
    put(RecordKind::kDecision, id,
        encode(protocol::DecisionRecord{false, true, {}, {}}, *effects_));
  }

  /// As the host does it. Returns whether there may be more to do at once.
  bool end_turn() {
    bool more = true;
    int steps = 0;
    for (; more && steps < kStepsMax; ++steps) {
      close_step();
      more = release_open();
    }
    for (std::size_t to = 0; to < writers_.size(); ++to) flush(to);
    return more;
  }

  void close_step() {
    if (!effects_->records.empty()) {
      submitted_ = effects_->batch;
      store_->submit(*effects_);
    }
    send_frames(*effects_, Release::kNow);
    std::unique_ptr<Effects> next = gate_.fresh();
    next->batch = submitted_ + 1;
    gate_.hold(submitted_, std::exchange(effects_, std::move(next)));
  }

  bool release_open() {
    const BatchNumber durable = durability_ == Durability::kSync ? store_->durable() : submitted_;
    const bool news = durable > durable_;
    durable_ = durable;
    while (!awaits_durable_.empty() && awaits_durable_.front().batch <= durable) {
      const AwaitsDurable done = awaits_durable_.front();
      awaits_durable_.pop_front();
      done.decision ? decide(done.slot) : count_answer(done.slot);
    }
    while (std::unique_ptr<Effects> turn = gate_.take_open(durable)) {
      send_frames(*turn, Release::kGated);
      gate_.recycle(std::move(turn));
    }
    return news;
  }

  void send_frames(const Effects& turn, Release release) {
    for (const SendEffect& send : turn.sends) {
      if (send.release != release) continue;
      const net::Frame frame{send.group, send.epoch, send.type, turn.view(send.body)};
      for (std::size_t to = 0; to < writers_.size(); ++to) {
        if ((send.to >> to & 1) == 0) continue;
        Writer& writer = writers_[to];
        if (writer.open && !writer.bundle.fits(frame)) flush(to);
        if (!std::exchange(writer.open, true)) {
          writer.bundle.start(identity_, ReplicaId(static_cast<std::uint16_t>(to)), durable_);
        }
        writer.bundle.append(frame);
      }
    }
  }

  void flush(std::size_t to) {
    if (!std::exchange(writers_[to].open, false)) return;
    const Bytes bundle = writers_[to].bundle.bytes();
    const bool sent = peers_->send(ReplicaId(static_cast<std::uint16_t>(to)), bundle);
    if (!sent && proposing_) failed_ = true;  // At the end the peers leave one after the other.
    ++bundles_out_;
    bytes_out_ += bundle.size();
  }

  struct Writer {
    net::BundleWriter bundle;
    bool open = false;
  };

  const int n_;
  const ReplicaId self_;
  const std::size_t batch_;
  const std::size_t window_;  // Own instances in flight.
  const std::vector<std::byte> payload_;
  const Durability durability_;
  const net::BundleIdentity identity_;

  std::unique_ptr<runtime::WakeUp> wake_up_;
  std::unique_ptr<storage::DataDirectory> directory_;
  std::unique_ptr<storage::Store> store_;
  storage::LmdbStore* disk_ = nullptr;  // The store, if it is one on disk.
  net::Context context_;
  std::unique_ptr<net::PeerPlane> peers_;
  net::Poller poller_;
  net::BundleReader reader_;
  std::vector<Writer> writers_;

  runtime::PrefixGate gate_;
  std::unique_ptr<Effects> effects_ = gate_.fresh();
  BatchNumber submitted_ = 0;
  BatchNumber durable_ = 0;
  std::deque<AwaitsDurable> awaits_durable_;
  std::vector<Open> open_;  // By slot, modulo its size.
  std::vector<Proposal> proposals_;
  std::uint64_t next_slot_ = 1;
  Tick now_ = 0;
  bool proposing_ = false;
  bool failed_ = false;
  bool ended_ = false;

  std::uint64_t in_flight_ = 0;  // Instances, like the next two.
  std::uint64_t completed_ = 0;
  std::uint64_t learned_ = 0;
  std::uint64_t bundles_out_ = 0;
  std::uint64_t bytes_out_ = 0;
  Histogram latency_us_;

  runtime::SubmissionQueue queue_;  // Of tasks alone.
  runtime::SubmissionQueue::Batch tasks_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Subject>> open_floor_subject(const GroupOptions& options,
                                                    const Place& place) {
  auto subject = std::make_unique<FloorSubject>(options, place);
  if (const Result<void> opened = subject->open(place); !opened) return fail(opened.error());
  return std::unique_ptr<Subject>(std::move(subject));
}

}  // namespace epaxos::bench
