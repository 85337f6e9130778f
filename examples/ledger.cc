// A ledger on three replicas whose state machine has storage of its own: here a file, in place of
// the database that a large one has. The replica does not copy its state into its own store; it
// asks the machine now and then to keep it. Run it again with the same directory, and it goes on.
//
//   ledger DIRECTORY

#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "epaxos/node/node.h"

using epaxos::Bytes, epaxos::Command, epaxos::ErrorCode, epaxos::Footprint, epaxos::Node;
using epaxos::bytes_of, epaxos::fail, epaxos::Replies, epaxos::ReplicaId, epaxos::Result;
using epaxos::text_of;
namespace fs = std::filesystem;

// Replaces the file in one step, durably: whatever a power cut interrupts, one of the two is there,
// whole.
Result<void> replace_file(const fs::path& path, const std::string& content) {
  const std::string temporary = path.string() + ".new";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  std::size_t done = 0;
  while (file >= 0 && done < content.size()) {
    const ssize_t wrote = ::write(file, content.data() + done, content.size() - done);
    if (wrote < 0) break;
    done += static_cast<std::size_t>(wrote);
  }
  const bool written = file >= 0 && done == content.size() && ::fsync(file) == 0;
  if (file >= 0) ::close(file);
  const int directory = ::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool replaced = written && ::rename(temporary.c_str(), path.c_str()) == 0 &&
                        directory >= 0 && ::fsync(directory) == 0;
  if (directory >= 0) ::close(directory);
  if (replaced) return {};
  return fail(ErrorCode::kIo, path.string() + " cannot be replaced; is the disk full?");
}

// A command is "from to amount".
struct Transfer {
  std::string from;
  std::string to;
  std::int64_t amount = 0;

  static Result<Transfer> read(Bytes payload) {
    std::istringstream text{std::string(text_of(payload))};
    Transfer transfer;
    if (text >> transfer.from >> transfer.to >> transfer.amount) return transfer;
    return fail(ErrorCode::kMalformed, "a transfer is \"from to amount\"");
  }
};

class Ledger final : public epaxos::StateMachine {
 public:
  explicit Ledger(fs::path file) : file_(std::move(file)) { read_file(); }

  Result<Footprint> admit(Bytes payload) const override {
    const Result<Transfer> transfer = Transfer::read(payload);
    if (!transfer) return fail(transfer.error());
    Footprint footprint = Footprint::write(transfer->from);
    footprint.add(epaxos::Access::write(epaxos::hash_key(transfer->to)));
    return footprint;
  }

  void apply(std::span<const Command> batch, Replies& replies) override {
    for (const Command& command : batch) {
      const Transfer transfer = *Transfer::read(command.payload);
      balances_[transfer.from] -= transfer.amount;
      balances_[transfer.to] += transfer.amount;
      replies.add(bytes_of(std::to_string(balances_[transfer.to])));
    }
  }

  // For other replicas, and for the file.
  Result<void> save(const epaxos::Sink& sink) const override {
    const std::string text = to_text();
    const Result<void> size = sink(bytes_of(static_cast<std::uint64_t>(text.size())));
    return size ? sink(bytes_of(text)) : size;
  }
  // What comes from another replica is durable when keep() has made it so, and not before.
  Result<void> load(const epaxos::Source& source) override {
    std::uint64_t size = 0;
    if (const Result<void> read = load_number(source, size); !read) return read;
    std::string text(size, '\0');
    if (const Result<void> read = source(std::as_writable_bytes(std::span(text))); !read) {
      return read;
    }
    from_text(text);
    return {};
  }

  bool keeps_itself() const override { return true; }

