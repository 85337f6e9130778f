// Reads topology files.

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>

#include "bench/report/site_name.h"
#include "bench/wan/topology.h"
#include "epaxos/node/config_keys.h"
#include "epaxos/node/toml_file.h"

namespace epaxos::bench {
namespace {

using Matrix = std::vector<std::vector<double>>;

constexpr toml_file::Words kWords{"topology file", "docs/wan.md 2",
                                  "Give it sites and rtt_ms, as docs/wan.md 2 shows."};

constexpr std::array<std::string_view, 6> kKeys{"name",   "source",     "sites",
                                                "rtt_ms", "one_way_ms", "speed_factor"};
constexpr std::array<std::string_view, 4> kSiteKeys{"name", "latitude", "longitude", "within_ms"};

constexpr double kDelayMaxMs = 10'000;
/// What two ends measure of one round trip differs so much, as a share and in milliseconds.
constexpr double kNoiseShare = 0.01;
constexpr double kNoiseMs = 0.1;

constexpr double kEarthRadiusKm = 6371.0088;  // The mean one.
constexpr double kLightKmPerMs = 299.792458;

struct Place {
  double latitude = 0;
  double longitude = 0;
  double within_ms = 0;
};

double radians(double degrees) {
  return degrees * std::numbers::pi / 180;
}

/// Along the great circle, by the haversine formula.
double distance_km(const Place& a, const Place& b) {
  const double up = std::sin(radians(b.latitude - a.latitude) / 2);
  const double across = std::sin(radians(b.longitude - a.longitude) / 2);
  const double h =
      up * up + std::cos(radians(a.latitude)) * std::cos(radians(b.latitude)) * across * across;
  return 2 * kEarthRadiusKm * std::asin(std::min(1.0, std::sqrt(h)));
}

Tick microseconds(double ms) {
  return static_cast<Tick>(std::llround(ms * 1000));
}

/// As short as it reads well: "85", "0.079".
std::string text_of(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string at_row(std::string_view key, std::size_t row) {
  return std::string(key) + "[" + std::to_string(row) + "]";
}

std::string of_sites(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " site" : " sites");
}

/// Walks over a parsed file and stops at the first error.
class TopologyReader {
 public:
  explicit TopologyReader(std::string_view path) : path_(path) {}

  Result<Topology> read(const toml::table& file) {
    check_keys(file, "", kKeys);
    const std::string name = read_name(file);
    const toml::node* const source = file.get("source");
    if (source != nullptr && !source->is_string()) wrong_type(*source, "source", "a string");
    read_sites(file);
    read_delays(file);
    if (error_) return fail(ErrorCode::kInvalidArgument, *error_);
    return Topology(name, source == nullptr ? "" : source->as_string()->get(), std::move(names_),
                    std::move(one_way_us_));
  }

 private:
  void refuse(std::size_t line, const std::string& key, const std::string& message) {
    if (error_) return;
    error_ =
        path_ + ":" + std::to_string(std::max<std::size_t>(line, 1)) + ": " + key + " " + message;
  }
  void refuse(const toml::node& node, const std::string& key, const std::string& message) {
    refuse(toml_file::line_of(node), key, message);
  }
  void wrong_type(const toml::node& node, const std::string& key, std::string_view expected) {
    refuse(node, key,
           "is " + std::string(toml_file::word_for(node.type())) + ", but must be " +
               std::string(expected) + ".");
  }

  void check_keys(const toml::table& table, const std::string& prefix,
                  std::span<const std::string_view> known) {
    for (const auto& [key, node] : table) {
      if (std::ranges::find(known, key.str()) != known.end()) continue;
      refuse(key.source().begin.line, config::path_of(prefix, key.str()),
             "is no key of a topology." + config::hint(key.str(), known));
    }
  }

  std::string read_name(const toml::table& file) {
    const toml::node* const node = file.get("name");
    if (node == nullptr) {
      // As people would call it.
      const std::string stem = path_.substr(path_.find_last_of('/') + 1);
      return stem.substr(0, stem.rfind(".toml"));
    }
    if (!node->is_string()) {
      wrong_type(*node, "name", "a string in quotes");
      return {};
    }
    std::string name = node->as_string()->get();
    check_name(*node, "name", name);
    return name;
  }

  void check_name(const toml::node& node, const std::string& key, const std::string& name) {
    if (is_site_name(name)) return;
    refuse(node, key,
           "is no name. Take 1 to 64 letters, digits, and \"-\", \"_\" or \".\", as options list "
           "sites with commas.");
  }

  // --- Sites.

  void read_sites(const toml::table& file) {
    const toml::node* const node = file.get("sites");
    if (node == nullptr) return refuse(1, "sites", "is missing. List the names of the sites.");
    if (!node->is_array())
      return wrong_type(*node, "sites", "a list of names, or [[sites]] tables");
    const toml::array& sites = *node->as_array();
    if (sites.empty() || sites.size() > kSitesMax) {
      return refuse(*node, "sites",
                    "has " + std::to_string(sites.size()) + " sites. List 1 to " +
                        std::to_string(kSitesMax) + ".");
    }
    for (std::size_t i = 0; i < sites.size() && !error_; ++i) read_site(sites[i], i);
  }

