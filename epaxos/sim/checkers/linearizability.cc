#include "epaxos/sim/checkers/linearizability.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "deps/types/check.h"
#include "epaxos/sim/checkers/key_value_model.h"

namespace epaxos::sim {
namespace {

/// An operation with its bytes decoded; views into it.
struct Decoded {
  const Operation* operation = nullptr;
  kv::KeyValueCommand command;
  kv::KeyValueReply reply;
};

std::vector<std::string_view> keys_of(const kv::KeyValueCommand& command) {
  if (command.entries.empty()) return {command.key};
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : command.entries) keys.push_back(key);
  return keys;
}

/// Sets of keys that commands connect.
class Components {
 public:
  void connect(const std::vector<std::string_view>& keys) {
    for (const std::string_view key : keys) parents_[root(number(key))] = root(number(keys[0]));
  }
  std::size_t of(std::string_view key) { return root(number(key)); }

 private:
  std::size_t number(std::string_view key) {
    const auto [at, is_new] = numbers_.try_emplace(key, parents_.size());
    if (is_new) parents_.push_back(at->second);
    return at->second;
  }
  std::size_t root(std::size_t at) {
    while (parents_[at] != at) at = parents_[at] = parents_[parents_[at]];
    return at;
  }

  std::map<std::string_view, std::size_t> numbers_;
  std::vector<std::size_t> parents_;
};

/// Whether the operations in the order of their hints explain everything.
bool hints_explain(std::vector<const Decoded*> operations, std::string& what) {
  std::ranges::sort(operations, {}, [](const Decoded* each) { return each->operation->hint; });
  KeyValueModel model;
  std::uint64_t latest_call = 0;
  for (const Decoded* each : operations) {
    const std::string key(keys_of(each->command).front());
    if (each->operation->returned < latest_call) {
      what = "a command on \"" + key + "\" was answered before one was proposed that precedes it";
      return false;
    }
    latest_call = std::max(latest_call, each->operation->called);
    KeyValueModel::Undo undo;
    if (!same_reply(model.apply(each->command, undo), each->reply)) {
      what = "a command on \"" + key + "\" has a reply that the ones before it do not explain";
      return false;
    }
  }
  return true;
}

/// Wing and Gong's search: calls and returns in their order as a list, from which an operation is
/// taken when it is the next one of the order that is tried.
class Search {
 public:
  explicit Search(const std::vector<const Decoded*>& operations) : operations_(operations) {
    std::vector<std::size_t> order(2 * operations.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t entry) { return time(entry); });
    next_.resize(order.size() + 1);
    previous_.resize(order.size() + 1);
    std::size_t last = head();
    for (const std::size_t entry : order) {
      link(last, entry);
      last = entry;
    }
    link(last, head());
  }

  Verdict run(std::uint64_t steps_max) {
    std::size_t at = next_[head()];
    for (std::uint64_t steps = 0; next_[head()] != head(); ++steps) {
      if (steps == steps_max) return Verdict::kUndecided;
      if (is_call(at)) {
        at = take(at / 2) ? next_[head()] : next_[at];
      } else {
        // Its operation should have taken effect by now.
        if (taken_.empty()) return Verdict::kNotLinearizable;
        at = give_back();
      }
    }
    return Verdict::kLinearizable;
  }

 private:
  struct Taken {
    std::size_t operation = 0;
    KeyValueModel::Undo undo;
  };

  // Entry 2i is the call of operation i, 2i + 1 its return.
  [[nodiscard]] std::size_t head() const { return 2 * operations_.size(); }
  [[nodiscard]] static bool is_call(std::size_t entry) { return entry % 2 == 0; }
  [[nodiscard]] std::uint64_t time(std::size_t entry) const {
    const Operation& operation = *operations_[entry / 2]->operation;
    return is_call(entry) ? operation.called : operation.returned;
  }

  void link(std::size_t one, std::size_t other) {
    next_[one] = other;
    previous_[other] = one;
  }
  void remove(std::size_t entry) { link(previous_[entry], next_[entry]); }
  void insert(std::size_t entry) {
    next_[previous_[entry]] = entry;
    previous_[next_[entry]] = entry;
  }

  /// Lets an operation take effect now, unless its reply says otherwise or this was tried.
  bool take(std::size_t operation) {
    Taken taken{operation, {}};
    const Decoded& each = *operations_[operation];
    const bool fits = same_reply(model_.apply(each.command, taken.undo), each.reply);
    const std::uint64_t set = taken_hash_ ^ mix64(operation);
    if (!fits || !tried_.emplace(set, model_.hash()).second) {
      model_.take_back(taken.undo);
      return false;
    }
    taken_hash_ = set;
    remove(2 * operation);
    remove(2 * operation + 1);
    taken_.push_back(std::move(taken));
    return true;
  }

