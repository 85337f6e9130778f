#include "tests/process/counting_clients.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace epaxos::testing {
namespace {

constexpr std::size_t kInFlight = 4;
constexpr Tick kPollUs = 20'000;
constexpr auto kGivesUpAfter = std::chrono::seconds(120);
constexpr std::uint64_t kShared = 2;  // Counters and chains that all clients write, each.

kv::KeyValueReply reply_of(const Sent& sent) {
  auto reply = kv::decode_reply(sent.operation.reply);
  return reply ? *std::move(reply) : kv::KeyValueReply{kv::ReplyStatus::kValueTooLarge, {}, {}};
}

bool is_told(const Sent& sent) {
  return sent.outcome == OutcomeKind::kExecuted;
}

/// A place in the order of a key: behind the write number `writes`, reads in order of their calls.
std::uint64_t hint(std::uint64_t writes, const Sent& sent, bool is_write) {
  return writes << 32 | (is_write ? 0 : sent.operation.called + 1);
}

std::string verdict_on(const std::string& key, std::vector<sim::Operation> operations) {
  const sim::Judgement judgement = sim::judge(operations);
  if (judgement.verdict == sim::Verdict::kLinearizable) return {};
  return key + " is not linearizable: " + judgement.what + ". ";
}

void encode(const std::string& value, std::vector<std::byte>& out) {
  kv::encode_reply(kv::ReplyStatus::kOk, value, out);
}

std::uint64_t number(const std::string& text) {
  return text.empty() ? 0 : std::stoull(text);
}

}  // namespace

std::string counter_contradiction(const std::vector<Sent>& history, const std::string& last) {
  const std::uint64_t sum = number(last);
  std::vector<sim::Operation> operations;
  std::set<std::uint64_t> sums;
  std::vector<const Sent*> unknown;
  for (const Sent& sent : history) {
    const bool is_write = sent.kind == kv::Operation::kIncrement;
    if (is_write && sent.outcome == OutcomeKind::kUnknown) unknown.push_back(&sent);
    if (!is_told(sent)) continue;
    const kv::KeyValueReply reply = reply_of(sent);
    const std::uint64_t value = number(reply.value.value_or(""));
    if (is_write && (reply.status != kv::ReplyStatus::kOk || !sums.insert(value).second)) {
      return sent.key + ": two increments, or one that failed, were told " + std::to_string(value);
    }
    operations.push_back(sent.operation);
    operations.back().hint = hint(value, sent, is_write);
  }
  const std::string& key = history.front().key;
  const std::string told = std::to_string(sums.size());
  if (!sums.empty() && *sums.rbegin() > sum) {
    return key + " holds " + last + ", and an increment was told " + std::to_string(*sums.rbegin());
  }
  if (sum < sums.size() || sum > sums.size() + unknown.size()) {
    return key + " holds " + std::to_string(sum) + " after " + told + " acknowledged and " +
           std::to_string(unknown.size()) + " unknown increments";
  }
  // Sums that nobody was told are those of unknown increments: the first to the first.
  std::ranges::sort(unknown, {}, [](const Sent* each) { return each->operation.called; });
  auto next = unknown.begin();
  for (std::uint64_t value = 1; value <= sum; ++value) {
    if (sums.contains(value)) continue;
    operations.push_back((*next)->operation);
    operations.back().hint = hint(value, **next, true);
    encode(std::to_string(value), operations.back().reply);
    ++next;
  }
  return verdict_on(key, std::move(operations));
}

