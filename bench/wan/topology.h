#pragma once

// Sites and how far apart they are: what experiments over wide-area networks run on. Delays are
// fixed, one a directed link, in whole microseconds, so that what is computed from them and what is
// simulated on them agree exactly. The file format: docs/wan.md 2.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::bench {

inline constexpr std::size_t kSitesMax = 64;

class Topology {
 public:
  /// Reads a topology file. `path`: for sentences.
  /// Errors: invalid argument - names the line, the place and the remedy.
  static Result<Topology> parse(std::string_view text, std::string_view path);
  /// One that comes with the program, by its name; or a file, whose path has a '/' or ends with
  /// ".toml". Errors: invalid argument - as parse(); no such name or file.
  static Result<Topology> load(const std::string& name_or_path);

  /// Every site with itself, then every pair: `one_way_us[from * sites + to]`.
  /// Precondition: it is that large, and the names are distinct.
  Topology(std::string name, std::string source, std::vector<std::string> sites,
           std::vector<Tick> one_way_us);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Where the figures come from; may be empty.
  [[nodiscard]] const std::string& source() const { return source_; }
  [[nodiscard]] std::size_t site_count() const { return sites_.size(); }
  [[nodiscard]] const std::vector<std::string>& sites() const { return sites_; }
  [[nodiscard]] const std::string& site(std::size_t index) const { return sites_[index]; }
  /// Errors: invalid argument - there is no such site; tells which ones there are.
  [[nodiscard]] Result<std::size_t> find(std::string_view site) const;

  /// Of a site to itself: between a client and the replica there.
  [[nodiscard]] Tick one_way_us(std::size_t from, std::size_t to) const {
    return one_way_us_[from * sites_.size() + to];
  }
  [[nodiscard]] Tick round_trip_us(std::size_t from, std::size_t to) const {
    return one_way_us(from, to) + one_way_us(to, from);
  }

 private:
  std::string name_;
  std::string source_;
  std::vector<std::string> sites_;
  std::vector<Tick> one_way_us_;
};

/// A topology that comes with the program.
struct ShippedTopology {
  std::string_view name;
  std::string_view text;  ///< Its file, bench/wan/topologies/NAME.toml.
};
std::span<const ShippedTopology> shipped_topologies();
/// Their names in one text: "aws-19, aws-5, ...".
std::string shipped_topologies_list();

}  // namespace epaxos::bench
