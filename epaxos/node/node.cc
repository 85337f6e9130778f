#include "epaxos/node/node.h"

#include <array>
#include <chrono>
#include <mutex>
#include <random>
#include <utility>

#include "epaxos/node/node_status.h"
#include "epaxos/node/session.h"
#include "epaxos/protocol/core.h"
#include "epaxos/runtime/event_loop.h"
#include "epaxos/runtime/wake_up.h"
#include "epaxos/storage/data_directory.h"
#include "epaxos/storage/lmdb_store.h"
#include "epaxos/storage/memory_store.h"
#include "net/client_plane.h"
#include "net/peer_plane.h"

namespace epaxos {

/// In the order in which they may be destroyed, backwards.
struct Node::Parts {
  NodeConfig config;
  Protocol protocol;
  std::unique_ptr<runtime::WakeUp> wake_up;
  std::unique_ptr<storage::DataDirectory> directory;  // Null: durability "none" without one.
  std::unique_ptr<storage::Store> store;
  storage::LmdbStore* disk = nullptr;  // The store, if it is one on disk.
  net::Context context;
  std::string peer_address;
  std::string client_address;
  std::uint64_t incarnation = 0;
  Tick started_at = 0;
  std::unique_ptr<net::PeerPlane> peers;      // Until the loop has it.
  std::unique_ptr<net::ClientPlane> clients;  // As above.
  std::unique_ptr<net::LinkTable> emulation;  // That the cluster asks for, if it does.
  std::unique_ptr<runtime::EventLoop> loop;

  std::mutex stop_mutex;
  bool stopped = false;
  Result<void> stop_result;