  /// Takes the last one back; returns what is to be tried instead.
  std::size_t give_back() {
    const Taken last = std::move(taken_.back());
    taken_.pop_back();
    model_.take_back(last.undo);
    taken_hash_ ^= mix64(last.operation);
    insert(2 * last.operation + 1);
    insert(2 * last.operation);
    return next_[2 * last.operation];
  }

  const std::vector<const Decoded*>& operations_;
  std::vector<std::size_t> next_;
  std::vector<std::size_t> previous_;
  std::vector<Taken> taken_;
  KeyValueModel model_;
  std::uint64_t taken_hash_ = 0;
  std::set<std::pair<std::uint64_t, std::uint64_t>> tried_;
};

Judgement judge_component(const std::vector<const Decoded*>& operations, std::uint64_t steps_max) {
  std::string what;
  if (hints_explain(operations, what)) return {};
  const Verdict verdict = Search(operations).run(steps_max);
  if (verdict == Verdict::kLinearizable) return {};
  const std::string many = " (one of " + std::to_string(operations.size()) + ")";
  if (verdict == Verdict::kUndecided) return {verdict, "undecided: " + what + many};
  return {verdict, "no order explains all replies: " + what + many};
}

}  // namespace

Judgement judge(std::span<const Operation> history, std::uint64_t steps_max) {
  std::vector<Decoded> decoded(history.size());
  Components components;
  for (std::size_t i = 0; i < history.size(); ++i) {
    decoded[i].operation = &history[i];
    const bool fine = decode_command(history[i].payload, decoded[i].command).has_value();
    check(fine, "a history holds a command that is none");
    Result<kv::KeyValueReply> reply = kv::decode_reply(history[i].reply);
    if (!reply) return {Verdict::kNotLinearizable, "a reply does not decode"};
    decoded[i].reply = *std::move(reply);
    components.connect(keys_of(decoded[i].command));
  }
  std::map<std::size_t, std::vector<const Decoded*>> groups;
  for (const Decoded& each : decoded) {
    groups[components.of(keys_of(each.command).front())].push_back(&each);
  }
  for (const auto& [component, operations] : groups) {
    Judgement judgement = judge_component(operations, steps_max);
    if (judgement.verdict != Verdict::kLinearizable) return judgement;
  }
  return {};
}

void LinearizabilityChecker::on_proposed(ReplicaId, const Proposal& proposal) {
  const auto [at, is_new] = commands_.try_emplace(proposal.command.id);
  if (!is_new) return;
  const Bytes payload = proposal.command.payload;
  at->second.operation.payload.assign(payload.begin(), payload.end());
  at->second.operation.called = ++now_;
}

void LinearizabilityChecker::on_executed(ReplicaId replica, const Command& command, Bytes reply) {
  const auto found = commands_.find(command.id);
  if (found == commands_.end()) return;
  std::uint64_t& reached = reached_[replica.value()];
  if (found->second.executed) {
    reached = std::max(reached, found->second.operation.hint);
    return;
  }
  // Conflicting commands run in one order everywhere, so whoever is first tells it.
  found->second.executed = true;
  reached = found->second.operation.hint = ++now_ * kReadsBetween;
  if (!found->second.told) found->second.operation.reply.assign(reply.begin(), reply.end());
}

void LinearizabilityChecker::on_read(ReplicaId replica, const Command& command, Bytes reply) {
  const auto found = commands_.find(command.id);
  if (found == commands_.end()) return;
  found->second.operation.hint = reached_[replica.value()] + ++now_ % kReadsBetween;
  found->second.operation.reply.assign(reply.begin(), reply.end());
}

void LinearizabilityChecker::on_imaged(ReplicaId replica, std::uint64_t image) {
  images_[image] = reached_[replica.value()];
}

void LinearizabilityChecker::on_loaded(ReplicaId replica, std::uint64_t image) {
  reached_[replica.value()] = images_[image];
}

void LinearizabilityChecker::on_acknowledged(ReplicaId, CommandId command, Bytes reply) {
  const auto found = commands_.find(command);
  if (found == commands_.end() || found->second.told) return;
  found->second.told = true;
  found->second.operation.returned = ++now_;
  found->second.operation.reply.assign(reply.begin(), reply.end());
}

std::vector<Operation> LinearizabilityChecker::history() const {
  std::vector<Operation> history;
  for (const auto& [id, facts] : commands_) {
    if (facts.executed || facts.told) history.push_back(facts.operation);
  }
  return history;
}

void LinearizabilityChecker::finish() {
  violations_.clear();
  const Judgement judgement = judge(history());
  if (judgement.verdict != Verdict::kLinearizable) violations_.push_back(judgement.what);
}

}  // namespace epaxos::sim
