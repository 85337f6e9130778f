#include "epaxos/programs/command_trace.h"

#include <algorithm>
#include <utility>

#include "epaxos/protocol/message_codec.h"
#include "net/bundle.h"

namespace epaxos {
namespace {

using protocol::MessageType;

template <class Message>
std::optional<InstanceId> instance_of(const net::Frame& frame, int rows) {
  Message message;
  if (!protocol::decode(frame.body, rows, message)) return std::nullopt;
  return message.instance;
}

/// Of a message that carries an instance on its way; nothing: it is another one.
std::optional<InstanceId> instance_in(const net::Frame& frame, int rows) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::kPreAccept:
      return instance_of<protocol::PreAccept>(frame, rows);
    case MessageType::kPreAcceptOk:
      return instance_of<protocol::PreAcceptOk>(frame, rows);
    case MessageType::kAccept:
      return instance_of<protocol::Accept>(frame, rows);
    case MessageType::kAcceptOk:
      return instance_of<protocol::AcceptOk>(frame, rows);
    case MessageType::kCommit:
      return instance_of<protocol::Commit>(frame, rows);
    case MessageType::kNack:
      return instance_of<protocol::Nack>(frame, rows);
    case MessageType::kRecover:
      return instance_of<protocol::Recover>(frame, rows);
    case MessageType::kRecoverOk:
      return instance_of<protocol::RecoverOk>(frame, rows);
    case MessageType::kValidate:
      return instance_of<protocol::Validate>(frame, rows);
    case MessageType::kValidateOk:
      return instance_of<protocol::ValidateOk>(frame, rows);
    default:
      return std::nullopt;
  }
}

std::string name_of(net::FrameType type) {
  switch (static_cast<MessageType>(type)) {
    case MessageType::kPreAccept:
      return "PreAccept";
    case MessageType::kPreAcceptOk:
      return "PreAcceptOk";
    case MessageType::kAccept:
      return "Accept";
    case MessageType::kAcceptOk:
      return "AcceptOk";
    case MessageType::kCommit:
      return "Commit";
    case MessageType::kNack:
      return "Nack";
    case MessageType::kRecover:
      return "Recover";
    case MessageType::kRecoverOk:
      return "RecoverOk";
    case MessageType::kValidate:
      return "Validate";
    default:
      return "ValidateOk";
  }
}

std::string name_of(const CommandId& id) {
  return "command " + std::to_string(id.session) + ":" + std::to_string(id.number);
}

}  // namespace

CommandTrace::CommandTrace(sim::Cluster& cluster, const CommandTraceOptions& options, Trace& trace)
    : cluster_(cluster), options_(options), trace_(trace) {
  for (const ReplicaId replica : cluster.replicas()) {
    std::string name = options_.title.empty() ? "" : options_.title + ": ";
    name += to_string(replica);
    if (replica.value() < options_.sites.size()) name += " " + options_.sites[replica.value()];
    processes_.push_back(trace_.add_process(name));
    trace_.name(messages_of(replica), "messages, executions");
    free_rows_.emplace_back();
    rows_.push_back(1);
  }
}

void CommandTrace::end() {
  for (Life& life : lives_) draw(life, cluster_.now(), false);
}

// --- Rows of a replica: a command has one of its own as long as it lives there -------------------

int CommandTrace::take_row(ReplicaId owner) {
  std::map<int, Tick>& free = free_rows_[owner.value()];
  // A slice is drawn to the end of the microsecond in which its command ran.
  const auto found =
      std::ranges::find_if(free, [this](const auto& each) { return each.second < cluster_.now(); });
  if (found == free.end()) {
    const int row = ++rows_[owner.value()];
    trace_.name({process_of(owner), row}, "commands " + std::to_string(row - 1));
    return row;
  }
  const int row = found->first;
  free.erase(found);
  return row;
}

void CommandTrace::give_row(const Life& life) {
  free_rows_[life.owner.value()][life.row] = life.end;
}

// --- What happens --------------------------------------------------------------------------------

void CommandTrace::on_proposed(ReplicaId replica, const Proposal& proposal) {
  if (cluster_.now() < options_.from_us || lives_.size() >= options_.commands_max) return;
  if (!by_command_.emplace(proposal.command.id, lives_.size()).second) return;
  Life life;
  life.id = proposal.command.id;
  life.owner = replica;
  life.row = take_row(replica);
  life.proposed_at = cluster_.now();
  lives_.push_back(std::move(life));
  ++open_;
}

void CommandTrace::on_stopped(ReplicaId replica) {
  for (Life& life : lives_) {
    if (life.owner == replica) draw(life, cluster_.now(), false);
  }
}

template <class Visit>
void CommandTrace::read(ReplicaId to, Bytes bundle, Visit visit) {
  if (!options_.is_epaxos || !watches()) return;
  net::BundleReader reader(cluster_.at_replica(to).identity(), cluster_.size());
  if (reader.open(bundle)) return;  // Damaged on its way, or for an earlier life.
  for (net::Frame frame; reader.next(frame);) visit(frame);
}

/// A proposal leaves its owner: its commands have an instance from now on.
void CommandTrace::learn_instance(const net::Frame& frame, ReplicaId owner) {
  protocol::PreAccept message;
  if (!protocol::decode(frame.body, cluster_.size(), message)) return;
  if (message.instance.row != owner || by_instance_.contains(message.instance)) return;
  std::vector<Command> commands;
  decode_block_commands(message.block, commands);
  for (const Command& command : commands) {
    Life* const life = life_of(command.id);
    if (life == nullptr || life->drawn) continue;
    life->instance = message.instance;
    life->sent_at = cluster_.now();
    by_instance_.emplace(message.instance, static_cast<std::size_t>(life - lives_.data()));
  }
}

