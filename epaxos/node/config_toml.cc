// Reads cluster files; the one place that knows toml++.

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace epaxos {
namespace {

struct BrokenAssertion {};

/// What toml++ asserts in its parser a file can break ("[ ="). Such a file must not end the
/// process; epaxos/CMakeLists.txt makes this its assert().
[[maybe_unused]] constexpr void assert_toml(bool holds) {
  if (!holds) throw BrokenAssertion();
}

}  // namespace
}  // namespace epaxos

#include <toml++/toml.h>

#include "epaxos/node/config_keys.h"

namespace epaxos {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

std::string_view word_for(toml::node_type type) {
  switch (type) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a point";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or a time";
  }
}

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
    read_replicas(file);
    for (const std::string_view table : {"limits", "timers"}) read_numbers(file, table);
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

  static std::size_t line_of(const toml::node& node) { return node.source().begin.line; }

  /// Unknown keys are errors: a misspelt limit must not be silently the default.
  void check_keys(const toml::table& table, std::string_view kind, const std::string& prefix) {
    const auto known = config::known_keys(kind);
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      lines_[config::path_of(prefix, name)] = line_of(node);
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      refuse(key.source().begin.line, config::path_of(prefix, name),
             "This key is not known." + config::hint(name, known));
    }
  }

  void wrong_type(const toml::node& node, const std::string& key, std::string_view expected) {
    refuse(line_of(node), key,
           "is " + std::string(word_for(node.type())) + ", but must be " + std::string(expected) +
               ".");
  }

  void read_string(const toml::table& table, const std::string& prefix, std::string_view name,
                   bool required, std::string& out) {
    const std::string key = config::path_of(prefix, name);
    const toml::node* const node = table.get(name);
    if (node == nullptr) {
      if (required) refuse(std::max<std::size_t>(line_of(table), 1), key, "is missing. Add it.");
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
    if (name == "timers") read_switch(table);
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

  void read_switch(const toml::table& table) {
    const toml::node* const node = table.get(config::kWaitForFastPath);
    if (node == nullptr) return;
    if (!node->is_boolean()) {
      return wrong_type(*node, config::path_of("timers", config::kWaitForFastPath),
                        "true or false");
    }
    config_.core.wait_for_fast_path = node->as_boolean()->get();
  }

  const std::string path_;
  ClusterConfig& config_;
  std::map<std::string, std::size_t> lines_;
  std::optional<std::string> error_;
};

Failure unreadable(const std::string& path, const std::string& why) {
  return fail(ErrorCode::kInvalidArgument, "The cluster file " + path + " " + why);
}

std::string with_stop(std::string sentence) {
  if (!sentence.ends_with('.')) sentence += '.';
  return sentence;
}

}  // namespace

Result<ClusterConfig> ClusterConfig::parse(std::string_view text, std::string_view path) {
  toml::table file;
  try {
    file = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kInvalidArgument,
                std::string(path) + ":" + std::to_string(error.source().begin.line) +
                    ": This is not TOML: " + with_stop(std::string(error.description())));
  } catch (const BrokenAssertion&) {
    return fail(ErrorCode::kInvalidArgument,
                std::string(path) + ": This is not TOML. Compare it with examples/cluster.toml.");
  }
  ClusterConfig config;
  FileReader reader(path, config);
  reader.read(file);
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
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return unreadable(path,
                      "cannot be read: " + std::string(std::strerror(errno)) + ". Check the path.");
  }
  if (!S_ISREG(about.st_mode)) return unreadable(path, "is not a file. Check the path.");
  if (static_cast<std::size_t>(about.st_size) > kFileBytesMax) {
    return unreadable(path, "is larger than 1 MiB. Check the path.");
  }
  if (about.st_size == 0) {
    return unreadable(path,
                      "is empty. Give the cluster a name and one [[replicas]] table for each "
                      "replica.");
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    return unreadable(path, "cannot be read. Check its permissions.");
  }
  return parse(text.str(), path);
}

}  // namespace epaxos
