// Reads cluster files.

#include <cmath>
#include <map>
#include <sstream>

#include "epaxos/node/config_keys.h"
#include "epaxos/node/toml_file.h"

namespace epaxos {
namespace {

/// Walks a parsed file into a ClusterConfig and stops at the first error.
class FileReader {
 public:
  FileReader(std::string_view path, ClusterConfig& config) : path_(path), config_(config) {}

  void read(const toml::table& file) {
    check_keys(file, "", "");
    read_string(file, "", "name", true, config_.name);
    read_id(file);
    read_durability(file);
    read_reads(file);
    read_bool(file, "", config::kThrifty, config_.core.thrifty);
    read_replicas(file);
    for (const std::string_view table : {"limits", "timers"}) read_numbers(file, table);
    read_emulation(file);
  }

  void fail_at(const std::string& key, const std::string& message) {
    const auto found = lines_.find(key);
    refuse(found == lines_.end() ? 1 : found->second, key, message);
  }

  [[nodiscard]] const std::optional<std::string>& error() const { return error_; }

 private:
  void refuse(std::size_t line, const std::string& key, const std::string& message) {
    if (error_) return;
    error_ = path_ + ":" + std::to_string(line) + ": " + key + ": " + message;
  }

  /// Unknown keys are errors: a misspelt limit must not be silently the default.
  void check_keys(const toml::table& table, std::string_view kind, const std::string& prefix) {
    const auto known = config::known_keys(kind);
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      lines_[config::path_of(prefix, name)] = toml_file::line_of(node);
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      refuse(key.source().begin.line, config::path_of(prefix, name),
             "This key is not known." + config::hint(name, known));
    }
  }

  void wrong_type(const toml::node& node, const std::string& key, std::string_view expected) {
    refuse(toml_file::line_of(node), key,
           "is " + std::string(toml_file::word_for(node.type())) + ", but must be " +
               std::string(expected) + ".");
  }

  void read_string(const toml::table& table, const std::string& prefix, std::string_view name,
                   bool required, std::string& out) {
    const std::string key = config::path_of(prefix, name);
    const toml::node* const node = table.get(name);
    if (node == nullptr) {
      if (required)
        refuse(std::max<std::size_t>(toml_file::line_of(table), 1), key, "is missing. Add it.");
      return;
    }
    if (!node->is_string()) return wrong_type(*node, key, "a string in quotes");
    out = node->as_string()->get();
  }

  void read_id(const toml::table& file) {
    std::string digits;
    read_string(file, "", "id", false, digits);
    if (file.get("id") == nullptr || error_) return;
    const auto id = cluster_id_from(digits);
    if (!id) return fail_at("id", id.error().message);
    config_.id = *id;
  }

  void read_durability(const toml::table& file) {
    std::string word;
    read_string(file, "", "durability", false, word);
    if (file.get("durability") == nullptr || error_) return;
    const auto durability = durability_from(word);
    if (!durability) return fail_at("durability", durability.error().message);
    config_.durability = *durability;
  }

  void read_reads(const toml::table& file) {
    std::string word;
    read_string(file, "", "reads", false, word);
    if (file.get("reads") == nullptr || error_) return;
    const auto reads = reads_from(word);
    if (!reads) return fail_at("reads", reads.error().message);
    config_.reads = *reads;
  }

  void read_replicas(const toml::table& file) {
    const toml::node* const node = file.get("replicas");
    if (node == nullptr) return;  // Refused by the check of the count.
    if (node->is_array() && node->as_array()->empty()) return;  // As above.
    if (!node->is_array_of_tables()) {
      return wrong_type(*node, "replicas", "a list of tables: [[replicas]], once for each replica");
    }
    for (const toml::node& element : *node->as_array()) {
      const toml::table& table = *element.as_table();
      const std::size_t index = config_.replicas.size();
      const std::string prefix = "replicas[" + std::to_string(index) + "]";
      check_keys(table, "replicas", prefix);
      ReplicaSettings& replica = config_.replicas.emplace_back();
      read_string(table, prefix, "peer", true, replica.peer);
      read_string(table, prefix, "client", true, replica.client);
      read_string(table, prefix, "site", false, replica.site);
      read_bool(table, prefix, config::kMember, replica.member);
      if (replica.client.empty()) fail_at(prefix + ".client", "is empty. Give an address.");
    }
  }

  void read_numbers(const toml::table& file, std::string_view name) {
    const toml::node* const node = file.get(name);
    if (node == nullptr) return;
    if (!node->is_table()) return wrong_type(*node, std::string(name), "a table");
    const toml::table& table = *node->as_table();
    check_keys(table, name, std::string(name));
    for (const config::NumberKey& key : config::number_keys()) {
      if (key.table == name) read_number(table, key);
    }
    if (name == "timers") {
      read_bool(table, "timers", config::kWaitForFastPath, config_.core.wait_for_fast_path);
    }
  }

