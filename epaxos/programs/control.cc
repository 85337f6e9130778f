#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "epaxos/node/config.h"
#include "epaxos/programs/command_line.h"
#include "epaxos/programs/control_output.h"
#include "epaxos/programs/duration.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/process.h"
#include "epaxos/programs/programs.h"
#include "epaxos/programs/text_table.h"

namespace epaxos {
namespace {

constexpr const char* kControlFooter = R"(
A command goes to the replica that answers fastest, and to another one when that can do no harm.
What changes something does so once, although it is sent again, to whoever answers, when a replica
breaks off; only after --timeout is it unknown. With --no-session it is sent once.
A VALUE of "-" is read from the standard input.

Reads go through consensus, except with --stale. What begins with "-" and is no option needs "--"
before it; a negative DELTA does not.

Exit status:
  0  executed
  1  the command line or the cluster file is wrong
  2  rejected: certainly not executed, so it is safe to try again
  3  unknown: it may have been executed, or may yet be
  4  executed, and the key holds nothing
  5  executed, and the store said no: mismatch, not a number, overflow, value too large
  6  a replica did not answer (status, digest, snapshot, leader, member)
  7  the answer could not be written to the standard output)";

struct ControlOptions {
  std::string config_path;
  std::optional<int> replica;
  std::string timeout = "5s";
  std::string output = "table";

  std::string key;
  std::string value;
  std::string expected;
  std::string delta = "1";
  std::vector<std::string> words;
  std::optional<int> to;
  bool absent = false;
  bool stale = false;
  bool all = false;
  bool no_session = false;
  bool wait = false;

  [[nodiscard]] OutputFormat format() const {
    return output == "json" ? OutputFormat::kJson : OutputFormat::kTable;
  }
};

/// A wish and its cluster; what the subcommands work with.
class Control {
 public:
  Control(const ControlOptions& options, ClusterConfig cluster)
      : options_(options), cluster_(std::move(cluster)) {}

  Result<void> open() {
    net::ClientOptions client;
    for (const ReplicaSettings& replica : cluster_.replicas) {
      if (replica.client.empty()) continue;
      client.addresses.push_back(replica.client);
      ids_.push_back(static_cast<int>(&replica - cluster_.replicas.data()));
    }
    if (client.addresses.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  "No replica of the file has a client address. Add one: client = "
                  "\"tcp://HOST:PORT\".");
    }
    client.cluster = cluster_.id;
    client.request_timeout_us = *duration_from(options_.timeout);
    client.exactly_once = !options_.no_session;
    auto opened = net::Client::open(client);
    if (!opened) return fail(opened.error());
    client_ = *std::move(opened);
    return {};
  }

  int run(const kv::Payload& payload, bool reads_only, const std::vector<std::string>& keys = {}) {
    net::SubmitOptions how;
    how.reads_only = reads_only;
    if (options_.replica) {
      const auto place = place_of(*options_.replica);
      if (!place) return no_such_replica();
      how.replica = place;
    }
    const auto kind = options_.stale ? net::RequestKind::kQuery : net::RequestKind::kPropose;
    net::CallOutcome outcome = client_->call(kind, payload, how);
    if (outcome.replica) outcome.replica = id_of(*outcome.replica);
    return print_outcome(outcome, options_.format(), keys);
  }

  int status() {
    std::vector<ReplicaReport> reports;
    if (!ask_all(net::RequestKind::kStatus, reports)) return no_such_replica();
    return print_status(reports, options_.format(), options_.all);
  }

  int digest() {
    std::vector<ReplicaReport> reports;
    if (!ask_all(net::RequestKind::kDigest, reports)) return no_such_replica();
    return print_digests(reports);
  }

  /// Wishes for an image of every replica's state. To wait for it ends with --timeout.
  int snapshot() {
    const Deadline deadline = std::chrono::steady_clock::now() +
                              std::chrono::microseconds(*duration_from(options_.timeout));
    std::vector<ReplicaReport> before;
    if (options_.wait && !ask_all(net::RequestKind::kStatus, before)) return no_such_replica();
    std::vector<ReplicaReport> answers;
    if (!ask_all(net::RequestKind::kSnapshot, answers)) return no_such_replica();
    std::vector<SnapshotReport> reports;
    for (const ReplicaReport& answer : answers) {
      SnapshotReport& report = reports.emplace_back();
      report.replica = answer.replica;
      report.site = answer.site;
      report.reason = answer.reason;
      if (answer.answered) report.state = SnapshotReport::State::kRequested;
    }
    if (options_.wait) wait_for_images(before, deadline, reports);
    return print_snapshots(reports, options_.format());
  }

