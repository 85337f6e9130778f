#include "bench/demo/replicas.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "epaxos/node/config.h"
#include "executor/key_value_command.h"

namespace epaxos::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::seconds kWaitMax{20};
constexpr std::chrono::milliseconds kBetweenLooks{50};
constexpr Tick kGraceUs = 5 * kSecond;
constexpr Tick kAnswerUs = 2 * kSecond;
constexpr Tick kGlanceUs = 50'000;
constexpr Tick kKillWaitUs = 10 * kSecond;

}  // namespace

ReplicaCounts ReplicaCounts::since(const ReplicaCounts& before) const {
  return {commands - before.commands, fast - before.fast,       slow - before.slow,
          frames - before.frames,     bundles - before.bundles, bytes - before.bytes};
}

ReplicaCounts& ReplicaCounts::operator+=(const ReplicaCounts& other) {
  commands += other.commands;
  fast += other.fast;
  slow += other.slow;
  frames += other.frames;
  bundles += other.bundles;
  bytes += other.bytes;
  return *this;
}

std::optional<ReplicaStatus> read_status(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    ReplicaStatus status;
    const Json& peers = json.at("peers");
    status.connected = std::ranges::all_of(
        peers, [](const Json& peer) { return peer.at("connected").get<bool>(); });
    json.at("voting").get_to(status.voting);
    for (const Json& row : json.at("rows")) {
      status.rows.push_back({row.at("executed_up_to").get<std::uint64_t>(),
                             row.at("highest_known").get<std::uint64_t>()});
    }
    const Json& core = json.at("counters").at("core");
    const Json& host = json.at("counters").at("host");
    core.at("proposed_commands").get_to(status.counts.commands);
    core.at("fast_path").get_to(status.counts.fast);
    status.counts.slow = core.at("slow_path_mismatch").get<std::uint64_t>() +
                         core.at("slow_path_timer").get<std::uint64_t>();
    host.at("frames_out").get_to(status.counts.frames);
    host.at("bundles_out").get_to(status.counts.bundles);
    host.at("bytes_out").get_to(status.counts.bytes);
    return status;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

bool at_rest(const std::vector<ReplicaStatus>& statuses) {
  return std::ranges::all_of(statuses, [&](const ReplicaStatus& status) {
    return status.rows == statuses.front().rows &&
           std::ranges::all_of(status.rows, [](const ReplicaStatus::Row& row) {
             return row.executed_up_to == row.highest_known;
           });
  });
}

Result<void> same_state(const std::vector<std::string>& digests) {
  if (std::ranges::all_of(digests, [&](const auto& one) { return one == digests.front(); })) {
    return {};
  }
  std::string all;
  for (std::size_t r = 0; r < digests.size(); ++r) {
    all += (r == 0 ? "" : ", ") + ("R" + std::to_string(r)) + " " + digests[r];
  }
  return fail(ErrorCode::kCorrupted,
              "THE REPLICAS DISAGREE: they have executed the same commands and hold different "
              "states. Their digests: " +
                  all + ".");
}

Replicas::Replicas(Options options, std::function<void()> waits)
    : options_(std::move(options)),
      waits_(std::move(waits)),
      config_path_(options_.directory + "/cluster.toml") {
}

Replicas::~Replicas() {
  for (auto& process : processes_) {
    if (process && !process->ended()) ::kill(process->pid(), SIGTERM);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(kGraceUs);
  for (auto& process : processes_) {
    if (!process) continue;
    const auto left = end - std::chrono::steady_clock::now();
    process->stop(static_cast<Tick>(
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::microseconds>(left).count())));
  }
}

Result<void> Replicas::start() {
  auto cluster = ClusterConfig::loopback("demo", options_.count, options_.durability);
  if (!cluster) return fail(cluster.error());
  std::ofstream file(config_path_);
  file << cluster->to_toml();
  file.close();
  if (!file) return fail(ErrorCode::kIo, "Cannot write " + config_path_ + ".");
  client_options_.cluster = cluster->id;
  processes_.resize(static_cast<std::size_t>(options_.count));
  for (int r = 0; r < options_.count; ++r) {
    if (const auto started = start_process(r); !started) return started;
    client_options_.addresses.push_back(cluster->replicas[static_cast<std::size_t>(r)].client);
  }
  auto opened = net::Client::open(client_options_);
  if (!opened) return fail(opened.error());
  client_ = *std::move(opened);
  const auto connected = [](const std::vector<ReplicaStatus>& all) {
    return std::ranges::all_of(all, [](const ReplicaStatus& one) { return one.connected; });
  };
  return wait_until(connected,
                    "The replicas did not find each other within 20 seconds. Their "
                    "logs are in " +
                        options_.logs + ".");
}

Result<void> Replicas::start_process(int replica) {
  const std::string id = std::to_string(replica);
  auto process =
      ChildProcess::start({sibling_program("epaxosd"), "--config", config_path_, "--replica", id,
                           "--data", options_.directory + "/replica-" + id},
                          log_of(replica));
  if (!process) return fail(process.error());
  processes_[static_cast<std::size_t>(replica)] = *std::move(process);
  return {};
}

bool Replicas::is_down(int replica) const {
  return !processes_[static_cast<std::size_t>(replica)].has_value();
}

Result<void> Replicas::all_run() {
  if (interrupted()) return fail(ErrorCode::kDeadline, "interrupted");
  for (int r = 0; r < options_.count; ++r) {
    if (is_down(r)) continue;
    ChildProcess& process = *processes_[static_cast<std::size_t>(r)];
    if (!process.ended()) continue;
    return fail(ErrorCode::kUnavailable, "Replica " + std::to_string(r) + " ended with status " +
                                             std::to_string(process.exit_status()) +
                                             ". Why stands in " + log_of(r) + ".");
  }
  return {};
}

void Replicas::kill(int replica) {
  auto& process = processes_[static_cast<std::size_t>(replica)];
  ::kill(process->pid(), SIGKILL);
  process->wait(kKillWaitUs);
  process.reset();
}

Result<void> Replicas::start_again(int replica) {
  newcomer_.reset();
  return start_process(replica);
}

std::optional<ReplicaStatus> Replicas::look(int replica) {
  if (!newcomer_) {
    auto opened = net::Client::open(client_options_);
    if (!opened) return std::nullopt;
    newcomer_ = *std::move(opened);
  }
  const auto text = ask(*newcomer_, replica, net::RequestKind::kStatus, kGlanceUs);
  if (!text) newcomer_.reset();
  return text ? read_status(*text) : std::nullopt;
}

Result<std::vector<ReplicaStatus>> Replicas::statuses() {
  std::vector<ReplicaStatus> all;
  for (int r = 0; r < options_.count; ++r) {
    const auto text = ask(*client_, r, net::RequestKind::kStatus, kAnswerUs);
    auto status = text ? read_status(*text) : std::nullopt;
    if (!status) {
      return fail(ErrorCode::kUnavailable, "Replica " + std::to_string(r) +
                                               " does not tell its status. Its log is " +
                                               log_of(r) + ".");
    }
    all.push_back(*std::move(status));
  }
  return all;
}

bool Replicas::all_connected() {
  for (int r = 0; r < options_.count; ++r) {
    if (const auto status = look(r); !status || !status->connected) return false;
  }
  return true;
}

Result<void> Replicas::settle() {
  return wait_until(at_rest,
                    "The replicas did not come to the same point within 20 seconds. Their logs "
                    "are in " +
                        options_.logs + ".");
}

Result<std::vector<std::string>> Replicas::digests() {
  std::vector<std::string> all;
  for (int r = 0; r < options_.count; ++r) {
    const auto bytes = ask(*client_, r, net::RequestKind::kDigest, kAnswerUs);
    std::uint64_t digest = 0;
    if (!bytes || bytes->size() != sizeof(digest)) {
      return fail(ErrorCode::kUnavailable, "Replica " + std::to_string(r) +
                                               " does not tell its digest. Its log is " +
                                               log_of(r) + ".");
    }
    std::memcpy(&digest, bytes->data(), sizeof(digest));
    char digits[17];
    std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(digest));
    all.emplace_back(digits);
  }
  return all;
}

