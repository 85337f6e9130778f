#include "epaxos/programs/trace.h"

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

#include "deps/types/check.h"

namespace epaxos {
namespace {

using Json = nlohmann::ordered_json;

/// One object a line, so that a person can read the file too.
void append(std::string& out, const Json& event) {
  out += out.empty() ? "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" : ",\n";
  out += event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json name_event(const char* what, int process, int row, const std::string& name) {
  return {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", row}, {"args", {{"name", name}}}};
}

}  // namespace

int Trace::add_process(const std::string& name) {
  processes_.push_back(name);
  return static_cast<int>(processes_.size());
}

void Trace::name(const Track& track, const std::string& name) {
  names_[track] = name;
}

void Trace::slice(const Track& track, Tick begin, Tick end, const std::string& name, Words words) {
  check(begin <= end, "a slice of a trace ends before it begins");
  events_.push_back({track, begin, end - begin, 'X', 0, name, std::move(words)});
}

void Trace::arrow(const Track& from, Tick begin, const Track& to, Tick end,
                  const std::string& name) {
  check(begin <= end, "an arrow of a trace ends before it begins");
  const std::uint64_t number = ++arrows_;
  events_.push_back({from, begin, 0, 's', number, name, {}});
  events_.push_back({to, end, 0, 'f', number, name, {}});
}

std::string Trace::json() const {
  std::vector<const Event*> sorted;
  for (const Event& event : events_) sorted.push_back(&event);
  // Of what begins together the longest comes first, as it holds the others; arrows after slices.
  const auto key = [](const Event* e) {
    return std::tuple(e->track, e->at, e->kind == 'X' ? 0 : 1, ~e->took);
  };
  std::ranges::stable_sort(sorted, {}, key);

  std::string out;
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    const int process = static_cast<int>(i) + 1;
    append(out, name_event("process_name", process, 0, processes_[i]));
    append(out, {{"ph", "M"},
                 {"name", "process_sort_index"},
                 {"pid", process},
                 {"tid", 0},
                 {"args", {{"sort_index", process}}}});
  }
  for (const auto& [track, name] : names_) {
    append(out, name_event("thread_name", track.process, track.row, name));
  }
  for (const Event* event : sorted) {
    Json json = {{"ph", std::string(1, event->kind)},
                 {"name", event->name},
                 {"cat", event->kind == 'X' ? "command" : "message"},
                 {"pid", event->track.process},
                 {"tid", event->track.row},
                 {"ts", event->at}};
    if (event->kind == 'X') json["dur"] = event->took;
    if (event->kind != 'X') json["id"] = event->number;
    if (event->kind == 'f') json["bp"] = "e";  // It ends in the slice that is there.
    for (const auto& [word, value] : event->words) json["args"][word] = value;
    append(out, json);
  }
  if (out.empty()) return "{\"traceEvents\":[]}\n";
  return out + "\n]}\n";
}

}  // namespace epaxos
