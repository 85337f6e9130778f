#include "epaxos/programs/control_output.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "epaxos/programs/control_words.h"
#include "epaxos/programs/programs.h"
#include "epaxos/programs/status_json.h"
#include "epaxos/programs/text_table.h"

namespace epaxos {
namespace {

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(bytes.size() - at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= count ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

/// JSON holds text only: other bytes become {"base64": "..."}.
Json value_json(const std::optional<std::string>& value) {
  if (!value) return nullptr;
  try {
    [[maybe_unused]] const std::string valid = Json(*value).dump();
    return *value;
  } catch (const Json::type_error&) {
    return {{"base64", base64(*value)}};
  }
}

int status_of(kv::ReplyStatus status) {
  if (status == kv::ReplyStatus::kOk) return kControlExecuted;
  return status == kv::ReplyStatus::kNotFound ? kControlNotFound : kControlRefused;
}

int print_failure(const net::CallOutcome& outcome, OutputFormat format) {
  const bool rejected = outcome.kind == OutcomeKind::kRejected;
  if (format == OutputFormat::kJson) {
    Json json = {{"outcome", to_string(outcome.kind)},
                 {"code", to_string(outcome.code)},
                 {"reason", outcome.reason}};
    json["replica"] = outcome.replica ? Json(outcome.replica->value()) : Json(nullptr);
    print_line(text_of(json));
  } else {
    std::fprintf(stderr, "epaxosctl: %s (%s): %s\n", std::string(to_string(outcome.kind)).c_str(),
                 name_of(outcome.replica).c_str(), outcome.reason.c_str());
  }
  return rejected ? kControlRejected : kControlUnknown;
}

/// Of a command that was executed, and whose answer is a no.
std::string_view sentence_of(const kv::KeyValueReply& reply) {
  switch (reply.status) {
    case kv::ReplyStatus::kOk:
      return "ok";
    case kv::ReplyStatus::kNotFound:
      return "not found: the key holds nothing";
    case kv::ReplyStatus::kMismatch:
      return reply.value ? "mismatch: the key holds something else, and nothing changed"
                         : "mismatch: the key holds nothing, and nothing changed";
    case kv::ReplyStatus::kNotANumber:
      return "not a number: the key holds something else, and nothing changed";
    case kv::ReplyStatus::kOverflow:
      return "overflow: the sum does not fit into 64 bits, and nothing changed";
    case kv::ReplyStatus::kValueTooLarge:
      return "value too large: the limit is 65,536 bytes, and nothing changed";
    case kv::ReplyStatus::kReplyTooLarge:
      return "reply too large: the values have more than 1,024,000 bytes; ask for fewer keys at "
             "once";
  }
  return "an answer of another version";
}

void print_reply_text(const kv::KeyValueReply& reply, const std::vector<std::string>& keys) {
  for (std::size_t i = 0; i < reply.values.size(); ++i) {
    const std::string key = i < keys.size() ? keys[i] : std::to_string(i);
    print_line(key + "\t" + reply.values[i].value_or("(not found)"));
  }
  if (reply.status != kv::ReplyStatus::kOk) {
    std::fprintf(stderr, "epaxosctl: %s\n", std::string(sentence_of(reply)).c_str());
  }
  if (reply.value) print_line(*reply.value);
  if (reply.status == kv::ReplyStatus::kOk && !reply.value && reply.values.empty()) {
    print_line("ok");
  }
}

// --- Status ------------------------------------------------------------------------------------

std::string fast_share(const Json& status) {
  const std::uint64_t fast = counter(status, "core", "fast_path");
  const std::uint64_t slow =
      counter(status, "core", "slow_path_mismatch") + counter(status, "core", "slow_path_timer");
  if (fast + slow == 0) return "-";
  return fixed(100.0 * static_cast<double>(fast) / static_cast<double>(fast + slow), 1) + " %";
}

/// "120/118/95": one number a row.
std::string frontier(const Json& status, const char* which) {
  std::string out;
  for (const Json& row : status.at("rows")) {
    out += (out.empty() ? "" : "/") + std::to_string(row.at(which).get<std::uint64_t>());
  }
  return out;
}

void add_row(TextTable& table, const ReplicaReport& report, const Json& status) {
  table.add({"R" + std::to_string(report.replica.value()), report.site,
             status.at("state").get<std::string>(), status.at("role").get<std::string>(),
             status.at("durability").get<std::string>(), status.at("store").value("state", "?"),
             peers_connected(status), fast_share(status),
             grouped(status.at("queues").value("pending", std::uint64_t{0})),
             frontier(status, "committed_up_to"), frontier(status, "executed_up_to"),
             frontier(status, "highest_known"), frontier(status, "floor")});
}

/// "  R1  host  rejected_overloaded  12", for what should be looked at.
void add_counters(TextTable& table, const std::string& replica, const std::string& group,
                  const Json& counters, bool all) {
  for (const auto& [name, value] : counters.items()) {
    if (!all && (value.get<std::uint64_t>() == 0 || !tells_refusal(name))) continue;
    table.add({replica, group, name, grouped(value.get<std::uint64_t>())});
  }
}

/// What the replica remembers for clients, once there is something.
std::string sessions(const std::string& replica, const Json& status) {
  const auto count = [&](const char* name) { return grouped(counter(status, "host", name)); };
  const std::string open = count("session_open");
  const std::string repeated = count("session_duplicates");
  if (open == "0" && repeated == "0") return {};
  return replica + ": sessions open: " + open + ", replies held: " + count("session_replies") +
         ", retries answered from the table: " + repeated + "\n";
}

/// What it takes, and who keeps it from taking less.
std::string room(const std::string& replica, const Json& status) {
  const Json& store = status.at("store");
  const auto count = [](const Json& from, const char* name) {
    return from.at(name).get<std::uint64_t>();
  };
  const auto used_of = [&](std::uint64_t used, std::uint64_t limit) {
    return grouped(used) + " of " + grouped(limit) + " bytes";
  };
  const Json& memory = status.at("memory");
  std::string out = replica + ": in memory " +
                    used_of(count(memory, "held_bytes"), count(memory, "limit_bytes")) +
                    " of instances and keys; on disk ";
  if (store.value("state", "") == "memory") {
    out += "nothing";
  } else {
    out += used_of(count(store, "used_bytes"), count(store, "limit_bytes"));
  }
  const Json* last = nullptr;
  for (const Json& peer : status.at("peers")) {
    const std::uint64_t lacks = count(peer, "lacks_instances");
    if (lacks > 0 && (last == nullptr || lacks > count(*last, "lacks_instances"))) last = &peer;
  }
  if (last != nullptr) {
    out += "; R" + std::to_string(last->at("replica").get<int>()) + " lacks " +
           grouped(count(*last, "lacks_instances")) + " executed instances, the most of all";
  }
  return out + "\n";
}

/// What the next start begins with, and what it must read beside.
std::string images(const std::string& replica, const Json& status) {
  const Json& image = status.at("image");
  const auto count = [&](const char* name) { return image.at(name).get<std::uint64_t>(); };
  std::string out = replica + ": ";
  if (count("number") == 0) {
    out += "no image of the state yet";
  } else {
    out += "image " + std::to_string(count("number")) +
           " of the state: " + grouped(count("bytes")) + " bytes";
  }
  out += "; records since: " + grouped(count("log_bytes")) + " bytes";
  if (image.at("making").get<bool>()) out += "; one is being made";
  if (image.at("fetching").get<bool>()) out += "; that of another replica is being fetched";
  return out + "\n";
}

/// Sentences that an operator should read.
std::string remarks(const std::string& replica, const Json& status) {
  std::string out;
  for (const std::string& text :
       {status.value("stop_reason", ""), status.value("non_voting_reason", ""),
        status.at("store").value("error", ""), status.at("store").value("warning", ""),
        status.at("memory").value("warning", ""), status.at("image").value("trouble", "")}) {
    if (!text.empty()) out += replica + ": " + text + "\n";
  }
  return out;
}

// --- Snapshots ---------------------------------------------------------------------------------

std::string_view word_for(SnapshotReport::State state) {
  switch (state) {
    case SnapshotReport::State::kNoAnswer:
      return "no answer";
    case SnapshotReport::State::kRequested:
      return "requested";
    case SnapshotReport::State::kMade:
      return "made";
    case SnapshotReport::State::kFailed:
      return "failed";
    case SnapshotReport::State::kNotYet:
      return "not yet";
  }
  return "unknown";
}

int status_of(SnapshotReport::State state) {
  switch (state) {
    case SnapshotReport::State::kNoAnswer:
      return kControlUnreachable;
    case SnapshotReport::State::kFailed:
      return kControlRejected;
    case SnapshotReport::State::kNotYet:
      return kControlUnknown;
    case SnapshotReport::State::kRequested:
    case SnapshotReport::State::kMade:
      break;
  }
  return kControlExecuted;
}

}  // namespace

int print_outcome(const net::CallOutcome& outcome, OutputFormat format,
                  const std::vector<std::string>& keys) {
  if (outcome.kind != OutcomeKind::kExecuted) return print_failure(outcome, format);
  const Result<kv::KeyValueReply> reply = kv::decode_reply(outcome.reply);
  if (!reply) {
    std::fprintf(stderr, "epaxosctl: %s answered what is no reply of the key-value machine: %s\n",
                 name_of(outcome.replica).c_str(), reply.error().message.c_str());
    return kControlUnknown;
  }
  if (format == OutputFormat::kTable) {
    print_reply_text(*reply, keys);
    return status_of(reply->status);
  }
  Json json = {{"outcome", to_string(outcome.kind)},
               {"status", to_string(reply->status)},
               {"value", value_json(reply->value)}};
  if (!reply->values.empty()) {
    json["values"] = Json::array();
    for (const auto& value : reply->values) json["values"].push_back(value_json(value));
  }
  json["replica"] = outcome.replica ? Json(outcome.replica->value()) : Json(nullptr);
  json["latency_us"] = outcome.latency_us;
  json["execution_wait_us"] = outcome.execution_wait_us;
  print_line(text_of(json));
  return status_of(reply->status);
}

std::string status_text(const std::vector<ReplicaReport>& reports, bool all) {
  TextTable table({"replica", "site", "state", "role", "durability", "store", "peers", ">fast path",
                   ">pending", "committed", "executed", "known", "floor"});
  TextTable counters({"replica", "part", "counter", ">value"});
  std::string about_room;
  std::string about_images;
  std::string about_sessions;
  std::string notes;
  for (const ReplicaReport& report : reports) {
    const std::string name = "R" + std::to_string(report.replica.value());
    const Json status = Json::parse(report.status, nullptr, /*allow_exceptions=*/false);
    try {
      if (!status.is_object()) {
        table.add({name, report.site, "no answer", "", "", "", "", "", "", "", "", "", ""});
        notes += name + " (" + report.address +
                 "): " + (report.reason.empty() ? "it answered what is no status" : report.reason) +
                 "\n";
        continue;
      }
      add_row(table, report, status);
      for (const auto& [group, values] : status.at("counters").items()) {
        add_counters(counters, name, group, values, all);
      }
      for (const Json& peer : status.at("peers")) {
        const std::string group = "to R" + std::to_string(peer.at("replica").get<int>());
        add_counters(counters, name, group, peer.at("counters"), all);
      }
      about_room += room(name, status);
      about_images += images(name, status);
      about_sessions += sessions(name, status);
      notes += remarks(name, status);
    } catch (const Json::exception& error) {
      notes += name + ": its status is of another version: " + error.what() + "\n";
    }
  }
  std::string out = table.text();
  if (counters.rows() > 0) out += "\n" + counters.text();
  if (!about_room.empty()) out += "\n" + about_room;
  if (!about_images.empty()) out += "\n" + about_images;
  if (!about_sessions.empty()) out += "\n" + about_sessions;
  if (!notes.empty()) out += "\n" + notes;
  return out;
}

int print_status(const std::vector<ReplicaReport>& reports, OutputFormat format, bool all) {
  bool complete = true;
  Json list = Json::array();
  for (const ReplicaReport& report : reports) {
    complete = complete && !report.status.empty();
    Json status = Json::parse(report.status, nullptr, /*allow_exceptions=*/false);
    if (!status.is_object()) {
      status = {{"replica", report.replica.value()}, {"error", report.reason}};
    }
    list.push_back(std::move(status));
  }
  const bool as_table = format == OutputFormat::kTable;
  print_as(format, list, as_table ? status_text(reports, all) : std::string());
  return complete ? kControlExecuted : kControlUnreachable;
}

std::optional<ImageFacts> image_facts(const std::string& status) {
  const Json json = Json::parse(status, nullptr, /*allow_exceptions=*/false);
  try {
    const Json& image = json.at("image");
    return ImageFacts{image.at("number"),
                      image.at("bytes"),
                      counter(json, "images", "failed"),
                      json.at("durability") != "none",
                      image.at("waits_for_peer"),
                      image.at("trouble")};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

int print_snapshots(const std::vector<SnapshotReport>& reports, OutputFormat format) {
  int exit_status = kControlExecuted;
  TextTable table({"replica", "site", "snapshot", ">image", ">bytes"});
  std::string notes;
  Json list = Json::array();
  for (const SnapshotReport& report : reports) {
    exit_status = std::max(exit_status, status_of(report.state));
    const std::string name = "R" + std::to_string(report.replica.value());
    const bool made = report.state == SnapshotReport::State::kMade;
    const std::string word(word_for(report.state));
    table.add({name, report.site, word, made ? std::to_string(report.number) : "-",
               made ? grouped(report.bytes) : "-"});
    if (!report.reason.empty()) notes += name + ": " + report.reason + "\n";
    Json json = {{"replica", report.replica.value()}, {"snapshot", word}};
    if (made) json.update({{"image", report.number}, {"bytes", report.bytes}});
    if (!report.reason.empty()) json["reason"] = report.reason;
    list.push_back(std::move(json));
  }
  print_as(format, list, table.text(), notes);
  return exit_status;
}

}  // namespace epaxos
