#include "tests/process/cluster_processes.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace epaxos::testing {
namespace {

constexpr Tick kLong = 60'000'000;
constexpr int kLooks = 600;  // A tenth of a second apart.

void wait_a_little() {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

ClusterConfig loopback(int replicas, Durability durability, const std::string& name) {
  auto config = ClusterConfig::loopback(name, replicas, durability);
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return *std::move(config);
}

}  // namespace

Scratch::Scratch() {
  std::string name = std::filesystem::temp_directory_path() / "epaxos-process-XXXXXX";
  const char* const made = ::mkdtemp(name.data());
  EXPECT_NE(made, nullptr);
  path_ = name;
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Scratch::file(const std::string& name, const std::string& text) const {
  std::ofstream(path_ + "/" + name) << text;
  return path_ + "/" + name;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Ran run_program(const std::string& name, const std::vector<std::string>& arguments,
                const std::string& input) {
  const Scratch scratch;
  std::vector<std::string> command{EPAXOS_PROGRAMS_DIR "/" + name};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto started = ChildProcess::start(command, scratch / "err");
  EXPECT_TRUE(started) << (started ? "" : started.error().message);
  Ran ran;
  if (!started) return ran;
  ChildProcess& child = *started;
  if (!input.empty()) child.write_line(input);
  child.close_input();
  while (const auto line = child.read_line(kLong)) ran.out += *line + "\n";
  ran.status = child.wait(kLong);
  ran.err = file_text(scratch / "err");
  return ran;
}

ClusterProcesses::ClusterProcesses(int replicas, Durability durability, const std::string& name)
    : ClusterProcesses(loopback(replicas, durability, name)) {
}

ClusterProcesses::ClusterProcesses(ClusterConfig config)
    : config_(std::move(config)), replicas_(config_.replicas.size()) {
  config_path_ = scratch_.file("cluster.toml", config_.to_toml());
  net::ClientOptions options;
  options.cluster = config_.id;
  for (const ReplicaSettings& replica : config_.replicas) {
    options.addresses.push_back(replica.client);
  }
  client_ = *net::Client::open(options);
}

std::unique_ptr<net::Client> ClusterProcesses::client_at(int replica, bool exactly_once) const {
  net::ClientOptions options;
  options.cluster = config_.id;
  for (const ReplicaSettings& settings : config_.replicas) {
    options.addresses.push_back(settings.client);
  }
  options.preferred = ReplicaId(static_cast<std::uint16_t>(replica));
  options.exactly_once = exactly_once;
  return *net::Client::open(options);
}

std::string ClusterProcesses::data(int replica) const {
  return scratch_ / ("data-" + std::to_string(replica));
}

std::string ClusterProcesses::log(int replica) const {
  return file_text(scratch_ / ("log-" + std::to_string(replica)));
}

void ClusterProcesses::start(int replica, const std::vector<std::string>& more) {
  std::vector<std::string> command = server_command(replica);
  command.insert(command.end(), more.begin(), more.end());
  run(replica, command);
}

void ClusterProcesses::start_limited(int replica, int open_files_max) {
  const std::string limit = "ulimit -n " + std::to_string(open_files_max) + " && exec \"$@\"";
  std::vector<std::string> command{"/bin/sh", "-c", limit, "sh"};
  const std::vector<std::string> server = server_command(replica);
  command.insert(command.end(), server.begin(), server.end());
  run(replica, command);
}

std::vector<std::string> ClusterProcesses::server_command(int replica) const {
  return {EPAXOS_PROGRAMS_DIR "/epaxosd", "--config", config_path_, "--replica",
          std::to_string(replica),        "--data",   data(replica)};
}

void ClusterProcesses::run(int replica, const std::vector<std::string>& command) {
  auto started = ChildProcess::start(command, scratch_ / ("log-" + std::to_string(replica)));
  ASSERT_TRUE(started) << started.error().message;
  replicas_[static_cast<std::size_t>(replica)].emplace(*std::move(started));
}

void ClusterProcesses::start_all() {
  const int n = static_cast<int>(replicas_.size());
  for (int r = 0; r < n; ++r) start(r);
  for (int r = 0; r < n; ++r) ASSERT_TRUE(wait_until_it_answers(r)) << log(r);
}

void ClusterProcesses::kill(int replica) {
  auto& process = replicas_[static_cast<std::size_t>(replica)];
  ASSERT_TRUE(process.has_value());
  ::kill(process->pid(), SIGKILL);
  EXPECT_EQ(process->wait(kLong), 128 + SIGKILL);
  process.reset();
}

void ClusterProcesses::signal(int replica, int number) {
  ::kill(replicas_[static_cast<std::size_t>(replica)]->pid(), number);
}

int ClusterProcesses::stop(int replica) {
  auto& process = replicas_[static_cast<std::size_t>(replica)];
  const int status = process->stop(kLong);
  process.reset();
  return status;
}

void ClusterProcesses::pause(int replica) {
  ::kill(replicas_[static_cast<std::size_t>(replica)]->pid(), SIGSTOP);
}

void ClusterProcesses::resume(int replica) {
  ::kill(replicas_[static_cast<std::size_t>(replica)]->pid(), SIGCONT);
}

Ran ClusterProcesses::control(const std::vector<std::string>& arguments,
                              const std::string& input) const {
  std::vector<std::string> all{"--config", config_path_};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_program("epaxosctl", all, input);
}

std::optional<std::string> ClusterProcesses::ask(int replica, net::RequestKind kind) {
  net::SubmitOptions how;
  how.replica = ReplicaId(static_cast<std::uint16_t>(replica));
  how.reads_only = true;
  how.deadline_us = 1'000'000;
  const net::CallOutcome outcome = client_->call(kind, {}, how);
  if (outcome.kind != OutcomeKind::kExecuted) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(outcome.reply.data()), outcome.reply.size());
}

bool ClusterProcesses::wait_for(int replica,
                                const std::function<bool(const std::string& json)>& holds) {
  for (int look = 0; look < kLooks; ++look) {
    const auto status = ask(replica, net::RequestKind::kStatus);
    if (status && holds(*status)) return true;
    wait_a_little();
  }
  return false;
}

bool ClusterProcesses::wait_until_it_answers(int replica) {
  return wait_for(replica, [](const std::string&) { return true; });
}

std::uint64_t ClusterProcesses::counted(const std::vector<int>& replicas, const std::string& name) {
  std::uint64_t sum = 0;
  for (const int replica : replicas) {
    const auto status = ask(replica, net::RequestKind::kStatus);
    if (!status) continue;
    sum += nlohmann::json::parse(*status).at("counters").at("core").at(name).get<std::uint64_t>();
  }
  return sum;
}

bool ClusterProcesses::agree(const std::vector<int>& replicas) {
  for (int look = 0; look < kLooks; ++look, wait_a_little()) {
    nlohmann::json rows;
    bool settled = true;
    for (const int replica : replicas) {
      const auto status = ask(replica, net::RequestKind::kStatus);
      if (!status) {
        settled = false;
        break;
      }
      const auto json = nlohmann::json::parse(*status);
      for (const auto& row : json.at("rows")) {
        settled = settled && row.at("executed_up_to") == row.at("highest_known");
      }
      if (rows.is_null()) rows = json.at("rows");
      settled = settled && json.at("rows") == rows;
    }
    if (!settled) continue;
    const auto first = ask(replicas.front(), net::RequestKind::kDigest);
    for (const int replica : replicas) {
      if (!first || ask(replica, net::RequestKind::kDigest) != first) return false;
    }
    return true;
  }
  return false;
}

}  // namespace epaxos::testing