Result<std::uint64_t> Replicas::sum_of(const std::vector<std::string>& keys) {
  std::uint64_t sum = 0;
  for (std::size_t first = 0; first < keys.size(); first += kv::kKeysMax) {
    const auto end = std::min(keys.size(), first + kv::kKeysMax);
    const std::vector<std::string_view> some(keys.begin() + static_cast<std::ptrdiff_t>(first),
                                             keys.begin() + static_cast<std::ptrdiff_t>(end));
    net::SubmitOptions how;
    how.reads_only = true;
    how.deadline_us = 5 * kAnswerUs;
    const net::CallOutcome outcome =
        client_->call(net::RequestKind::kPropose, kv::multi_get(some), how);
    const auto reply = kv::decode_reply(outcome.reply);
    if (outcome.kind != OutcomeKind::kExecuted || !reply || reply->values.size() != some.size()) {
      return fail(ErrorCode::kUnavailable, "The counters cannot be read. " + outcome.reason);
    }
    for (const auto& value : reply->values) sum += value ? std::stoull(*value) : 0;
  }
  return sum;
}

template <class Holds>
Result<void> Replicas::wait_until(Holds holds, const std::string& otherwise) {
  const auto end = std::chrono::steady_clock::now() + kWaitMax;
  while (std::chrono::steady_clock::now() < end) {
    if (const auto run = all_run(); !run) return run;
    if (const auto all = statuses(); all && holds(*all)) return {};
    waits_();
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return fail(ErrorCode::kDeadline, otherwise);
}

/// The answer of one replica to one question; none when there is no answer.
std::optional<std::string> Replicas::ask(net::Client& client, int replica, net::RequestKind kind,
                                         Tick deadline_us) {
  net::SubmitOptions how;
  how.replica = ReplicaId(static_cast<std::uint16_t>(replica));
  how.reads_only = true;
  how.deadline_us = deadline_us;
  const net::CallOutcome outcome = client.call(kind, {}, how);
  if (outcome.kind != OutcomeKind::kExecuted) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(outcome.reply.data()), outcome.reply.size());
}

std::string Replicas::log_of(int replica) const {
  return options_.logs + "/replica-" + std::to_string(replica) + ".log";
}

}  // namespace epaxos::bench