std::string chain_contradiction(const std::vector<Sent>& history, const std::string& last) {
  const std::string& key = history.front().key;
  std::map<std::string, const Sent*> writers;
  for (const Sent& sent : history) writers[sent.desired] = &sent;
  std::vector<const Sent*> chain;
  for (std::string value = last; !value.empty(); value = chain.back()->expected) {
    const auto writer = writers.find(value);
    if (writer == writers.end()) return key + " held " + value + ", which nobody wrote";
    if (writer->second->outcome == OutcomeKind::kRejected || chain.size() > history.size()) {
      return key + " held " + value + ", whose write was rejected";
    }
    chain.push_back(writer->second);
  }
  std::ranges::reverse(chain);
  std::map<std::string, std::uint64_t> places{{"", 0}};
  for (const Sent* each : chain) places[each->desired] = places.size();
  std::vector<sim::Operation> operations;
  for (const Sent& sent : history) {
    const auto place = places.find(sent.desired);
    const kv::KeyValueReply reply = is_told(sent) ? reply_of(sent) : kv::KeyValueReply{};
    const bool is_write =
        is_told(sent) ? reply.status == kv::ReplyStatus::kOk : place != places.end();
    if (!is_told(sent) && !is_write) continue;  // Nobody can tell whether it was compared.
    if (is_write != (place != places.end())) {
      return key + ": the write of " + sent.desired +
             (is_write ? " was acknowledged and is lost" : " was refused and is there");
    }
    const auto seen = is_write ? place : places.find(reply.value.value_or(""));
    if (seen == places.end()) return key + ": " + *reply.value + " was seen and is lost";
    operations.push_back(sent.operation);
    operations.back().hint = hint(seen->second, sent, is_write);
    if (!is_told(sent)) kv::encode_reply(kv::ReplyStatus::kOk, {}, operations.back().reply);
  }
  return verdict_on(key, std::move(operations));
}

/// One client: a closed loop on its own thread.
class CountingClients::Worker {
 public:
  Worker(const ClusterProcesses& cluster, CountingClients& all, const Options& options, int index)
      : cluster_(cluster), all_(all), options_(options), index_(index) {}