  int leader() {
    std::vector<ReplicaReport> reports;
    if (!ask_all(net::RequestKind::kStatus, reports)) return no_such_replica();
    return print_lead(reports, options_.format());
  }

  int members() {
    std::vector<ReplicaReport> reports;
    if (!ask_all(net::RequestKind::kStatus, reports)) return no_such_replica();
    return print_members(reports, options_.format());
  }

  /// Wishes that another replica leads, and waits for that, for --timeout at most.
  int transfer_leadership() {
    const Deadline deadline = std::chrono::steady_clock::now() +
                              std::chrono::microseconds(*duration_from(options_.timeout));
    std::vector<ReplicaReport> reports;
    if (!ask_all(net::RequestKind::kStatus, reports)) return no_such_replica();
    const Lead lead = lead_of(reports);
    if (!lead.leader) {
      const int exit_status = print_lead(reports, options_.format());
      return exit_status == kControlExecuted ? kControlRejected : exit_status;
    }
    const auto to = options_.to ? ReplicaId(static_cast<std::uint16_t>(*options_.to))
                                : successor_of(*lead.leader, reports);
    if (!to) return refused("no other replica has answered that may vote, so nobody can lead.");
    if (to == lead.leader) return refused(name(*to) + " leads already.");
    const std::uint16_t number = to->value();
    net::SubmitOptions how;
    how.replica = place_of(lead.leader->value());
    const net::CallOutcome outcome = client_->call(net::RequestKind::kTransferLeadership,
                                                   std::as_bytes(std::span(&number, 1)), how);
    if (outcome.kind == OutcomeKind::kRejected) return refused(outcome.reason);
    return wait_for_leader(*to, deadline);
  }

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  static std::string name(ReplicaId replica) { return "R" + std::to_string(replica.value()); }

  static int refused(const std::string& why) {
    std::fprintf(stderr, "epaxosctl: %s\n", why.c_str());
    return kControlRejected;
  }