  void read_site(const toml::node& site, std::size_t index) {
    const std::string key = at_row("sites", index);
    if (!site.is_string() && !site.is_table()) {
      return wrong_type(site, key, "a name in quotes, or a [[sites]] table");
    }
    if (site.is_table() != (index > 0 ? !places_.empty() : site.is_table())) {
      return refuse(site, key,
                    "is of another kind than the first site. Give all of them names, or "
                    "all of them [[sites]] tables.");
    }
    if (site.is_string()) return add_site(site, key, site.as_string()->get());
    const toml::table& table = *site.as_table();
    check_keys(table, key, kSiteKeys);
    const toml::node* const name = table.get("name");
    if (name == nullptr) return refuse(site, key + ".name", "is missing. Add it.");
    if (!name->is_string()) return wrong_type(*name, key + ".name", "a string in quotes");
    add_site(*name, key + ".name", name->as_string()->get());
    Place& place = places_.emplace_back();
    read_number(table, key, "latitude", -90, 90, true, place.latitude);
    read_number(table, key, "longitude", -180, 180, true, place.longitude);
    read_number(table, key, "within_ms", 0, kDelayMaxMs, false, place.within_ms);
  }

  void add_site(const toml::node& node, const std::string& key, const std::string& name) {
    check_name(node, key, name);
    const auto before = std::ranges::find(names_, name);
    if (before != names_.end()) {
      refuse(node, key,
             "is \"" + name + "\", as is " +
                 at_row("sites", static_cast<std::size_t>(before - names_.begin())) +
                 ". Give every site a name of its own.");
    }
    names_.push_back(name);
  }

  /// Required or not, a number of a table within a range.
  void read_number(const toml::table& table, const std::string& prefix, std::string_view name,
                   double least, double most, bool required, double& out) {
    const std::string key = config::path_of(prefix, name);
    const toml::node* const node = table.get(name);
    if (node == nullptr) {
      if (required) refuse(table, key, "is missing. Add it.");
      return;
    }
    const std::optional<double> number = number_of(*node, key);
    if (!number) return;
    if (*number < least || *number > most) {
      return refuse(*node, key,
                    "is " + text_of(*number) + ", but must be from " + text_of(least) + " to " +
                        text_of(most) + ".");
    }
    out = *number;
  }

  std::optional<double> number_of(const toml::node& node, const std::string& key) {
    if (!node.is_number()) {
      wrong_type(node, key, "a number");
      return std::nullopt;
    }
    const double number = node.is_integer() ? static_cast<double>(node.as_integer()->get())
                                            : node.as_floating_point()->get();
    if (std::isfinite(number)) return number;
    refuse(node, key, "is not a finite number. Write down what was measured.");
    return std::nullopt;
  }

  // --- Delays.

  void read_delays(const toml::table& file) {
    if (error_) return;
    int given = 0;
    for (const std::string_view key : {"rtt_ms", "one_way_ms", "speed_factor"}) {
      if (file.get(key) == nullptr) continue;
      if (++given > 1) {
        return refuse(*file.get(key), std::string(key),
                      "is one too many. Keep one of rtt_ms, one_way_ms and speed_factor.");
      }
    }
    if (given == 0) {
      return refuse(1, "rtt_ms",
                    "is missing, and so are one_way_ms and speed_factor. Add one of them.");
    }
    if (file.get("speed_factor") != nullptr) return read_places(file);
    if (!places_.empty()) {
      return refuse(
          *file.get("sites"), "sites",
          "has coordinates beside a matrix. Keep the names alone, or give speed_factor in "
          "place of the matrix.");
    }
    const bool round_trips = file.get("rtt_ms") != nullptr;
    read_matrix(*file.get(round_trips ? "rtt_ms" : "one_way_ms"), round_trips);
  }

  /// Light in glass goes at about two thirds of its speed, and cables make detours.
  void read_places(const toml::table& file) {
    double factor = 0;
    read_number(file, "", "speed_factor", 0.01, 1, true, factor);
    if (places_.empty()) {
      return refuse(*file.get("speed_factor"), "speed_factor",
                    "needs coordinates. Give [[sites]] tables with name, latitude and longitude.");
    }
    if (error_) return;
    for (std::size_t from = 0; from < places_.size(); ++from) {
      for (std::size_t to = 0; to < places_.size(); ++to) {
        const double ms = from == to
                              ? places_[from].within_ms / 2
                              : distance_km(places_[from], places_[to]) / (factor * kLightKmPerMs);
        one_way_us_.push_back(microseconds(ms));
      }
    }
  }