  void run() {
    options_.enter(index_);
    const int replica = options_.at[static_cast<std::size_t>(index_)];
    const auto client = cluster_.client_at(replica);
    client_ = client.get();
    if (options_.pinned) how_.replica = ReplicaId(static_cast<std::uint16_t>(replica));
    while (!all_.stop_ || client_->in_flight() > 0) {
      while (!all_.stop_ && client_->in_flight() < kInFlight) submit();
      client_->poll(kPollUs);
      if (refused_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      refused_ = false;
    }
    client_ = nullptr;
  }

  std::atomic<std::uint64_t> executed = 0;
  std::vector<Sent> history;  ///< Of the thread, until that has ended.

 private:
  void submit() {
    Sent sent;
    const std::string shared = std::to_string(random_() % kShared);
    const std::uint64_t dice = random_() % 100;
    if (dice >= static_cast<std::uint64_t>(options_.shared_percent)) {
      sent.kind = kv::Operation::kIncrement;
      sent.key = "own-" + std::to_string(index_);
    } else if (dice % 10 < 5) {
      sent.kind = dice % 10 == 0 ? kv::Operation::kGet : kv::Operation::kIncrement;
      sent.key = "counter-" + shared;
    } else {
      sent.kind = kv::Operation::kCompareAndSet;
      sent.key = "chain-" + shared;
      sent.expected = seen_[sent.key];
      sent.desired = std::to_string(index_) + "-" + std::to_string(history.size());
    }
    sent.operation.payload = payload_of(sent);
    sent.operation.called = all_.clock_++;
    const std::size_t at = history.size();
    history.push_back(std::move(sent));
    const auto submitted =
        client_->submit(net::RequestKind::kPropose, history[at].operation.payload, how_,
                        [this, at](const net::ClientOutcome& outcome) { take(at, outcome); });
    ASSERT_TRUE(submitted) << submitted.error().message;
  }

  static kv::Payload payload_of(const Sent& sent) {
    if (sent.kind == kv::Operation::kGet) return kv::get(sent.key);
    if (sent.kind == kv::Operation::kIncrement) return kv::increment(sent.key, 1);
    std::optional<std::string_view> expected;
    if (!sent.expected.empty()) expected = sent.expected;
    return kv::compare_and_set(sent.key, expected, sent.desired);
  }

  void take(std::size_t at, const net::ClientOutcome& outcome) {
    Sent& sent = history[at];
    sent.outcome = outcome.kind;
    if (outcome.kind != OutcomeKind::kExecuted) {
      refused_ = true;
      return;
    }
    sent.operation.returned = all_.clock_++;
    sent.operation.reply.assign(outcome.reply.begin(), outcome.reply.end());
    if (sent.kind == kv::Operation::kCompareAndSet) {
      const kv::KeyValueReply reply = reply_of(sent);
      seen_[sent.key] =
          reply.status == kv::ReplyStatus::kOk ? sent.desired : reply.value.value_or("");
    }
    ++executed;
  }

  const ClusterProcesses& cluster_;
  CountingClients& all_;
  const Options options_;
  const int index_;
  net::SubmitOptions how_;
  net::Client* client_ = nullptr;
  std::mt19937_64 random_{static_cast<std::uint64_t>(index_) + 1};
  std::map<std::string, std::string> seen_;  // What a chain held when it was last heard of.
  bool refused_ = false;
};

CountingClients::CountingClients(const ClusterProcesses& cluster, Options options) {
  for (int i = 0; i < static_cast<int>(options.at.size()); ++i) {
    workers_.push_back(std::make_unique<Worker>(cluster, *this, options, i));
  }
  for (const auto& worker : workers_) threads_.emplace_back([&worker] { worker->run(); });
}

CountingClients::~CountingClients() {
  stop();
}

void CountingClients::stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool CountingClients::wait_for_progress(std::uint64_t more, std::vector<std::size_t> clients) {
  if (clients.empty()) {
    for (std::size_t i = 0; i < workers_.size(); ++i) clients.push_back(i);
  }
  std::vector<std::uint64_t> goals;
  for (const std::size_t i : clients) goals.push_back(workers_[i]->executed + more);
  const auto end = std::chrono::steady_clock::now() + kGivesUpAfter;
  for (std::size_t i = 0; i < clients.size();) {
    if (workers_[clients[i]]->executed >= goals[i]) {
      ++i;
      continue;
    }
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

std::uint64_t CountingClients::executed() const {
  std::uint64_t sum = 0;
  for (const auto& worker : workers_) sum += worker->executed;
  return sum;
}

std::string CountingClients::contradictions(net::Client& reader) const {
  std::map<std::string, std::vector<Sent>> keys;
  for (const auto& worker : workers_) {
    for (const Sent& sent : worker->history) keys[sent.key].push_back(sent);
  }
  net::SubmitOptions patiently;
  patiently.deadline_us = 60'000'000;
  patiently.reads_only = true;
  std::string all;
  for (const auto& [key, history] : keys) {
    const net::CallOutcome outcome =
        reader.call(net::RequestKind::kPropose, kv::get(key), patiently);
    const auto reply = kv::decode_reply(outcome.reply);
    if (outcome.kind != OutcomeKind::kExecuted || !reply) {
      return "cannot read " + key + ": " + outcome.reason;
    }
    const std::string last = reply->value.value_or("");
    const std::string one = key.starts_with("chain") ? chain_contradiction(history, last)
                                                     : counter_contradiction(history, last);
    if (!one.empty()) all += one + "\n";
  }
  return all;
}

std::string CountingClients::summary() const {
  std::map<OutcomeKind, std::size_t> ends;
  for (const auto& worker : workers_) {
    for (const Sent& sent : worker->history) ++ends[sent.outcome];
  }
  return std::to_string(ends[OutcomeKind::kExecuted]) + " executed, " +
         std::to_string(ends[OutcomeKind::kUnknown]) + " unknown, " +
         std::to_string(ends[OutcomeKind::kRejected]) + " rejected";
}

}  // namespace epaxos::testing
