#include "epaxos/programs/command_trace.h"

#include <algorithm>
#include <utility>

#include "epaxos/protocol/message_codec.h"

namespace epaxos {
namespace {

using protocol::MessageType;

template <class Message>
std::optional<InstanceId> instance_of(const net::Frame& frame, int rows) {
  Message message;
  if (!protocol::decode(frame.body, rows, message)) return std::nullopt;
  return message.instance;
}

std::string name_of(const CommandId& id) {
  return "command " + std::to_string(id.session) + ":" + std::to_string(id.number);
}

std::string name_of(const TraceEvent& event) {
  return std::string(protocol::name_of(static_cast<MessageType>(event.type))) + " " +
         to_string(event.instance);
}

}  // namespace

std::optional<InstanceId> traced_instance(const net::Frame& frame, int rows) {
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

std::vector<CommandId> proposed_commands(const net::Frame& frame, int rows) {
  if (static_cast<MessageType>(frame.type) != MessageType::kPreAccept) return {};
  protocol::PreAccept message;
  if (!protocol::decode(frame.body, rows, message)) return {};
  if (!decode_block_footprint(message.block)) return {};
  std::vector<Command> commands;
  decode_block_commands(message.block, commands);
  std::vector<CommandId> ids;
  for (const Command& command : commands) ids.push_back(command.id);
  return ids;
}

CommandTrace::CommandTrace(int replica_count, const CommandTraceOptions& options, Trace& trace)
    : options_(options), trace_(trace) {
  for (int index = 0; index < replica_count; ++index) {
    const ReplicaId replica = replica_at(index);
    std::string name = options_.title.empty() ? "" : options_.title + ": ";
    name += to_string(replica);
    if (replica.value() < options_.sites.size()) name += " " + options_.sites[replica.value()];
    processes_.push_back(trace_.add_process(name));
    trace_.name(messages_of(replica), "messages, executions");
    free_rows_.emplace_back();
    rows_.push_back(1);
  }
}

void CommandTrace::take(const TraceEvent& event) {
  switch (event.kind) {
    case TraceEvent::Kind::kProposed:
      return proposed(event);
    case TraceEvent::Kind::kInstance:
      return learn_instance(event);
    case TraceEvent::Kind::kSent:
      return left(event);
    case TraceEvent::Kind::kLost:
      return lost(event);
    case TraceEvent::Kind::kArrived:
      return came(event);
    case TraceEvent::Kind::kExecuted:
      return executed(event);
    case TraceEvent::Kind::kStopped:
      return stopped(event);
  }
}

void CommandTrace::end(Tick now) {
  for (Life& life : lives_) draw(life, now, false);
}

// --- Rows of a replica: a command has one of its own as long as it lives there -------------------

int CommandTrace::take_row(ReplicaId owner, Tick now) {
  std::map<int, Tick>& free = free_rows_[owner.value()];
  // A slice is drawn to the end of the microsecond in which its command ran.
  const auto found =
      std::ranges::find_if(free, [now](const auto& each) { return each.second < now; });
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

void CommandTrace::proposed(const TraceEvent& event) {
  if (event.at < options_.from_us || lives_.size() >= options_.commands_max) return;
  if (!by_command_.emplace(event.command, lives_.size()).second) return;
  Life life;
  life.id = event.command;
  life.owner = event.replica;
  life.row = take_row(event.replica, event.at);
  life.proposed_at = event.at;
  lives_.push_back(std::move(life));
  ++open_;
}

void CommandTrace::stopped(const TraceEvent& event) {
  for (Life& life : lives_) {
    if (life.owner == event.replica) draw(life, event.at, false);
  }
}

void CommandTrace::learn_instance(const TraceEvent& event) {
  Life* const life = life_of(event.command);
  if (life == nullptr || life->drawn) return;
  const auto place = static_cast<std::size_t>(life - lives_.data());
  const auto [first, last] = by_instance_.equal_range(event.instance);
  if (std::any_of(first, last, [place](const auto& each) { return each.second == place; })) return;
  life->instance = event.instance;
  by_instance_.emplace(event.instance, place);
}

void CommandTrace::left(const TraceEvent& event) {
  const auto [first, last] = by_instance_.equal_range(event.instance);
  if (first == last) return;
  under_way_[key_of(event)].push_back(event.at);
  const auto type = static_cast<MessageType>(event.type);
  for (auto at = first; at != last; ++at) {
    Life& life = lives_[at->second];
    if (life.owner != event.replica || life.drawn) continue;
    if (type == MessageType::kAccept && life.slow_at == 0) life.slow_at = event.at;
    if (type == MessageType::kCommit && life.commit_at == 0) life.commit_at = event.at;
  }
}

void CommandTrace::lost(const TraceEvent& event) {
  const auto sent = under_way_.find(key_of(event));
  if (sent != under_way_.end() && !sent->second.empty()) sent->second.pop_back();
}

void CommandTrace::came(const TraceEvent& event) {
  const auto sent = under_way_.find(key_of(event));
  if (sent == under_way_.end() || sent->second.empty()) return;  // A copy that the network made.
  const Tick left_at = sent->second.front();
  sent->second.erase(sent->second.begin());
  Life& life = lives_[by_instance_.find(event.instance)->second];
  const std::string what = name_of(event);
  if (static_cast<MessageType>(event.type) == MessageType::kCommit) {
    commit_came_.try_emplace({event.instance, event.to}, event.at);
    if (event.to == life.owner && life.commit_at == 0) life.commit_at = event.at;
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
  const Trace::Track begin = end_of(event.replica, left_at);
  const Trace::Track end = end_of(event.to, event.at);
  trace_.arrow(begin, left_at, end, event.at, what);
}

void CommandTrace::executed(const TraceEvent& event) {
  Life* const life = life_of(event.command);
  if (life == nullptr || !life->executed.insert(event.replica).second) return;
  const ReplicaId replica = event.replica;
  const Tick now = event.at;
  if (life->executed.size() == processes_.size()) --open_;
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