  Result<void> open(std::unique_ptr<StateMachine> machine);
  void give_up();
  Result<void> open_addresses();
  Result<void> open_disk();
  Result<void> open_loop(std::unique_ptr<StateMachine> machine);
  [[nodiscard]] CoreConfig core_config() const;
  [[nodiscard]] runtime::EventLoopOptions loop_options();
  [[nodiscard]] std::string not_voting_reason() const {
    return directory == nullptr ? std::string() : directory->non_voting_reason();
  }
  [[nodiscard]] NodeStatus status() const;
};

namespace {

Result<void> check_config(NodeConfig& config) {
  if (Result<void> complete = config.cluster.complete(); !complete) return complete;
  if (config.self.value() >= config.cluster.replica_count()) {
    return fail(ErrorCode::kInvalidArgument,
                "There is no replica " + std::to_string(config.self.value()) + " in cluster \"" +
                    config.cluster.name + "\", whose replicas are 0 to " +
                    std::to_string(config.cluster.replica_count() - 1) + ".");
  }
  if (config.data_directory.empty() && config.cluster.durability != Durability::kNone) {
    return fail(ErrorCode::kInvalidArgument,
                "Durability \"" + std::string(to_string(config.cluster.durability)) +
                    "\" needs a data directory. Give one, or choose durability \"none\".");
  }
  return {};
}

OwnedOutcome owned(const Outcome& outcome) {
  return {outcome.kind,
          {outcome.reply.begin(), outcome.reply.end()},
          outcome.code,
          std::string(outcome.reason),
          outcome.execution_wait_us};
}

Result<void> check_size(Bytes payload) {
  if (payload.size() <= kPayloadBytesMax) return {};
  return fail(ErrorCode::kTooLarge, "The command has " + std::to_string(payload.size()) +
                                        " bytes; the limit is " + std::to_string(kPayloadBytesMax) +
                                        ".");
}

Tick deadline_of(Tick timeout_us) {
  const Tick now = runtime::EventLoop::now();
  return timeout_us >= kNever - now ? kNever : now + timeout_us;
}

}  // namespace

Result<void> Node::Parts::open(std::unique_ptr<StateMachine> machine) {
  auto opened = runtime::WakeUp::open();
  if (!opened) return fail(opened.error());
  wake_up = *std::move(opened);
  // A directory belongs to whoever opens it first, for good: not to a start that fails at once
  // because its port is in use. At a later start nobody is to reach this one while it reads.
  const bool is_new =
      config.data_directory.empty() || storage::DataDirectory::is_new(config.data_directory);
  if (is_new) {
    if (const Result<void> bound = open_addresses(); !bound) return bound;
  }
  if (const Result<void> disk_opened = open_disk(); !disk_opened) return disk_opened;
  if (!is_new) {
    if (const Result<void> bound = open_addresses(); !bound) return bound;
  }
  return open_loop(std::move(machine));
}

/// After an open() that failed: a run that has promised nothing has forgotten nothing, so it must
/// not cost the replica its vote.
void Node::Parts::give_up() {
  loop.reset();
  store.reset();
  if (directory != nullptr) [[maybe_unused]]
    const Result<void> ignored = directory->mark_clean();
}

Result<void> Node::Parts::open_disk() {
  const Durability durability = config.cluster.durability;
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  const auto clock_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
  if (!config.data_directory.empty()) {
    auto opened = storage::DataDirectory::open(
        {.path = config.data_directory,
         .identity = {config.cluster.id, config.self, config.cluster.replica_count()},
         .protocol = protocol.name,
         .durability = durability,
         .clock_ms = clock_ms,
         .unsafe_rejoin = config.unsafe_rejoin});
    if (!opened) return fail(opened.error());
    directory = *std::move(opened);
    incarnation = directory->incarnation();
  } else {
    // Nothing remembers the runs before; the wall clock is higher at each of them.
    incarnation = clock_ms;
  }
  if (durability == Durability::kNone) {
    store = std::make_unique<storage::MemoryStore>();
    return {};
  }
  storage::LmdbOptions options;
  options.on_progress = [wake = wake_up.get()] { wake->announce(); };
  auto opened = storage::LmdbStore::open(*directory, std::move(options));
  if (!opened) return fail(opened.error());
  disk = opened->get();
  store = *std::move(opened);
  return {};
}

CoreConfig Node::Parts::core_config() const {
  CoreConfig core = config.cluster.core;
  core.self = config.self;
  core.replica_count = config.cluster.replica_count();
  core.spares = config.cluster.spares();
  core.seed = mix64(incarnation ^ mix64(config.self.value()));
  core.life = incarnation;
  core.voting = not_voting_reason().empty();
  core.unsafe_rejoin = config.unsafe_rejoin;
  core.reads = config.cluster.reads.value_or(protocol.reads);
  return core;
}

runtime::EventLoopOptions Node::Parts::loop_options() {
  runtime::EventLoopOptions options;
  options.host.identity = {config.cluster.id, config.self, incarnation,
                           config.cluster.configuration_hash(protocol.name)};
  options.host.replica_count = config.cluster.replica_count();
  options.host.durability = config.cluster.durability;
  options.host.pending_max = config.cluster.pending_max;
  options.host.not_voting_reason = not_voting_reason();
  options.host.unsafe_rejoin = config.unsafe_rejoin;
  options.host.image_log_bytes = config.cluster.image_log_bytes;
  options.host.session_ttl_us = config.cluster.session_ttl_us;
  options.submissions = {config.submitted_max, config.submitted_bytes_max};
  options.drain_us = config.drain_us;
  options.spin_us = config.spin_us;
  options.on_failure = config.on_failure;
  if (config.format_status) {
    options.status_text = [this] { return config.format_status(status()); };
  }
  options.history_text = config.format_history;
  return options;
}

Result<void> Node::Parts::open_addresses() {
  net::PeerPlaneOptions peer_options;
  peer_options.self = config.self;
  peer_options.bind_address = config.peer_bind_address;
  for (const ReplicaSettings& replica : config.cluster.replicas) {
    peer_options.addresses.push_back(replica.peer);
  }
  auto opened = net::PeerPlane::open(context, peer_options);
  if (!opened) return fail(opened.error());
  peers = *std::move(opened);
  peer_address = peers->bound_address();
  std::string address = config.client_bind_address;
  if (address.empty()) address = config.cluster.replicas[config.self.value()].client;
  if (address.empty()) return {};
  net::ClientPlaneOptions client_options;
  client_options.address = address;
  client_options.cluster = config.cluster.id;
  auto served = net::ClientPlane::open(context, client_options);
  if (!served) return fail(served.error());
  clients = *std::move(served);
  client_address = clients->bound_address();
  return {};
}

Result<void> Node::Parts::open_loop(std::unique_ptr<StateMachine> machine) {
  runtime::EventLoopParts parts;
  parts.peers = std::move(peers);
  parts.clients = std::move(clients);
  if (config.cluster.emulation) emulation = config.cluster.emulation->table();
  const net::LinkTable* const links = config.links != nullptr ? config.links : emulation.get();
  if (links != nullptr) {
    parts.links = std::make_unique<net::EmulatedLinks>(*links, config.self, incarnation);
    auto alarm = runtime::Alarm::open();
    if (!alarm) return fail(alarm.error());
    parts.alarm = *std::move(alarm);
  }
  parts.core = protocol.make_core(core_config());
  parts.machine = std::move(machine);
  loop = std::make_unique<runtime::EventLoop>(*wake_up, *store, std::move(parts), loop_options());
  started_at = runtime::EventLoop::now();
  return loop->start();
}

Result<std::unique_ptr<Node>> Node::open(NodeConfig config, std::unique_ptr<StateMachine> machine) {
  check(machine != nullptr, "a node was opened without a state machine");
  if (const Result<void> checked = check_config(config); !checked) return fail(checked.error());
  auto parts = std::make_unique<Parts>();
  parts->protocol = config.protocol.value_or(protocol::epaxos());
  if (const Result<void> suits = config.cluster.check_for(parts->protocol); !suits) {
    return fail(suits.error());
  }
  parts->config = std::move(config);
  if (const Result<void> opened = parts->open(std::move(machine)); !opened) {
    parts->give_up();
    return fail(opened.error());
  }
  return std::unique_ptr<Node>(new Node(std::move(parts)));
}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
}

