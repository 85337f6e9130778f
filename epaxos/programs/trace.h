#pragma once

// A trace in the JSON format of Chrome's trace events, which ui.perfetto.dev and chrome://tracing
// open: a process a replica, and in it rows of slices that never overlap, with arrows between them.
// Kept in memory, so whoever fills it bounds it. Source: "Trace Event Format" (Google, 2016).

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "deps/types/ids.h"

namespace epaxos {

class Trace {
 public:
  /// A row of a process. Both are counted from 1.
  struct Track {
    int process = 0;
    int row = 0;

    friend constexpr auto operator<=>(const Track&, const Track&) = default;
  };
  using Words = std::vector<std::pair<std::string, std::string>>;

  /// A process that is shown under this name; processes are shown in the order of these calls.
  int add_process(const std::string& name);
  void name(const Track& track, const std::string& name);

  /// Something that took from `begin` to `end`. Precondition of a track: two slices are apart, or
  /// one lies in the other.
  void slice(const Track& track, Tick begin, Tick end, const std::string& name, Words words = {});
  /// An arrow from the slice that is there at one end to the one at the other.
  /// Precondition: `begin` <= `end`.
  void arrow(const Track& from, Tick begin, const Track& to, Tick end, const std::string& name);

  [[nodiscard]] std::size_t events() const { return events_.size(); }
  /// The whole, with the events of each track in the order of their times.
  [[nodiscard]] std::string json() const;

 private:
  struct Event {
    Track track;
    Tick at = 0;
    Tick took = 0;
    char kind = 'X';           // A slice, or the start or the finish of an arrow.
    std::uint64_t number = 0;  // Of the arrow.
    std::string name;
    Words words;
  };

  std::vector<std::string> processes_;
  std::map<Track, std::string> names_;
  std::vector<Event> events_;
  std::uint64_t arrows_ = 0;
};

}  // namespace epaxos