void CommandTrace::on_sent(ReplicaId from, ReplicaId to, Bytes bundle, const sim::VirtualDisk&) {
  read(to, bundle, [&](const net::Frame& frame) {
    if (static_cast<MessageType>(frame.type) == MessageType::kPreAccept) {
      learn_instance(frame, from);
    }
    const auto id = instance_in(frame, cluster_.size());
    if (id && by_instance_.contains(*id)) left(frame, *id, from, to);
  });
}

void CommandTrace::left(const net::Frame& frame, const InstanceId& id, ReplicaId from,
                        ReplicaId to) {
  const Tick now = cluster_.now();
  under_way_[{frame.type, id, from, to}].push_back(now);
  const auto type = static_cast<MessageType>(frame.type);
  const auto [first, last] = by_instance_.equal_range(id);
  for (auto at = first; at != last; ++at) {
    Life& life = lives_[at->second];
    if (life.owner != from || life.drawn) continue;
    if (type == MessageType::kAccept && life.slow_at == 0) life.slow_at = now;
    if (type == MessageType::kCommit && life.commit_at == 0) life.commit_at = now;
  }
}

void CommandTrace::on_arrived(ReplicaId from, ReplicaId to, Bytes bundle, bool taken) {
  read(to, bundle, [&](const net::Frame& frame) {
    const auto id = instance_in(frame, cluster_.size());
    if (!id || !by_instance_.contains(*id)) return;
    if (taken) return came(frame, *id, from, to);
    const auto sent = under_way_.find({frame.type, *id, from, to});
    if (sent != under_way_.end() && !sent->second.empty()) sent->second.pop_back();
  });
}

void CommandTrace::came(const net::Frame& frame, const InstanceId& id, ReplicaId from,
                        ReplicaId to) {
  const auto sent = under_way_.find({frame.type, id, from, to});
  if (sent == under_way_.end() || sent->second.empty()) return;  // A copy that the network made.
  const Tick left_at = sent->second.front();
  sent->second.erase(sent->second.begin());
  Life& life = lives_[by_instance_.find(id)->second];
  const Tick now = cluster_.now();
  const std::string what = name_of(frame.type) + " " + to_string(id);
  if (static_cast<MessageType>(frame.type) == MessageType::kCommit) {
    commit_came_.try_emplace({id, to}, now);
    if (to == life.owner && life.commit_at == 0) life.commit_at = now;
  }
  // At its owner the command has a row of its own, as long as it lives; elsewhere its messages are
  // marks in the row of all messages.
  const auto end_of = [&](ReplicaId replica, Tick at) {
    const bool lives =
        replica == life.owner && at >= life.proposed_at && (!life.drawn || at <= life.end);
    if (lives) return track_of(life);
    trace_.slice(messages_of(replica), at, at + 1, what);
    return messages_of(replica);
  };
  const Trace::Track begin = end_of(from, left_at);
  const Trace::Track end = end_of(to, now);
  trace_.arrow(begin, left_at, end, now, what);
}

void CommandTrace::on_executed(ReplicaId replica, const Command& command, Bytes) {
  Life* const life = life_of(command.id);
  if (life == nullptr || !life->executed.insert(replica).second) return;
  const Tick now = cluster_.now();
  if (life->executed.size() == static_cast<std::size_t>(cluster_.size())) --open_;
  if (replica == life->owner) return draw(*life, now, true);
  const bool has_instance = life->instance.slot > Slot();
  const std::string what =
      "executes " + (has_instance ? to_string(life->instance) : name_of(life->id));
  trace_.slice(messages_of(replica), now, now + 1, what);
  const auto commit = commit_came_.find({life->instance, replica});
  if (commit != commit_came_.end()) {
    trace_.arrow(messages_of(replica), commit->second, messages_of(replica), now, what);
  } else if (!options_.is_epaxos) {
    trace_.arrow(track_of(*life), life->proposed_at, messages_of(replica), now, what);
  }
}

/// Its slice at its owner, with what it consists of.
void CommandTrace::draw(Life& life, Tick end, bool has_ended) {
  if (life.drawn) return;
  life.drawn = true;
  life.end = end;
  give_row(life);
  const bool has_instance = life.instance.slot > Slot();
  std::string name = has_instance ? to_string(life.instance) : name_of(life.id);
  if (!has_ended) name += ", not executed";
  const Tick committed = std::min(life.commit_at == 0 ? end : life.commit_at, end);
  Trace::Words words{{"command", name_of(life.id)}, {"proposed by", to_string(life.owner)}};
  if (life.slow_at != 0) words.emplace_back("path", "slow");
  trace_.slice(track_of(life), life.proposed_at, end + 1, name, std::move(words));
  if (!has_instance) return;
  const Tick second = std::min(life.slow_at == 0 ? committed : life.slow_at, committed);
  trace_.slice(track_of(life), life.proposed_at, second, "first round");
  if (life.slow_at != 0) trace_.slice(track_of(life), second, committed, "second round");
  if (life.commit_at != 0) trace_.slice(track_of(life), committed, end + 1, "execution");
}

CommandTrace::Life* CommandTrace::life_of(const CommandId& id) {
  const auto found = by_command_.find(id);
  return found == by_command_.end() ? nullptr : &lives_[found->second];
}

}  // namespace epaxos