Node::~Node() {
  check(!parts_->loop->on_loop_thread(), "a node was destroyed on its own thread");
  [[maybe_unused]] const Result<void> ignored = stop();
}

Result<void> Node::stop() {
  Parts& p = *parts_;
  p.loop->begin_stop();
  if (p.loop->on_loop_thread()) return {};
  const std::scoped_lock lock(p.stop_mutex);
  if (p.stopped) return p.stop_result;
  p.stopped = true;
  p.loop->join();
  if (p.disk != nullptr) p.stop_result = p.disk->close();
  // The mark comes last: it says that nothing is missing.
  if (p.stop_result && p.directory != nullptr) p.stop_result = p.directory->mark_clean();
  return p.stop_result;
}

// ---- Proposals ----

Result<void> Node::propose(const Footprint& footprint, Bytes payload, Tick timeout_us,
                           OutcomeCallback done) {
  if (const Result<void> size = check_size(payload); !size) return size;
  runtime::Submission submission{footprint, payload, deadline_of(timeout_us), std::move(done)};
  return parts_->loop->submit({&submission, 1});
}

Result<void> Node::propose(Bytes payload, Tick timeout_us, OutcomeCallback done) {
  if (const Result<void> size = check_size(payload); !size) return size;
  runtime::Submission submission{std::nullopt, payload, deadline_of(timeout_us), std::move(done)};
  return parts_->loop->submit({&submission, 1});
}

namespace {

/// A callback that fulfils a promise. Callbacks are copied, promises cannot be; the callback runs
/// exactly once and ends the promise's life.
template <class Propose>
std::future<OwnedOutcome> with_future(Propose propose) {
  auto promise = std::make_unique<std::promise<OwnedOutcome>>();
  std::future<OwnedOutcome> future = promise->get_future();
  auto* const raw = promise.get();
  const Result<void> proposed = propose([raw](const Outcome& outcome) {
    const std::unique_ptr<std::promise<OwnedOutcome>> owner(raw);
    owner->set_value(owned(outcome));
  });
  if (proposed) {
    [[maybe_unused]] auto* const given_away = promise.release();
  } else {
    promise->set_value(
        {OutcomeKind::kRejected, {}, proposed.error().code, proposed.error().message, 0});
  }
  return future;
}

}  // namespace

std::future<OwnedOutcome> Node::propose(const Footprint& footprint, Bytes payload,
                                        Tick timeout_us) {
  return with_future([&](OutcomeCallback done) {
    return propose(footprint, payload, timeout_us, std::move(done));
  });
}

std::future<OwnedOutcome> Node::propose(Bytes payload, Tick timeout_us) {
  return with_future(
      [&](OutcomeCallback done) { return propose(payload, timeout_us, std::move(done)); });
}

