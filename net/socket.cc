#include "net/socket.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

#include <zmq.h>

#include "deps/types/check.h"
#include "net/address.h"
#include "net/open_files.h"

namespace epaxos::net {
namespace {

constexpr int kOldestZmq = ZMQ_MAKE_VERSION(4, 3, 3);  // Before it: remote memory corruption.
constexpr std::size_t kDescriptors = 8;                // Of a context and its first socket: 7.
constexpr int kHandshakeMs = 2000;
constexpr int kConnectMs = 3000;
constexpr int kProbeAfterS = 1;   // A silent connection is asked, by the kernel,
constexpr int kProbeEveryS = 1;   // so often,
constexpr int kProbes = 4;        // and is broken after so many questions without an answer,
constexpr int kUnheardMs = 5000;  // as it is when the other side confirms or takes nothing so long.
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 2000;
constexpr std::uint32_t kSpinBackoffMax = 8;
constexpr std::size_t kLargeBytes = 16 * 1024;     // Smaller messages are bounded by their number.
constexpr std::size_t kConnectionsCounted = 1024;  // Then those that hold nothing are forgotten.
constexpr std::size_t kGatherMax = 64 * 1024;      // Messages of one gather().
constexpr std::size_t kArrivedBytes = 256;         // What a message takes beside its bytes.

Result<void> check_library() {
  int major = 0, minor = 0, patch = 0;
  zmq_version(&major, &minor, &patch);
  if (ZMQ_MAKE_VERSION(major, minor, patch) >= kOldestZmq) return {};
  return fail(ErrorCode::kUnsupported, "The ZeroMQ library is version " + std::to_string(major) +
                                           "." + std::to_string(minor) + "." +
                                           std::to_string(patch) +
                                           ", which has known holes. Install 4.3.3 or later.");
}

bool set(void* socket, int option, int value) {
  return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

bool set_long(void* socket, int option, std::int64_t value) {
  return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/// Every option of every socket. No routing id, no hand-over: ids prove nothing. No bound of what
/// arrives and no heartbeats: ZeroMQ stops to read a connection whose queue is full, and when that
/// connection breaks then, a heartbeat that is due, or one of the other side that was read before,
/// ends the process (4.3.4: stream_engine_base.cpp, out_event()). So the kernel looks for dead
/// hosts, and Inbox keeps the bounds.
bool configure(void* socket, const SocketOptions& options) {
  bool ok = set_long(socket, ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(options.message_bytes_max));
  ok = set(socket, ZMQ_SNDHWM, options.queue_messages_max) && ok;
  ok = set(socket, ZMQ_RCVHWM, 0) && ok;
  ok = set(socket, ZMQ_LINGER, options.linger_ms) && ok;
  ok = set(socket, ZMQ_IMMEDIATE, 1) && ok;
  ok = set(socket, ZMQ_HANDSHAKE_IVL, kHandshakeMs) && ok;
  ok = set(socket, ZMQ_CONNECT_TIMEOUT, kConnectMs) && ok;
  ok = set(socket, ZMQ_TCP_KEEPALIVE, 1) && ok;
  ok = set(socket, ZMQ_TCP_KEEPALIVE_IDLE, kProbeAfterS) && ok;
  ok = set(socket, ZMQ_TCP_KEEPALIVE_INTVL, kProbeEveryS) && ok;
  ok = set(socket, ZMQ_TCP_KEEPALIVE_CNT, kProbes) && ok;
  ok = set(socket, ZMQ_TCP_MAXRT, kUnheardMs) && ok;
  ok = set(socket, ZMQ_RECONNECT_IVL, kReconnectMs) && ok;
  ok = set(socket, ZMQ_RECONNECT_IVL_MAX, kReconnectMaxMs) && ok;
  if (options.kind == SocketKind::kRouter) ok = set(socket, ZMQ_ROUTER_MANDATORY, 1) && ok;
  return ok;
}

/// Bytes of large messages that ZeroMQ holds for one connection; its I/O thread takes them off.
using Held = std::atomic<std::size_t>;

/// A large message that is taken off when ZeroMQ has sent or dropped it.
struct LargeBytes {
  LargeBytes(Bytes from, std::shared_ptr<Held> in)
      : bytes(from.begin(), from.end()), held(std::move(in)) {
    held->fetch_add(bytes.size(), std::memory_order_release);
  }
  ~LargeBytes() { held->fetch_sub(bytes.size(), std::memory_order_acq_rel); }
  LargeBytes(const LargeBytes&) = delete;
  LargeBytes& operator=(const LargeBytes&) = delete;

  static void release(void*, void* self) { delete static_cast<LargeBytes*>(self); }

  std::vector<std::byte> bytes;
  std::shared_ptr<Held> held;
};

/// A ZeroMQ message that closes itself.
class Message {
 public:
  Message() { zmq_msg_init(&message_); }
  explicit Message(Bytes bytes) {
    check(zmq_msg_init_size(&message_, bytes.size()) == 0, "memory for a message is exhausted");
    copy_bytes(bytes, zmq_msg_data(&message_));
  }
  explicit Message(std::unique_ptr<LargeBytes> large) {
    std::vector<std::byte>& bytes = large->bytes;
    check(zmq_msg_init_data(&message_, bytes.data(), bytes.size(), &LargeBytes::release,
                            large.get()) == 0,
          "memory for a message is exhausted");
    large.release();
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() { zmq_msg_close(&message_); }

  bool receive(void* socket) {
    int got = 0;
    do {
      got = zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got >= 0;
  }

  /// 0, or the errno. ZeroMQ owns the bytes when it is 0.
  int send(void* socket, int flags) {
    int sent = 0;
    do {
      sent = zmq_msg_send(&message_, socket, flags | ZMQ_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? 0 : errno;
  }

  [[nodiscard]] bool more() const { return zmq_msg_more(&message_) != 0; }
  [[nodiscard]] Bytes bytes() const {
    auto* message = const_cast<zmq_msg_t*>(&message_);
    return {static_cast<const std::byte*>(zmq_msg_data(message)), zmq_msg_size(message)};
  }

 private:
  zmq_msg_t message_;
};

/// What has arrived at a router and was not received: a bounded queue a connection, which are
/// served in turn. Invariant: a queue is listed in `turns_`, or its first message is the current
/// one, exactly when it is not empty.
class Inbox {
 public:
  struct Arrived {
    Message payload;
    bool extra_frames = false;
    std::size_t progress = 0;

    [[nodiscard]] std::size_t bytes() const { return payload.bytes().size() + kArrivedBytes; }
  };

  Inbox(std::size_t bytes_max, std::size_t bytes_max_of_all)
      : bytes_max_(bytes_max), bytes_max_of_all_(bytes_max_of_all) {}

  void gather(void* socket) {
    for (std::size_t i = 0; i < kGatherMax && route_.receive(socket); ++i) take(socket);
  }

  /// Ends the current message, unless it was kept, and makes the next one current.
  bool next() {
    if (current_ != nullptr) finish();
    if (turns_.empty()) return false;
    current_ = turns_.front();
    turns_.pop_front();
    return true;
  }

  [[nodiscard]] bool waits() const {
    if (!turns_.empty()) return true;
    return current_ != nullptr && (kept_ || current_->second.waiting.size() > 1);
  }

  void keep(std::size_t progress) {
    check(current_ != nullptr, "a message is kept that was not received");
    current_->second.waiting.front().progress = progress;
    kept_ = true;
  }

  [[nodiscard]] const Arrived* current() const {
    return current_ == nullptr ? nullptr : &current_->second.waiting.front();
  }
  [[nodiscard]] Bytes route() const {
    return current_ == nullptr ? Bytes() : std::as_bytes(std::span(current_->first));
  }
  std::uint64_t take_overflows() { return std::exchange(overflows_, 0); }

 private:
  struct Queue {
    std::deque<Arrived> waiting;
    std::size_t bytes = 0;
  };
  using Queues = std::map<std::string, Queue, std::less<>>;  // By route.

  void take(void* socket) {
    Queues::value_type& of = queue_of(text_of(route_.bytes()));
    Queue& queue = of.second;
    Arrived& arrived = queue.waiting.emplace_back();
    arrived.extra_frames = !route_.more();
    if (route_.more()) arrived.payload.receive(socket);
    // Each further frame replaces the one before: a message of a thousand costs the room of one.
    while (arrived.payload.more() && arrived.payload.receive(socket)) arrived.extra_frames = true;
    const std::size_t bytes = arrived.bytes();
    const bool fits = queue.bytes + bytes <= bytes_max_ && bytes_ + bytes <= bytes_max_of_all_;
    if (queue.bytes > 0 && !fits) {
      queue.waiting.pop_back();
      ++overflows_;
      return;
    }
    if (queue.bytes == 0) turns_.push_back(&of);
    queue.bytes += bytes;
    bytes_ += bytes;
  }

  Queues::value_type& queue_of(std::string_view route) {
    if (const auto found = queues_.find(route); found != queues_.end()) return *found;
    if (queues_.size() >= kConnectionsCounted) {
      std::erase_if(queues_, [](const auto& entry) { return entry.second.waiting.empty(); });
    }
    return *queues_.try_emplace(std::string(route)).first;
  }

  void finish() {
    Queue& queue = current_->second;
    if (!std::exchange(kept_, false)) {
      queue.bytes -= queue.waiting.front().bytes();
      bytes_ -= queue.waiting.front().bytes();
      queue.waiting.pop_front();
    }
    if (!queue.waiting.empty()) turns_.push_back(current_);
    current_ = nullptr;
  }

  const std::size_t bytes_max_;
  const std::size_t bytes_max_of_all_;
  Message route_;  // Of what is being taken.
  Queues queues_;
  std::deque<Queues::value_type*> turns_;
  Queues::value_type* current_ = nullptr;
  bool kept_ = false;
  std::size_t bytes_ = 0;
  std::uint64_t overflows_ = 0;
};

Failure bind_failure(const std::string& address, int error) {
  if (error == EADDRINUSE) {
    return fail(ErrorCode::kBusy, address + " is already in use. Stop the process that listens " +
                                      "there, or choose another address.");
  }
  if (error == EMFILE || error == ENFILE) {
    return fail(ErrorCode::kIo, address +
                                    " cannot be listened on: too many open files. Raise the " +
                                    "limit of open files (ulimit -n).");
  }
  return fail(ErrorCode::kInvalidArgument,
              address + " cannot be listened on: " + zmq_strerror(error) +
                  ". Choose an address of this machine that this user may use.");
}

/// Whether somebody accepts connections on this Unix socket. ZeroMQ would replace its file, and
/// take the other's connections away without a word.
bool answers(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path) return false;
  std::memcpy(to.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  ::close(fd);
  return connected;
}

}  // namespace

Context::Context() : handle_(zmq_ctx_new()) {
  if (handle_ != nullptr) zmq_ctx_set(handle_, ZMQ_IO_THREADS, 1);
}

Context::~Context() {
  while (handle_ != nullptr && zmq_ctx_term(handle_) != 0 && errno == EINTR) continue;
}

struct Socket::Impl {
  explicit Impl(const SocketOptions& options)
      : router(options.kind == SocketKind::kRouter),
        held_bytes_max(options.held_bytes_max),
        watched(!router || options.connections_max > 0),
        connections(options.connections_max),
        inbox(options.arrived_bytes_max, options.arrived_bytes_max_of_all) {}

  void* socket = nullptr;
  void* monitor = nullptr;
  const bool router;
  bool connected = false;
  std::uint64_t disconnections = 0;
  const std::size_t held_bytes_max;
  const bool watched;                                              // By the monitor.
  Connections connections;                                         // Of a router that is watched.
  std::map<std::string, std::shared_ptr<Held>, std::less<>> held;  // By route.
  Inbox inbox;                                                     // Of a router.
  Message payload;                                                 // Of another.

  ~Impl() {
    // In this order: ZeroMQ's thread would wait for somebody to read an event of a closed monitor.
    if (socket != nullptr) zmq_socket_monitor(socket, nullptr, 0);
    if (monitor != nullptr) zmq_close(monitor);
    if (socket != nullptr) zmq_close(socket);
  }

  bool watch(void* context);
  void read_events();
  void take_event(std::uint16_t event, int value);
  std::shared_ptr<Held> held_for(Bytes to);
  /// 0, or the errno: EAGAIN also when too much is on its way to that connection.
  int send(Bytes route, Bytes payload);
};

std::shared_ptr<Held> Socket::Impl::held_for(Bytes to) {
  const auto found = held.find(text_of(to));
  if (found != held.end()) return found->second;
  if (held.size() >= kConnectionsCounted) {
    std::erase_if(held, [](const auto& entry) { return *entry.second == 0; });
  }
  return held.emplace(text_of(to), std::make_shared<Held>(0)).first->second;
}

int Socket::Impl::send(Bytes to, Bytes payload_bytes) {
  std::unique_ptr<LargeBytes> large;
  if (payload_bytes.size() >= kLargeBytes) {
    std::shared_ptr<Held> before = held_for(to);
    if (*before > 0 && *before + payload_bytes.size() > held_bytes_max) return EAGAIN;
    large = std::make_unique<LargeBytes>(payload_bytes, std::move(before));
  }
  if (router) {
    const int error = Message(to).send(socket, ZMQ_SNDMORE);
    if (error != 0) return error;
  }
  return large ? Message(std::move(large)).send(socket, 0) : Message(payload_bytes).send(socket, 0);
}

/// Follows whether the connection stands, so that a drop can be named, or which ones a router has.
/// The queue is unbounded, because ZeroMQ's I/O thread would block on a full one; its events are as
/// rare as connections. Not so that accepting failed: without descriptors that comes without a
/// pause, and would fill the memory.
bool Socket::Impl::watch(void* context) {
  // Never the name of a socket that was closed: ZeroMQ frees it later, on its own thread.
  static std::atomic<std::uint64_t> opened{0};
  const std::string name = "inproc://events-" + std::to_string(++opened);
  const int events =
      (router ? ZMQ_EVENT_ACCEPTED : ZMQ_EVENT_HANDSHAKE_SUCCEEDED) | ZMQ_EVENT_DISCONNECTED;
  if (zmq_socket_monitor(socket, name.c_str(), events) != 0) return false;
  monitor = zmq_socket(context, ZMQ_PAIR);
  if (monitor == nullptr || (router && !connections.reserve())) return false;
  if (!set(monitor, ZMQ_LINGER, 0) || !set(monitor, ZMQ_RCVHWM, 0) ||
      zmq_connect(monitor, name.c_str()) != 0) {
    return false;
  }
  read_events();  // ZeroMQ wakes who has found nothing, and nobody before.
  return true;
}

void Socket::Impl::read_events() {
  if (monitor == nullptr) return;
  Message event, address;
  while (event.receive(monitor)) {
    std::uint16_t number = 0;
    std::int32_t value = 0;
    if (event.bytes().size() >= sizeof number + sizeof value) {
      std::memcpy(&number, event.bytes().data(), sizeof number);
      std::memcpy(&value, event.bytes().data() + sizeof number, sizeof value);
    }
    if (event.more()) address.receive(monitor);
    take_event(number, value);
  }
}

void Socket::Impl::take_event(std::uint16_t event, int value) {
  if (router) {
    if (event == ZMQ_EVENT_ACCEPTED) connections.accepted(value);
    if (event == ZMQ_EVENT_DISCONNECTED) connections.ended(value);
    return;
  }
  if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) connected = true;
  if (event == ZMQ_EVENT_DISCONNECTED) {
    if (connected) ++disconnections;
    connected = false;
  }
}

Socket::Socket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Socket::~Socket() = default;

Result<std::unique_ptr<Socket>> Socket::open(Context& context, const SocketOptions& options) {
  if (const auto library = check_library(); !library) return fail(library.error());
  if (!options.security.empty()) {
    return fail(
        ErrorCode::kUnsupported,
        "Encrypted connections (CURVE keys) are not supported yet. Remove the keys from the "
        "configuration and keep the addresses on a network that you trust.");
  }
  auto impl = std::make_unique<Impl>(options);
  if (context.handle() == nullptr) errno = EMFILE;
  // ZeroMQ aborts the process when its threads get none.
  if (context.handle() != nullptr && descriptors_left(kDescriptors)) {
    impl->socket = zmq_socket(context.handle(), impl->router ? ZMQ_ROUTER : ZMQ_DEALER);
  }
  if (impl->socket == nullptr || !configure(impl->socket, options) ||
      (impl->watched && !impl->watch(context.handle()))) {
    return fail(ErrorCode::kIo, std::string("A ZeroMQ socket could not be opened: ") +
                                    zmq_strerror(zmq_errno()) +
                                    ". Raise the limit of open files (ulimit -n).");
  }
  return std::unique_ptr<Socket>(new Socket(std::move(impl)));
}

Result<void> Socket::bind(const std::string& address) {
  if (const auto valid = check_bind_address(address); !valid) return fail(valid.error());
  if (address.find('[') != std::string::npos) set(impl_->socket, ZMQ_IPV6, 1);
  if (address.starts_with(kIpcScheme) && answers(address.substr(kIpcScheme.size()))) {
    return bind_failure(address, EADDRINUSE);
  }
  if (zmq_bind(impl_->socket, address.c_str()) != 0) return bind_failure(address, zmq_errno());

  char endpoint[512];
  std::size_t size = sizeof endpoint;
  const bool known = zmq_getsockopt(impl_->socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0;
  bound_address_ = known ? std::string(endpoint) : address;
  impl_->connections.listens_at(bound_address_);
  return {};
}

Result<void> Socket::connect(const std::string& address) {
  if (const auto valid = check_connect_address(address); !valid) return fail(valid.error());
  if (address.find('[') != std::string::npos) set(impl_->socket, ZMQ_IPV6, 1);
  if (zmq_connect(impl_->socket, address.c_str()) == 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              address + " cannot be connected to: " + zmq_strerror(zmq_errno()) + ".");
}

Sent Socket::send(Bytes payload) {
  if (impl_->send({}, payload) == 0) return Sent::kYes;
  impl_->read_events();
  return impl_->connected ? Sent::kWouldBlock : Sent::kUnreachable;
}

Sent Socket::send_to(Bytes route, Bytes payload) {
  const int error = impl_->send(route, payload);
  if (error == 0) return Sent::kYes;
  return error == EAGAIN ? Sent::kWouldBlock : Sent::kUnreachable;
}

bool Socket::has_room(Bytes route, std::size_t bytes) const {
  const auto found = impl_->held.find(text_of(route));
  if (found == impl_->held.end()) return true;
  const std::size_t held = *found->second;
  return held == 0 || held + bytes <= impl_->held_bytes_max;
}

void Socket::gather() {
  if (impl_->router) impl_->inbox.gather(impl_->socket);
}

bool Socket::waits() const {
  return impl_->inbox.waits();
}

Received Socket::receive() {
  Impl& impl = *impl_;
  if (impl.router) {
    if (!impl.inbox.next()) {
      gather();
      if (!impl.inbox.next()) return Received::kNothing;
    }
    return impl.inbox.current()->extra_frames ? Received::kExtraFrames : Received::kMessage;
  }
  if (!impl.payload.receive(impl.socket)) return Received::kNothing;
  if (!impl.payload.more()) return Received::kMessage;
  while (impl.payload.more() && impl.payload.receive(impl.socket)) continue;
  return Received::kExtraFrames;
}

void Socket::keep(std::size_t progress) {
  impl_->inbox.keep(progress);
}

std::size_t Socket::progress() const {
  const Inbox::Arrived* arrived = impl_->inbox.current();
  return arrived == nullptr ? 0 : arrived->progress;
}

std::uint64_t Socket::take_overflows() {
  return impl_->inbox.take_overflows();
}

Bytes Socket::payload() const {
  const Inbox::Arrived* arrived = impl_->inbox.current();
  return arrived == nullptr ? impl_->payload.bytes() : arrived->payload.bytes();
}
Bytes Socket::route() const {
  return impl_->inbox.route();
}

void Socket::look_at_connections() {
  if (impl_->router) impl_->read_events();
}

Pollable Socket::connections_changed() const {
  // Cheaper than to ask ZeroMQ before each wait; read_events() reads all, as this needs.
  int fd = -1;
  std::size_t size = sizeof fd;
  if (impl_->monitor != nullptr) zmq_getsockopt(impl_->monitor, ZMQ_FD, &fd, &size);
  return {nullptr, fd};
}

std::size_t Socket::connections() const {
  return impl_->connections.count();
}

std::uint64_t Socket::refused_connections() const {
  return impl_->connections.refused();
}

bool Socket::connected() {
  impl_->read_events();
  return impl_->connected;
}

std::uint64_t Socket::disconnections() {
  impl_->read_events();
  return impl_->disconnections;
}

Pollable Socket::pollable() const {
  return {impl_->socket, -1};
}

struct Poller::Impl {
  std::vector<zmq_pollitem_t> items;
};

Poller::Poller() : impl_(std::make_unique<Impl>()) {
}
Poller::~Poller() = default;

std::size_t Poller::add(Pollable pollable) {
  impl_->items.push_back({pollable.socket, pollable.fd, ZMQ_POLLIN, 0});
  return impl_->items.size() - 1;
}

bool Poller::ready(std::size_t index) const {
  return impl_->items[index].revents != 0;
}

bool Poller::wait(Tick timeout_us) {
  if (spin(timeout_us)) return true;
  if (timeout_us == kNever) return poll(-1);
  constexpr Tick kLongest = 3'600'000'000;
  return poll(static_cast<long>((std::min(timeout_us, kLongest) + 999) / 1000));
}

bool Poller::poll(long timeout_ms) {
  // zmq_poll asks every socket for its events before it blocks: the file descriptors of ZeroMQ are
  // edge-triggered, so to wait for them alone would lose wake-ups.
  std::vector<zmq_pollitem_t>& items = impl_->items;
  const int ready = zmq_poll(items.data(), static_cast<int>(items.size()), timeout_ms);
  if (ready >= 0) return ready > 0;
  for (zmq_pollitem_t& item : items) item.revents = 0;  // A signal; the caller comes again.
  return false;
}

bool Poller::spin(Tick timeout_us) {
  if (spin_us_ == 0 || timeout_us == 0) return false;
  if (spins_to_skip_ > 0) {
    --spins_to_skip_;
    return false;
  }
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::microseconds(std::min(spin_us_, timeout_us));
  do {
    if (poll(0)) {
      spins_in_vain_ = 0;
      return true;
    }
  } while (Clock::now() < until);
  // In vain: leave it out for a while, each time for twice as long.
  spins_in_vain_ = std::min(spins_in_vain_ + 1, kSpinBackoffMax);
  spins_to_skip_ = (1U << spins_in_vain_) - 1;
  return false;
}

}  // namespace epaxos::net
