#pragma once

// Reading a file of JSON that anybody may have written, cut off or edited: every value knows its
// place, "conditions.clients" or "seconds[3].failed", and what is not as it should be becomes a
// sentence that names it. Nothing is converted or guessed. The first sentence stays; whoever reads
// goes on with values that are empty, and looks for it in the end.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report/latency.h"
#include "deps/types/result.h"

namespace epaxos::bench {

class JsonPlace {
 public:
  /// Of the whole file. Both outlive it and what is made of it.
  JsonPlace(const Json& json, std::string& wrong) : json_(&json), wrong_(&wrong) {}

  /// Of an object.
  [[nodiscard]] JsonPlace at(std::string_view name) const;
  /// Of an array.
  [[nodiscard]] std::vector<JsonPlace> items() const;
  /// Whether it is an object that has this.
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] bool is_null() const { return json_ != nullptr && json_->is_null(); }

  [[nodiscard]] bool flag() const;
  /// Both ends included. 0 where there is none, as for those below.
  [[nodiscard]] std::uint64_t number(std::uint64_t least, std::uint64_t most) const;
  [[nodiscard]] double fraction(double least, double most) const;
  [[nodiscard]] std::string text() const;
  /// The same without control characters.
  [[nodiscard]] std::string printable() const;
  [[nodiscard]] FineHistogram histogram() const;

  /// "conditions.clients " and this.
  void refuse(const std::string& what) const;

 private:
  JsonPlace(const Json* json, std::string path, std::string* wrong)
      : json_(json), path_(std::move(path)), wrong_(wrong) {}
  void refuse_value(const std::string& wished) const;

  const Json* json_;  // Null: it is not there, which was said.
  std::string path_;  // Empty: the whole.
  std::string* wrong_;
};

/// The text as JSON. Errors: malformed - "is no JSON at line 3, column 14 ...", to follow the name
/// of the file.
Result<Json> parse_json(std::string_view text);

}  // namespace epaxos::bench
