#include "epaxos/runtime/host.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "deps/types/mutant.h"

namespace epaxos::runtime {
namespace {

/// Commands given to the state machine at once.
constexpr std::size_t kApplyMax = 128;  // Their replies are held together.
/// Commands that only read are run so many at once at first, and until the answers of a turn have
/// so many bytes.
constexpr std::size_t kReadsAtOnce = 4;
constexpr std::size_t kReadBytesTurn = std::size_t{2} << 20;
/// Steps of one turn; each but the first follows from what became durable in the one before.
constexpr int kStepsMax = 16;
/// What a record takes on disk beside its value, about.
constexpr std::uint64_t kRecordOverhead = 32;

/// No disk writes so many batches; it leaves room for those to come.
constexpr std::uint64_t kDurableMax = std::uint64_t{1} << 62;

std::size_t frame_counter(net::FrameType type) {
  return std::min<std::size_t>(type, HostCounters::kFrameTypes - 1);
}

/// Whether a turn that is closed has anything left to do when its gate opens.
bool waits_for_disk(const Effects& turn) {
  const auto gated = [](const SendEffect& send) { return send.release == Release::kGated; };
  return !turn.executions.empty() || std::ranges::any_of(turn.sends, gated);
}

}  // namespace

Host::Host(const HostConfig& config, Core& core, storage::Store& store, StateMachine& machine,
           PeerSink& peers)
    : config_(config),
      core_(core),
      store_(store),
      machine_(machine),
      peers_(peers),
      session_(Pending::anonymous_session(config.identity.incarnation, config.identity.self)),
      effects_(gate_.fresh()),
      reader_(config.identity, config.replica_count),
      outgoing_(static_cast<std::size_t>(config.replica_count)),
      lives_(static_cast<std::size_t>(config.replica_count)),
      images_({config.durability != Durability::kNone, config.image_log_bytes,
               config.image_turn_bytes, config.image_pause_us, config.identity},
              core, store, machine, sessions_) {
  check(config.replica_count >= 1 && config.replica_count <= kReplicasMax,
        "a group has 1 .. 9 replicas");
  check(config.identity.self.value() < config.replica_count, "a host is a member of its group");
  effects_->batch = 1;
}

Result<void> Host::start(Tick now) {
  check(counters_.turns == 0 && !in_turn_, "a host is started once, before its first turn");
  // At "none" the store keeps nothing of the core's.
  if (config_.durability != Durability::kNone) {
    core_.read_from({[this](const RecordKey& key, std::vector<std::byte>& value) {
                       return read_back(key, value);
                     },
                     [this] { return store_.durable(); }});
  }
  if (const Result<void> restored = images_.restore_coverage(); !restored) return restored;
  const Result<void> loaded = store_.load([this](const RecordKey& key, Bytes value) {
    if (images_.note_record(key)) return Result<void>();
    // The next start would read it again, unless there is an image by then.
    if (key.kind != kRecordKindMax) images_.note_log(value.size() + kRecordOverhead);
    return key.kind == kRecordKindMax ? restore_count(key, value) : core_.restore(key, value);
  });
  if (!loaded) return loaded;
  if (const Result<void> restored = images_.restore_state(); !restored) return restored;
  if (config_.unsafe_rejoin) durable_before_ += std::uint64_t{1} << 48;
  identity_.durable_at_start = durable_before_;
  now_ = now;
  in_turn_ = true;
  ++counters_.turns;
  effects_->now = now;
  images_.tick(now);
  core_.start(now, *effects_);
  end_turn();
  start_batch_ = submitted_;
  return {};
}

// --- A turn ------------------------------------------------------------------------------------

void Host::begin_turn(Tick now) {
  check(!in_turn_, "a turn began inside of another one");
  check(now >= now_, "the clock of a host went back");
  now_ = now;
  in_turn_ = true;
  if (stopped_) return;
  ++counters_.turns;
  effects_->now = now;
  images_.tick(now);
  if (!images_.paused()) core_.tick(now, *effects_);
  follow_store();
  if (pending_.next_deadline() <= now) expire_deadlines();
  if (next_care_ <= now && !stopped_) care_for_sessions();
}

void Host::receive_bundle(Bytes bundle) {
  check(in_turn_, "a bundle was given to a host between two turns");
  if (stopped_) return;
  if (const auto refusal = reader_.open(bundle)) return note_stranger(*refusal);
  const net::BundleHeader& header = reader_.header();
  const bool is_old = header.incarnation < lives_[header.from.value()].incarnation;
  if (is_old && !mutant(Mutant::kOldLifeHeard)) {
    return refusals_.count(net::Refusal::kOldIncarnation);
  }
  note_life(header);
  strangers_ = strangers_.without(header.from);
  ++counters_.bundles_in;
  counters_.bytes_in += bundle.size();
  net::Frame frame;
  while (reader_.next(frame)) {
    ++counters_.frames_in[frame_counter(frame.type)];
    if (Images::is_mine(frame.type)) {
      images_.receive(header.from, frame, *effects_);
    } else if (!images_.paused()) {
      core_.receive(header.from, frame, *effects_);
    }
  }
}

/// One of another cluster may only have a wrong address: who was heard before is not taken for it.
void Host::note_stranger(net::Refusal refusal) {
  refusals_.count(refusal);
  const auto stranger = reader_.stranger();
  if (!stranger) return;
  const bool was_heard = lives_[stranger->value()].incarnation > 0;
  if (refusal == net::Refusal::kWrongConfiguration || !was_heard) strangers_.add(*stranger);
}

void Host::note_life(const net::BundleHeader& header) {
  PeerLife& life = lives_[header.from.value()];
  if (header.incarnation > life.incarnation) {
    life.incarnation = header.incarnation;
    life.durable_before = life.durable;
  }
  life.durable = std::max(life.durable, header.durable_sequence);
  // Below "sync" a batch is told before it is on disk, so there only a life that begins with
  // nothing shows: each one at "none", and one whose directory was emptied.
  const bool forgot = config_.durability == Durability::kSync
                          ? header.durable_at_start < life.durable_before
                          : header.durable_at_start == 0 && life.durable_before > 0;
  if (!forgot || life.forgot) return;
  life.forgot = true;
  core_.peer_forgot(header.from);
}

/// How many batches were durable in all lives of this replica: with each of them, so that a disk
/// that is set back shows.
void Host::log_count() {
  Slice value;
  const std::uint64_t count = durable_before_ + effects_->batch;
  std::memcpy(effects_->allocate(sizeof count, value).data(), &count, sizeof count);
  effects_->put(kCountKey, value);
}

bool Host::read_back(const RecordKey& key, std::vector<std::byte>& value) {
  const Result<bool> found = store_.read(key, value);
  if (!found && unreadable_.empty()) unreadable_ = found.error().message;
  return found && *found;
}

Result<void> Host::restore_count(const RecordKey& key, Bytes value) {
  if (key == kCountKey && value.size() == sizeof durable_before_) {
    std::memcpy(&durable_before_, value.data(), sizeof durable_before_);
  } else {
    durable_before_ = kDurableMax + 1;
  }
  if (durable_before_ <= kDurableMax) return {};
  return fail(ErrorCode::kCorrupted,
              "the record of how many batches were written makes no sense; replace this replica, "
              "or restore its whole directory");
}

void Host::end_turn() {
  check(in_turn_, "a turn ended that had not begun");
  if (!stopped_) {
    if (!images_.paused()) {
      give_proposals();
      core_.end_of_turn(*effects_);
    }
    images_.end_turn(*effects_);
    close_step();
    // Below "sync" a batch counts as durable when it is submitted, and what that makes possible
    // belongs to the same turn.
    int steps = 1;
    while (release_open() && steps < kStepsMax) {
      if (!images_.paused()) core_.end_of_turn(*effects_);
      close_step();
      ++steps;
    }
    unfinished_ = steps == kStepsMax;
    flush_all();  // The network works while the machine does.
    if (!stopped_) run_reads();
    execute_ready();
  }
  tell_refused();  // What was answered of this state, before that of an image takes its place.
  if (!stopped_) care_for_images();
  in_turn_ = false;
}

void Host::care_for_images() {
  // Sessions may have come with an image, and not by commands.
  if (next_care_ == kNever && !sessions_.empty()) next_care_ = now_;
  // What the records say is executed first: an image of the state before would save nothing.
  if (told_durable_ < start_batch_) return;
  const Result<void> cared = images_.after_executions(at_boundary_, gate_.held() == 0, *effects_);
  if (!cared) {
    stop(
        "the state machine of this replica took over the image of another one and did not read "
        "it to its end, so nobody knows what it holds; a new start begins with what was before: " +
        cared.error().message);
  }
}

/// Tells the core about batches that have become durable, and about a disk that is full. Returns
/// whether the core was told anything that may have further effects.
bool Host::follow_store() {
  if (!unreadable_.empty()) {
    stop("the disk of this replica does not give back what was written: " + unreadable_);
    return false;
  }
  const storage::StoreState state = store_.state();
  if (state == storage::StoreState::kFailed) {
    stop("the disk of this replica failed, so it can promise nothing any more: " + store_.error());
    return false;
  }
  const bool full = state == storage::StoreState::kFull;
  if (full != storage_full_) {
    storage_full_ = full;
    core_.storage_full(full);
  }
  const BatchNumber batch = durable();
  check(batch <= submitted_, "a batch became durable that was never submitted");
  if (batch <= told_durable_) return false;
  told_durable_ = batch;
  core_.durable(batch, *effects_);
  return true;
}

BatchNumber Host::durable() const {
  return config_.durability == Durability::kSync ? store_.durable() : submitted_;
}

/// Submits what the core has logged and puts what rests on it behind the gate.
void Host::close_step() {
  if (!effects_->records.empty()) {
    check(effects_->batch == submitted_ + 1, "batches are submitted in the order of their numbers");
    submitted_ = effects_->batch;
    ++counters_.batches;
    counters_.records += effects_->records.size();
    std::uint64_t logged = 0;
    for (const RecordEffect& record : effects_->records) {
      counters_.record_bytes += record.value.size;
      if (record.key.kind != kRecordKindMax) logged += record.value.size + kRecordOverhead;
    }
    images_.note_log(logged);
    if (config_.durability == Durability::kSync) log_count();
    store_.submit(*effects_);
  }
  if (effects_->image_wish) images_.wish(*effects_->image_wish, *effects_);
  send_frames(*effects_, Release::kNow);
  std::unique_ptr<Effects> next = gate_.fresh();
  next->batch = submitted_ + 1;
  next->now = now_;
  std::unique_ptr<Effects> closed = std::exchange(effects_, std::move(next));
  tell_rejections(*closed);
  tell_superseded(*closed);
  take_reads(*closed);
  if (stopped_) return;
  if (mutant(Mutant::kReplyBeforeDurable)) {
    execute(*closed);
    closed->executions.clear();
  }
  if (waits_for_disk(*closed)) {
    gate_.hold(mutant(Mutant::kGateOpensOnSubmit) ? 0 : submitted_, std::move(closed));
  } else {
    gate_.recycle(std::move(closed));
  }
}

/// Sends what every turn with an open gate says, and tells the core what is durable now. Returns
/// whether the core was told anything that may have further effects in this turn.
bool Host::release_open() {
  if (stopped_) return false;
  const bool news = follow_store();
  while (!stopped_) {
    std::unique_ptr<Effects> turn = gate_.take_open(told_durable_);
    if (turn == nullptr) break;
    send_frames(*turn, Release::kGated);
    if (turn->executions.empty()) {
      gate_.recycle(std::move(turn));
    } else {
      ready_.push_back(std::move(turn));
    }
  }
  return news && !stopped_;
}

Tick Host::next_deadline() const {
  if (!refused_.empty() || !answered_.empty()) return now_;
  if (stopped_) return kNever;
  const bool has_proposals = !proposals_.empty() && !images_.paused();
  if (unfinished_ || has_proposals || !reads_.empty() || !effects_->empty()) return now_;
  const Tick core = images_.paused() ? kNever : core_.next_deadline();
  return std::max(now_,
                  std::min({core, images_.next_deadline(), pending_.next_deadline(), next_care_}));
}

Result<InstanceHistory> Host::history(const InstanceId& id) const {
  auto known = core_.history(id);
  if (known) known->now = now_;
  return known;
}

Result<std::vector<InstanceHistory>> Host::slowest(std::size_t most) const {
  auto known = core_.slowest(most);
  if (!known) return known;
  for (InstanceHistory& each : *known) each.now = now_;
  return known;
}

void Host::status(HostStatus& out) const {
  out.counters = counters_;
  out.refusals = refusals_;
  out.strangers = strangers_;
  out.core = {};
  core_.status(out.core);
  out.store = store_.state();
  out.stopped = stopped_;
  out.pending = pending_.size();
  out.held_turns = gate_.held();
  out.submitted_batch = submitted_;
  out.durable_batch = told_durable_;
  out.applied_up_to = applied_;
  out.machine_digest = machine_.digest();
  out.sessions_open = sessions_.open();
  out.session_replies = sessions_.replies();
  out.image = images_.status();
}

// --- Sends -------------------------------------------------------------------------------------

void Host::send_frames(const Effects& turn, Release release) {
  for (const SendEffect& send : turn.sends) {
    if (send.release == release) send_frame(send, turn.view(send.body));
  }
}

void Host::send_frame(const SendEffect& send, Bytes body) {
  check(send.to >> config_.replica_count == 0, "a core wrote to a replica outside of its group");
  check((send.to >> config_.identity.self.value() & 1) == 0, "a core wrote to itself");
  const net::Frame frame{send.group, send.epoch, send.type, body};
  for (std::size_t to = 0; to < outgoing_.size(); ++to) {
    if ((send.to >> to & 1) == 0) continue;
    Outgoing& out = outgoing_[to];
    if (out.open && !out.writer.fits(frame)) flush(replica_at(to));
    if (!out.open) {
      out.writer.start(identity_, replica_at(to), durable_before_ + told_durable_);
      out.open = true;
    }
    out.writer.append(frame);
    ++counters_.frames_out[frame_counter(send.type)];
  }
}

void Host::flush(ReplicaId to) {
  Outgoing& out = outgoing_[to.value()];
  if (!out.open) return;
  out.open = false;
  const Bytes bundle = out.writer.bytes();
  if (!peers_.send(to, bundle)) {
    ++counters_.bundles_dropped;
    return;
  }
  ++counters_.bundles_out;
  counters_.bytes_out += bundle.size();
}

void Host::flush_all() {
  for (std::size_t to = 0; to < outgoing_.size() && !stopped_; ++to) flush(replica_at(to));
}

// --- Executions --------------------------------------------------------------------------------

/// Applies what is released, in order. What a core answers to applied() belongs to the next turn.
void Host::execute_ready() {
  for (std::unique_ptr<Effects>& turn : ready_) {
    if (stopped_) break;
    execute(*turn);
    gate_.recycle(std::move(turn));
  }
  ready_.clear();
}

void Host::execute(const Effects& turn) {
  for (const ExecutionEffect& execution : turn.executions) {
    cut(execution);
    if (commands_.size() >= kApplyMax) apply_commands();
    if (stopped_) return;
  }
  apply_commands();
  at_boundary_ = turn.ends_component;
  if (!stopped_) core_.applied(applied_, *effects_);
}

void Host::cut(const ExecutionEffect& execution) {
  check(execution.position == applied_ + 1, "executions leave a core in order, without gaps");
  applied_ = execution.position;
  // The core has checked every payload when it got it.
  check(decode_block_footprint(execution.block).has_value(), "a payload no longer decodes");
  const std::size_t first = commands_.size();
  decode_block_commands(execution.block, commands_);
  for (std::size_t i = first; i < commands_.size(); ++i) {
    const std::uint64_t session = commands_[i].id.session;
    const bool asks_table = is_session_request(commands_[i]) || is_session_control(session);
    if (asks_table || session == session_) {
      own_.push_back({i, execution.committed_at, execution.own});
    }
    any_session_ = any_session_ || asks_table;
  }
  ++counters_.instances_executed;
}

void Host::apply_commands() {
  if (commands_.empty()) return;
  if (any_session_) {
    apply_with_sessions();
  } else {
    run(commands_);
    for (const Own& own : own_) {
      tell_own(commands_[own.index].id, replies_[own.index], own.committed_at);
      if (stopped_) break;
    }
  }
  commands_.clear();
  own_.clear();
  any_session_ = false;
}

void Host::run(std::span<const Command> commands) {
  replies_.clear();
  machine_.apply(commands, replies_);
  check(replies_.size() == commands.size(), "a state machine gives one reply a command");
  counters_.commands_executed += commands.size();
}

void Host::take_reads(const Effects& turn) {
  for (const ReadEffect& read : turn.reads) {
    const Bytes payload = turn.view(read.payload);
    reads_.push_back({read.command, {payload.begin(), payload.end()}});
  }
}

/// What the answers must show is applied, so they do not wait for the disk. Answers may be large,
/// so a turn gives some of them; what the others show is only newer.
void Host::run_reads() {
  check(commands_.empty(), "reads are run in the midst of a batch");
  std::size_t bytes = 0;
  std::size_t at_once = kReadsAtOnce;
  while (!reads_.empty() && !stopped_ && bytes < kReadBytesTurn) {
    const std::size_t count = std::min(reads_.size(), at_once);
    at_once = std::min(2 * at_once, kApplyMax);  // Small answers so far.
    for (std::size_t i = 0; i < count; ++i) {
      commands_.push_back({reads_[i].id, 0, true, reads_[i].payload});
    }
    replies_.clear();
    machine_.read(commands_, replies_);
    check(replies_.size() == commands_.size(), "a state machine gives one reply a command");
    counters_.reads_run += commands_.size();
    for (std::size_t i = 0; i < commands_.size() && !stopped_; ++i) {
      bytes += replies_[i].size();
      tell_own(commands_[i].id, replies_[i], now_);
    }
    commands_.clear();
    reads_.erase(reads_.begin(), reads_.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

void Host::tell_own(CommandId id, Bytes reply, Tick committed_at) {
  const Completion done = pending_.take(id.number);
  if (done) {
    tell_executed(done, reply, committed_at);
  } else {
    ++counters_.commands_late;  // Its proposer was told "unknown".
  }
}

void Host::tell_executed(const Completion& done, Bytes reply, Tick committed_at) {
  ++counters_.commands_completed;
  done({.kind = OutcomeKind::kExecuted,
        .reply = reply,
        .code = {},
        .reason = {},
        .execution_wait_us = now_ - std::min(now_, committed_at)});
}

}  // namespace epaxos::runtime