  int wait_for_leader(ReplicaId to, Deadline deadline) {
    while (true) {
      std::vector<ReplicaReport> reports;
      ask_all(net::RequestKind::kStatus, reports);
      if (lead_of(reports).leader == to) return print_lead(reports, options_.format());
      if (std::chrono::steady_clock::now() >= deadline) {
        std::fprintf(stderr,
                     "epaxosctl: %s does not lead yet. The leader gives up after an election "
                     "timeout; see \"epaxosctl leader show\" and try again.\n",
                     name(to).c_str());
        return kControlUnknown;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void wait_for_images(const std::vector<ReplicaReport>& before, Deadline deadline,
                       std::vector<SnapshotReport>& reports) {
    using State = SnapshotReport::State;
    while (true) {
      std::vector<ReplicaReport> now;  // Of those that are waited for.
      std::vector<std::size_t> places;
      for (std::size_t i = 0; i < reports.size(); ++i) {
        if (reports[i].state != State::kRequested) continue;
        places.push_back(i);
        now.push_back({before[i].replica, before[i].address, before[i].site, false, "", ""});
      }
      if (now.empty()) return;
      ask(net::RequestKind::kStatus, now);
      const bool over = std::chrono::steady_clock::now() >= deadline;
      for (std::size_t i = 0; i < now.size(); ++i) {
        SnapshotReport& report = reports[places[i]];
        note_image(before[places[i]], now[i], report);
        if (over && report.state == State::kRequested) report.state = State::kNotYet;
      }
      if (!over) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  /// What one more status says. A replica that is silent for a moment may yet answer.
  static void note_image(const ReplicaReport& before, const ReplicaReport& now,
                         SnapshotReport& report) {
    const std::optional<ImageFacts> then = image_facts(before.status);
    const std::optional<ImageFacts> facts = image_facts(now.status);
    if (!then || !facts) {
      if (now.answered) report.reason = "its status does not tell about images";
      return;
    }
    if (facts->number != then->number && facts->number > 0) {
      report.state = SnapshotReport::State::kMade;
      report.number = facts->number;
      report.bytes = facts->bytes;
    } else if (facts->failed > then->failed) {
      report.state = SnapshotReport::State::kFailed;
      report.reason = facts->trouble;
    }
  }

  [[nodiscard]] std::optional<ReplicaId> place_of(int replica) const {
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (ids_[i] == replica) return ReplicaId(static_cast<std::uint16_t>(i));
    }
    return std::nullopt;
  }
  [[nodiscard]] ReplicaId id_of(ReplicaId place) const {
    return ReplicaId(static_cast<std::uint16_t>(ids_[place.value()]));
  }

  [[nodiscard]] int no_such_replica() const {
    std::string there;
    for (const int id : ids_) there += (there.empty() ? "" : ", ") + std::to_string(id);
    std::fprintf(stderr,
                 "epaxosctl: the file lists no replica %d with a client address. Choose one of "
                 "these: %s.\n",
                 *options_.replica, there.c_str());
    return kControlBadUsage;
  }

  /// Asks every replica at once, or the one that was wished for. False: there is no such replica.
  bool ask_all(net::RequestKind kind, std::vector<ReplicaReport>& reports) {
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (options_.replica.value_or(ids_[i]) != ids_[i]) continue;
      const auto& settings = cluster_.replicas[static_cast<std::size_t>(ids_[i])];
      reports.push_back({id_of(ReplicaId(static_cast<std::uint16_t>(i))), settings.client,
                         settings.site, false, "", ""});
    }
    ask(kind, reports);
    return !reports.empty();
  }

  /// Asks these, and waits for all answers.
  void ask(net::RequestKind kind, std::vector<ReplicaReport>& reports) {
    std::size_t open = reports.size();
    for (ReplicaReport& report : reports) {
      net::SubmitOptions how;
      how.reads_only = true;
      how.replica = place_of(report.replica.value());
      const auto submitted =
          client_->submit(kind, {}, how, [&report, &open](const net::ClientOutcome& outcome) {
            --open;
            if (outcome.kind != OutcomeKind::kExecuted) {
              report.reason = std::string(outcome.reason);
              return;
            }
            report.answered = true;
            report.status.assign(reinterpret_cast<const char*>(outcome.reply.data()),
                                 outcome.reply.size());
          });
      if (!submitted) {
        report.reason = submitted.error().message;
        --open;
      }
    }
    while (open > 0) client_->poll(100'000);
  }

  int print_digests(const std::vector<ReplicaReport>& reports) const {
    bool complete = true;
    TextTable table({"replica", "site", "digest"});
    std::string json, notes;
    for (const ReplicaReport& report : reports) {
      std::uint64_t digest = 0;
      const bool answered = report.status.size() == sizeof(digest);
      if (answered) std::memcpy(&digest, report.status.data(), sizeof(digest));
      char hex[17];
      std::snprintf(hex, sizeof(hex), "%016llx", static_cast<unsigned long long>(digest));
      complete = complete && answered;
      const std::string id = std::to_string(report.replica.value());
      table.add({"R" + id, report.site, answered ? hex : "no answer"});
      if (!answered) notes += "\nR" + id + " (" + report.address + "): " + report.reason;
      json += (json.empty() ? "" : ",") + ("{\"replica\":" + id) +
              ",\"digest\":" + (answered ? "\"" + std::string(hex) + "\"" : "null") + "}";
    }
    const bool as_json = options_.format() == OutputFormat::kJson;
    if (!notes.empty()) notes += "\n";
    std::fputs(as_json ? ("[" + json + "]\n").c_str() : (table.text() + notes).c_str(), stdout);
    return complete ? kControlExecuted : kControlUnreachable;
  }

  const ControlOptions& options_;
  ClusterConfig cluster_;
  std::vector<int> ids_;  // Of the replicas that the client knows, in its order.
  std::unique_ptr<net::Client> client_;
};

using Action = std::function<int(Control&)>;

/// "-" is the standard input, whole; no more of it is read than a value may have.
Result<std::string> value_or_input(const std::string& value) {
  if (value != "-") return value;
  std::string input(kv::kValueBytesMax + 1, '\0');
  input.resize(std::fread(input.data(), 1, input.size(), stdin));
  if (std::ferror(stdin) != 0) {
    return fail(ErrorCode::kIo,
                "the standard input cannot be read: " + std::string(std::strerror(errno)) + ".");
  }
  if (input.size() <= kv::kValueBytesMax) return input;
  return fail(ErrorCode::kTooLarge, "the standard input has more than " +
                                        std::to_string(kv::kValueBytesMax) +
                                        " bytes, the limit of a value. Nothing was sent.");
}

/// Runs the command that has this value.
int with_value(const std::string& value, const std::function<int(std::string_view)>& run) {
  const Result<std::string> whole = value_or_input(value);
  if (whole) return run(*whole);
  std::fprintf(stderr, "epaxosctl: %s\n", whole.error().message.c_str());
  return kControlBadUsage;
}

/// What is wrong with a key. Checked here too, as a command does not keep how long one was that is
/// longer than it can say.
std::string about_key(const std::string& key) {
  const Result<void> checked = kv::check_key(key);
  return checked ? std::string() : checked.error().message;
}

CLI::Option* add_key(CLI::App& command, ControlOptions& o) {
  return command.add_option("KEY", o.key)->required()->check(about_key);
}

void check_pairs(const std::vector<std::string>& words) {
  std::set<std::string_view> keys;
  for (const std::string& word : words) {
    const std::size_t at = word.find('=');
    if (at == std::string::npos) {
      throw CLI::ValidationError("mput", "\"" + word + "\" has no '='; write KEY=VALUE");
    }
    const std::string key = word.substr(0, at);
    if (const std::string wrong = about_key(key); !wrong.empty()) {
      throw CLI::ValidationError("mput", wrong);
    }
    if (!keys.insert(std::string_view(word).substr(0, at)).second) {
      throw CLI::ValidationError("mput",
                                 "the key \"" + key + "\" is named twice; give it one value");
    }
  }
}

void add_key_commands(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const get = app.add_subcommand("get", "The value of a key");
  add_key(*get, o);
  get->add_flag("--stale", o.stale, "Read one replica without asking the others");
  get->callback([&] { action = [&o](Control& c) { return c.run(kv::get(o.key), true); }; });

  auto* const put = app.add_subcommand("put", "Set a key");
  add_key(*put, o);
  put->add_option("VALUE", o.value)->required();
  put->callback([&] {
    action = [&o](Control& c) {
      return with_value(
          o.value, [&](std::string_view value) { return c.run(kv::put(o.key, value), false); });
    };
  });

  auto* const erase = app.add_subcommand("delete", "Remove a key");
  add_key(*erase, o);
  erase->callback([&] { action = [&o](Control& c) { return c.run(kv::erase(o.key), false); }; });

  auto* const cas = app.add_subcommand("cas", "Set a key if it holds EXPECTED");
  add_key(*cas, o);
  cas->add_option("VALUE", o.value)->required();
  auto* const expected = cas->add_option("--expected", o.expected, "What it must hold");
  cas->add_flag("--absent", o.absent, "It must hold nothing")->excludes(expected);
  cas->callback([&o, &action, expected] {
    if (expected->count() == 0 && !o.absent) {
      throw CLI::ValidationError("cas", "say what the key must hold: --expected TEXT or --absent");
    }
    action = [&o](Control& c) {
      const std::optional<std::string_view> wanted =
          o.absent ? std::nullopt : std::optional<std::string_view>(o.expected);
      return with_value(o.value, [&](std::string_view value) {
        return c.run(kv::compare_and_set(o.key, wanted, value), false);
      });
    };
  });

  auto* const append = app.add_subcommand("append", "Add to the end of a value");
  add_key(*append, o);
  append->add_option("VALUE", o.value)->required();
  append->callback([&] {
    action = [&o](Control& c) {
      return with_value(
          o.value, [&](std::string_view value) { return c.run(kv::append(o.key, value), false); });
    };
  });

  auto* const incr = app.add_subcommand("incr", "Add to a number");
  add_key(*incr, o);
  incr->add_option("DELTA", o.delta, "May be negative")
      ->check([](const std::string& text) {
        const Result<std::int64_t> delta = whole_number_from(text);
        return delta ? std::string() : delta.error().message;
      })
      ->capture_default_str();
  incr->callback([&] {
    action = [&o](Control& c) {
      return c.run(kv::increment(o.key, *whole_number_from(o.delta)), false);
    };
  });
}

void add_multi_key_commands(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const mput = app.add_subcommand("mput", "Set several keys at once");
  mput->add_option("KEY=VALUE", o.words)->required();
  mput->callback([&] {
    check_pairs(o.words);
    action = [&o](Control& c) {
      std::vector<kv::Entry> entries;
      for (const std::string_view word : o.words) {
        const std::size_t at = word.find('=');
        entries.emplace_back(word.substr(0, at), word.substr(at + 1));
      }
      return c.run(kv::multi_put(entries), false);
    };
  });

  auto* const mget = app.add_subcommand("mget", "The values of several keys, at one moment");
  mget->add_option("KEY", o.words)->required()->check(about_key);
  mget->add_flag("--stale", o.stale, "Read one replica without asking the others");
  mget->callback([&] {
    action = [&o](Control& c) {
      const std::vector<std::string_view> keys(o.words.begin(), o.words.end());
      return c.run(kv::multi_get(keys), true, o.words);
    };
  });
}

void add_questions(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const status = app.add_subcommand("status", "How every replica is");
  status->add_flag("--all", o.all, "Every counter, not only refusals that happened");
  status->callback([&] { action = [](Control& c) { return c.status(); }; });
  auto* const digest = app.add_subcommand("digest", "The fingerprint of every replica's state");
  digest->callback([&] { action = [](Control& c) { return c.digest(); }; });
}

void add_snapshot(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const snapshot = app.add_subcommand(
      "snapshot", "Make an image of every replica's state, so that it starts fast");
  snapshot->add_flag("--wait", o.wait, "Until it is durable, for --timeout at most");
  snapshot->callback([&] { action = [](Control& c) { return c.snapshot(); }; });
}

void add_leader(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const leader = app.add_subcommand("leader", "Who leads, in protocols with a leader");
  leader->require_subcommand(1);
  leader->add_subcommand("show", "Who leads, and what each replica knows of that")->callback([&] {
    action = [](Control& c) { return c.leader(); };
  });
  auto* const transfer = leader->add_subcommand(
      "transfer", "Let another replica lead, and wait for that, for --timeout at most");
  transfer->add_option("--to", o.to, "The replica that is to lead; otherwise one that answers")
      ->check(CLI::Range(0, kReplicasMax - 1));
  transfer->callback([&] { action = [](Control& c) { return c.transfer_leadership(); }; });
}

void add_member(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const member = app.add_subcommand("member", "Who belongs to the group");
  member->require_subcommand(1);
  member->add_subcommand("list", "The members, and whether they vote")->callback([&] {
    action = [](Control& c) { return c.members(); };
  });
  const auto refuse = [&o, &action](CLI::App* command) {
    command->add_option("REPLICA", o.words, "Whatever it is, the answer is the same");
    command->callback([&action] {
      action = [](Control&) {
        std::fputs(
            "epaxosctl: the members of a group cannot change yet, in any protocol: they are those "
            "of the cluster file. A replica whose machine is lost comes back under its own number "
            "with an empty directory; for another number of replicas start a new cluster.\n",
            stderr);
        return kControlRejected;
      };
    });
  };
  refuse(member->add_subcommand("add", "Not offered yet: says what to do instead"));
  refuse(member->add_subcommand("remove", "Not offered yet: says what to do instead"));
}

void describe(CLI::App& app, ControlOptions& o, Action& action) {
  explain_mistakes(app);
  app.set_version_flag("--version", version_line("epaxosctl"), "Print the version");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--config", o.config_path, "The cluster file, in TOML")->required();
  app.add_option("--replica", o.replica, "Ask this replica and no other")->check(refuse_empty);
  app.add_option("--timeout", o.timeout, "How long an answer is waited for: 5s, 500ms, 2m, 1h")
      ->check([](const std::string& text) {
        const Result<Tick> duration = duration_from(text);
        return duration ? std::string() : duration.error().message;
      })
      ->capture_default_str();
  app.add_flag("--no-session", o.no_session, "Send what changes something once, and no more");
  app.add_option("--output", o.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  app.footer(kControlFooter);
  add_key_commands(app, o, action);
  add_multi_key_commands(app, o, action);
  add_questions(app, o, action);
  add_snapshot(app, o, action);
  add_leader(app, o, action);
  add_member(app, o, action);
}

int run_control(int argc, char** argv) {
  CLI::App app("epaxosctl: commands and questions for the replicas of a cluster.", "epaxosctl");
  ControlOptions options;
  Action action;
  describe(app, options, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kControlExecuted : kControlBadUsage;
  }
  auto cluster = ClusterConfig::load(options.config_path);
  if (!cluster) {
    std::fprintf(stderr, "epaxosctl: %s\n", cluster.error().message.c_str());
    return kControlBadUsage;
  }
  Control control(options, *std::move(cluster));
  if (const Result<void> opened = control.open(); !opened) {
    std::fprintf(stderr, "epaxosctl: %s\n", opened.error().message.c_str());
    return kControlBadUsage;
  }
  return action(control);
}

}  // namespace

int control(int argc, char** argv) {
  open_standard_streams();
  const int exit_status = run_control(argc, argv);
  return output_written("epaxosctl") ? exit_status : kControlNotWritten;
}

}  // namespace epaxos