  void read_number(const toml::table& table, const config::NumberKey& key) {
    const toml::node* const node = table.get(key.name);
    if (node == nullptr) return;
    const std::string path = config::path_of(key.table, key.name);
    if (!node->is_integer()) return wrong_type(*node, path, "a whole number");
    const std::int64_t value = node->as_integer()->get();
    if (value < 0) return fail_at(path, std::to_string(value) + " must not be negative.");
    key.field(config_) = static_cast<std::uint64_t>(value);
  }

  void read_bool(const toml::table& table, const std::string& prefix, std::string_view name,
                 bool& out) {
    const toml::node* const node = table.get(name);
    if (node == nullptr) return;
    if (!node->is_boolean()) {
      return wrong_type(*node, config::path_of(prefix, name), "true or false");
    }
    out = node->as_boolean()->get();
  }

  void read_emulation(const toml::table& file) {
    const toml::node* const node = file.get("emulation");
    if (node == nullptr) return;
    if (!node->is_table()) return wrong_type(*node, "emulation", "a table");
    const toml::table& table = *node->as_table();
    check_keys(table, "emulation", "emulation");
    net::EmulatedNetwork& network = config_.emulation.emplace();
    const toml::node* const delays = table.get(config::kOneWay);
    const std::string key = config::path_of("emulation", config::kOneWay);
    if (delays == nullptr) return refuse(toml_file::line_of(*node), key, "is missing. Add it.");
    if (!delays->is_array()) return wrong_type(*delays, key, kMatrix);
    for (const toml::node& row : *delays->as_array()) {
      if (!row.is_array()) return wrong_type(row, key, kMatrix);
      std::vector<Tick>& out = network.one_way_us.emplace_back();
      for (const toml::node& cell : *row.as_array()) {
        out.push_back(microseconds(read_decimal(cell, key, config::kDelayMsMax)));
      }
    }
    const auto number = [&](std::string_view name, double max, double otherwise) {
      const toml::node* const found = table.get(name);
      if (found == nullptr) return otherwise;
      return read_decimal(*found, config::path_of("emulation", name), max);
    };
    network.all.jitter_us = microseconds(number(config::kJitter, config::kDelayMsMax, 0));
    network.all.loss = number(config::kLoss, 100, 0) / 100;
    network.all.loss_delay_us = microseconds(number(config::kLossDelay, config::kDelayMsMax, 200));
    network.all.bytes_per_second =
        static_cast<std::uint64_t>(number(config::kBandwidth, 1e6, 0) * 1e6 / 8);
  }

  static Tick microseconds(double milliseconds) {
    return static_cast<Tick>(std::llround(milliseconds * 1000));
  }

  /// 0 after an error.
  double read_decimal(const toml::node& node, const std::string& key, double max) {
    const std::optional<double> value = node.value<double>();
    if (!node.is_number() || !value) {
      wrong_type(node, key, "a number");
      return 0;
    }
    if (*value >= 0 && *value <= max) return *value;
    std::ostringstream sentence;
    sentence << *value << " is out of range: 0 to " << max << ".";
    refuse(toml_file::line_of(node), key, sentence.str());
    return 0;
  }

  static constexpr std::string_view kMatrix =
      "a list of lists: one a replica, with the delay from it to each replica";

  const std::string path_;
  ClusterConfig& config_;
  std::map<std::string, std::size_t> lines_;
  std::optional<std::string> error_;
};

constexpr toml_file::Words kWords{
    "cluster file", "examples/cluster.toml",
    "Give the cluster a name and one [[replicas]] table for each replica."};

}  // namespace

Result<ClusterConfig> ClusterConfig::parse(std::string_view text, std::string_view path) {
  const Result<toml::table> file = toml_file::parse(text, path, kWords);
  if (!file) return fail(file.error());
  ClusterConfig config;
  FileReader reader(path, config);
  reader.read(*file);
  if (!reader.error()) {
    if (const auto problem = config::first_problem(config)) {
      reader.fail_at(problem->key, problem->message);
    }
  }
  if (reader.error()) return fail(ErrorCode::kInvalidArgument, *reader.error());
  if (const auto completed = config.complete(); !completed) return fail(completed.error());
  return config;
}

Result<ClusterConfig> ClusterConfig::load(const std::string& path) {
  const Result<std::string> text = toml_file::read(path, kWords);
  if (!text) return fail(text.error());
  return parse(*text, path);
}

}  // namespace epaxos