  void read_matrix(const toml::node& node, bool round_trips) {
    const std::string key = round_trips ? "rtt_ms" : "one_way_ms";
    if (!node.is_array()) return wrong_type(node, key, "a list of rows");
    const std::size_t n = names_.size();
    Matrix matrix(n, std::vector<double>(n, 0));
    const bool full = read_rows(*node.as_array(), key, matrix);
    if (error_) return;
    if (full && round_trips) check_symmetry(*node.as_array(), matrix);
    for (std::size_t from = 0; from < n; ++from) {
      for (std::size_t to = 0; to < n; ++to) {
        const double both = (matrix[from][to] + matrix[to][from]) / 2;
        one_way_us_.push_back(microseconds(round_trips ? both / 2 : matrix[from][to]));
      }
    }
  }

  /// Whether the matrix is a full one; else the part above the diagonal was given.
  bool read_rows(const toml::array& rows, const std::string& key, Matrix& matrix) {
    const std::size_t n = names_.size();
    const bool full = rows.size() == n && (n == 1 || length_of(rows[n - 1]) > 0);
    if (!full && rows.size() + 1 != n && rows.size() != n) {
      refuse(
          rows, key,
          "has " + std::to_string(rows.size()) + " rows, but there are " + of_sites(n) +
              ". Give a row for each, or for each but the last one the delays to the sites after "
              "it.");
      return false;
    }
    for (std::size_t from = 0; from < rows.size() && !error_; ++from) {
      read_row(rows[from], at_row(key, from), from, full, matrix);
    }
    return full;
  }

  static std::size_t length_of(const toml::node& row) {
    return row.is_array() ? row.as_array()->size() : 1;
  }

  void read_row(const toml::node& node, const std::string& key, std::size_t from, bool full,
                Matrix& matrix) {
    if (!node.is_array()) return wrong_type(node, key, "a list of numbers");
    const toml::array& row = *node.as_array();
    const std::size_t first = full ? 0 : from + 1;
    const std::size_t expected = names_.size() - first;
    if (row.size() != expected) {
      return refuse(node, key,
                    "(from " + names_[from] + ") has " + std::to_string(row.size()) +
                        " numbers, but must have " + std::to_string(expected) + ": one to each " +
                        (full ? "site, itself among them." : "site after it.") +
                        " Add what is missing, or take out what is too much.");
    }
    for (std::size_t i = 0; i < row.size() && !error_; ++i) {
      const std::size_t to = first + i;
      const std::string cell = key + "[" + std::to_string(i) + "] (" + from_to(from, to) + ")";
      const std::optional<double> ms = number_of(row[i], cell);
      if (!ms) return;
      if (*ms < 0 || *ms > kDelayMaxMs) {
        return refuse(row[i], cell,
                      "is " + text_of(*ms) + " ms, but a delay is from 0 to 10000 ms. Correct it.");
      }
      matrix[from][to] = *ms;
      if (!full) matrix[to][from] = *ms;
    }
  }

  [[nodiscard]] std::string from_to(std::size_t from, std::size_t to) const {
    return names_[from] + " to " + names_[to];
  }

  void check_symmetry(const toml::array& rows, const Matrix& matrix) {
    for (std::size_t a = 0; a < matrix.size(); ++a) {
      for (std::size_t b = a + 1; b < matrix.size(); ++b) {
        const double one = matrix[a][b];
        const double other = matrix[b][a];
        if (std::abs(one - other) <= kNoiseMs + kNoiseShare * std::max(one, other)) continue;
        const toml::array& row = *rows[b].as_array();
        return refuse(row[a], at_row(at_row("rtt_ms", b), a),
                      "(" + from_to(b, a) + ") is " + text_of(other) + ", but " + from_to(a, b) +
                          " is " + text_of(one) +
                          ": a round trip takes as long from either end. Correct one of them, or "
                          "give the delays of each direction as one_way_ms.");
      }
    }
  }

  const std::string path_;
  std::optional<std::string> error_;
  std::vector<std::string> names_;
  std::vector<Place> places_;  // Empty: the sites have none.
  std::vector<Tick> one_way_us_;
};

}  // namespace

Result<Topology> Topology::parse(std::string_view text, std::string_view path) {
  const Result<toml::table> file = toml_file::parse(text, path, kWords);
  if (!file) {
    return fail(file.error().code,
                file.error().message + " How a topology is written: docs/wan.md, section 2.");
  }
  return TopologyReader(path).read(*file);
}

Result<Topology> Topology::load(const std::string& name_or_path) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml")) {
    const Result<std::string> text = toml_file::read(name_or_path, kWords);
    if (!text) return fail(text.error());
    return parse(*text, name_or_path);
  }
  const auto all = shipped_topologies();
  const auto found = std::ranges::find(all, name_or_path, &ShippedTopology::name);
  if (found != all.end()) {
    return parse(found->text, "topologies/" + std::string(found->name) + ".toml");
  }
  return fail(ErrorCode::kInvalidArgument,
              "There is no topology \"" + name_or_path + "\". Name one of " +
                  shipped_topologies_list() +
                  ", or a file, with a \"/\" in its path or \".toml\" at its end.");
}

}  // namespace epaxos::bench