  // The file is written beside the replica's work; the state is that of now.
  Result<void> keep(std::uint64_t number, Bytes mark) override {
    const std::string body = std::string(text_of(mark)) + to_text();
    const std::string head = std::to_string(number) + " " + std::to_string(mark.size()) + " " +
                             std::to_string(epaxos::hash_key(body)) + "\n";
    writing_ = std::async(std::launch::async, replace_file, file_, head + body);
    written_number_ = number;
    return {};
  }
  Result<std::uint64_t> kept() override {
    if (damaged_) {
      return fail(ErrorCode::kCorrupted,
                  file_.string() + " is damaged: restore its newest copy, or replace this replica");
    }
    using std::chrono::seconds;
    if (writing_.valid() && writing_.wait_for(seconds(0)) == std::future_status::ready) {
      if (const Result<void> written = writing_.get(); !written) return fail(written.error());
      kept_number_ = written_number_;
    }
    return kept_number_;
  }
  Result<std::vector<std::byte>> kept_mark() const override { return kept_mark_; }

  // The number of the state that this run began with; 0: with none.
  std::uint64_t began_with() const { return began_with_; }

 private:
  std::string to_text() const {
    std::ostringstream text;
    for (const auto& [account, balance] : balances_) text << account << ' ' << balance << '\n';
    return text.str();
  }
  void from_text(const std::string& lines) {
    balances_.clear();
    std::istringstream text(lines);
    std::string account;
    for (std::int64_t balance = 0; text >> account >> balance;) balances_[account] = balance;
  }
  // The state, its number and its mark, as they were kept together. The replica sees whether the
  // mark is whole; that of the state is up to the machine.
  void read_file() {
    std::ifstream in(file_, std::ios::binary);
    if (!in) return;
    std::size_t mark_bytes = 0;
    std::uint64_t hash = 0;
    const bool has_head = in >> kept_number_ >> mark_bytes >> hash && in.get() == '\n';
    const std::string body{std::istreambuf_iterator<char>(in), {}};
    damaged_ = !has_head || mark_bytes > body.size() || epaxos::hash_key(body) != hash;
    if (damaged_) return;
    const Bytes mark = bytes_of(body).first(mark_bytes);
    kept_mark_.assign(mark.begin(), mark.end());
    from_text(body.substr(mark_bytes));
    began_with_ = kept_number_;
  }

  const fs::path file_;
  std::map<std::string, std::int64_t> balances_;
  bool damaged_ = false;
  std::uint64_t kept_number_ = 0;
  std::vector<std::byte> kept_mark_;
  std::uint64_t began_with_ = 0;
  std::future<Result<void>> writing_;
  std::uint64_t written_number_ = 0;
};

Result<std::vector<std::unique_ptr<Node>>> open_replicas(const fs::path& directory) {
  auto cluster = epaxos::ClusterConfig::loopback("ledger", 3, epaxos::Durability::kSync);
  if (!cluster) return fail(cluster.error());
  std::vector<std::unique_ptr<Node>> replicas;
  for (ReplicaId id; id.value() < 3; id = id.next()) {
    const fs::path own = directory / to_string(id);
    std::error_code ignored;  // Opening the node says what is wrong.
    fs::create_directories(own, ignored);
    epaxos::NodeConfig config{.cluster = *cluster, .self = id};
    config.data_directory = own / "replica";
    auto node = Node::open(std::move(config), std::make_unique<Ledger>(own / "ledger"));
    if (!node) return fail(node.error());
    replicas.push_back(std::move(*node));
  }
  return replicas;
}

int main(int count, char** arguments) {
  if (count != 2) return std::puts("usage: ledger DIRECTORY"), 2;
  auto replicas = open_replicas(arguments[1]);
  if (!replicas) return std::puts(replicas.error().message.c_str()), 1;

  for (auto& replica : *replicas) {
    const auto number = replica->query<Ledger>([](const Ledger& l) { return l.began_with(); });
    const auto paid = replica->propose(bytes_of("bank alice 5")).get();
    if (paid.kind != epaxos::OutcomeKind::kExecuted) return std::puts(paid.reason.c_str()), 1;
    std::printf("began with state %lu; alice has %s\n", static_cast<unsigned long>(number),
                std::string(text_of(paid.reply)).c_str());
  }
  // Replicas do so by themselves after image_log_bytes of records.
  for (auto& replica : *replicas) {
    const std::uint64_t before = replica->status().image.number;
    replica->request_image();
    while (replica->status().image.number == before) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  std::puts("every replica has kept its state");
}