Result<void> Node::propose_batch(std::span<const BatchItem> items, Tick timeout_us) {
  if (items.size() > parts_->config.submitted_max) {
    return fail(ErrorCode::kTooLarge, "The batch has " + std::to_string(items.size()) +
                                          " proposals; this node takes at most " +
                                          std::to_string(parts_->config.submitted_max) +
                                          " at once. Split it.");
  }
  std::vector<runtime::Submission> submissions;
  submissions.reserve(items.size());
  for (const BatchItem& item : items) {
    if (const Result<void> size = check_size(item.payload); !size) return size;
    submissions.push_back({item.footprint, item.payload, deadline_of(timeout_us), item.done});
  }
  return parts_->loop->submit(submissions);
}

// ---- Sessions ----

std::unique_ptr<Session> Node::session() {
  std::random_device device;
  std::uint64_t id = 0;
  while (!is_client_session(id)) {
    id = (std::uint64_t{device()} << 32 | device()) & (kOwnSessionBit - 1);
  }
  return std::unique_ptr<Session>(new Session(*this, id));
}

Result<void> Node::propose_in_session(const SessionRequest& request, bool opens, Bytes payload,
                                      Tick timeout_us, OutcomeCallback done) {
  if (const Result<void> size = check_size(payload); !size) return size;
  std::array<runtime::Submission, 2> both;
  runtime::Submission& opening = both[0];
  opening.about_session = SessionOperation::kOpen;
  opening.request = request;
  opening.deadline = deadline_of(timeout_us);
  opening.done = [](const Outcome&) {};  // What becomes of the command shows it.
  runtime::Submission& command = both[1];
  command.payload = payload;
  command.request = request;
  command.deadline = opening.deadline;
  command.done = std::move(done);
  return parts_->loop->submit(std::span(both).subspan(opens ? 0 : 1));
}

void Node::tell_about_session(SessionOperation operation, std::uint64_t session) {
  runtime::Submission submission;
  submission.about_session = operation;
  submission.request.id.session = session;
  submission.deadline = deadline_of(parts_->config.drain_us);
  submission.done = [](const Outcome&) {};
  [[maybe_unused]] const Result<void> ignored = parts_->loop->submit({&submission, 1});
}

// ---- A look ----

void Node::query(const std::function<void(const StateMachine&)>& read) {
  parts_->loop->run([&] { read(parts_->loop->machine()); });
}

std::uint64_t Node::digest() {
  std::uint64_t digest = 0;
  parts_->loop->run([&] { digest = parts_->loop->host().digest(); });
  return digest;
}

NodeStatus Node::status() {
  NodeStatus status;
  parts_->loop->run([&] { status = parts_->status(); });
  return status;
}

Result<InstanceHistory> Node::history(const InstanceId& id) {
  Result<InstanceHistory> out = fail(ErrorCode::kStopped, "This node has stopped.");
  parts_->loop->run([&] { out = parts_->loop->host().history(id); });
  return out;
}

void Node::request_image() {
  parts_->loop->run([&] { parts_->loop->request_image(); });
}

const std::string& Node::peer_address() const {
  return parts_->peer_address;
}
const std::string& Node::client_address() const {
  return parts_->client_address;
}

NodeStatus Node::Parts::status() const {
  NodeStatus out;
  out.self = config.self;
  out.replica_count = config.cluster.replica_count();
  out.cluster = config.cluster.name;
  out.site = config.cluster.replicas[config.self.value()].site;
  out.protocol = protocol.name;
  out.non_voting_reason = not_voting_reason();
  out.durability = config.cluster.durability;
  out.incarnation = incarnation;
  out.uptime_us = runtime::EventLoop::now() - started_at;
  out.peer_address = peer_address;
  out.client_address = client_address;
  out.store.state = "memory";
  if (disk != nullptr) {
    out.store.error = disk->error();
    out.store.pending_bytes = disk->pending_bytes();
    out.store.transactions = disk->transactions();
    const storage::Space space = disk->space();
    out.store.used_bytes = space.used_bytes;
    out.store.limit_bytes = space.limit_bytes;
    if (space.runs_out()) {
      out.store.warning =
          "the disk fills up: " + std::to_string(space.used_bytes >> 20) + " of " +
          std::to_string(space.limit_bytes >> 20) +
          " MiB are used; free some space, or bring back the replica that is away, for which old "
          "records are kept";
    }
  }
  describe(*loop, disk != nullptr, out);
  return out;
}

}  // namespace epaxos
