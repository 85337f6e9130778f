#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "epaxos/node/config.h"
#include "epaxos/programs/command_line.h"
#include "epaxos/programs/control_requests.h"
#include "epaxos/programs/duration.h"
#include "epaxos/programs/every_program.h"
#include "epaxos/programs/process.h"
#include "epaxos/programs/programs.h"

namespace epaxos {
namespace {

constexpr const char* kControlFooter = R"(
A command goes to the replica that answers fastest, and to another one when that can do no harm.
What changes something does so once, although it is sent again, to whoever answers, when a replica
breaks off; only after --timeout is it unknown. With --no-session it is sent once.
A VALUE of "-" is read from the standard input.

With --protocol paxos, which decides once, write with --no-session: else the opening of the session
takes the one decision.

Reads go through consensus, except with --stale. What begins with "-" and is no option needs "--"
before it; a negative DELTA does not.

Exit status:
  0  executed
  1  the command line or the cluster file is wrong
  2  rejected: certainly not executed, so it is safe to try again
  3  unknown: it may have been executed, or may yet be
  4  executed, and the key holds nothing
  5  executed, and the store said no: mismatch, not a number, overflow, value too large
  6  a replica did not answer (status, digest, snapshot, leader, member, explain)
  7  the answer could not be written to the standard output)";

constexpr const char* kDigestFooter = R"(
Replicas that have executed the same commands have the same digest. Compare when no command runs and
nobody is behind: the column "executed" is then the same for all of them.)";

constexpr const char* kExplainFooter = R"(
An INSTANCE is written R2.17: slot 17 of the row of replica 2, its owner. Its owner is asked, unless
--replica names another one: who recovered it knows of that, and others what they know. With
--slowest every replica says which of its last instances took longest, those under way first.

Exit status 2: nothing is known of it, and why not; 6: the replica did not answer.)";

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

  auto* const cas =
      app.add_subcommand("cas",
                         "Set a key to NEW if it holds OLD: cas KEY NEW --expected OLD "
                         "(or --absent)");
  add_key(*cas, o);
  cas->add_option("NEW", o.value)->required();
  auto* const expected =
      cas->add_option("--expected", o.expected, "What it must hold")->type_name("OLD");
  cas->add_flag("--absent", o.absent, "It must hold nothing")->excludes(expected);
  cas->callback([&o, &action, expected] {
    if (expected->count() == 0 && !o.absent) {
      throw CLI::ValidationError(
          "cas", "say what the key must hold: cas KEY NEW --expected OLD, or --absent");
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
  digest->footer(kDigestFooter);
  digest->callback([&] { action = [](Control& c) { return c.digest(); }; });
}

void add_explain(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const explain =
      app.add_subcommand("explain", "Why the commands of an instance took so long (epaxos)");
  auto* const instance =
      explain->add_option("INSTANCE", o.instance, "As R2.17")->check([](const std::string& text) {
        if (instance_from(text)) return std::string();
        return "\"" + text +
               "\" is no name of an instance: write R2.17 for slot 17 of "
               "the row of replica 2; slots begin at 1";
      });
  explain->add_flag("--slowest", o.slowest, "Which ones took longest")->excludes(instance);
  explain->footer(kExplainFooter);
  explain->callback([&o, &action] {
    if (o.instance.empty() && !o.slowest) {
      throw CLI::ValidationError("explain", "say which instance: explain R2.17, or --slowest");
    }
    action = [](Control& c) { return c.explain(); };
  });
}

void add_snapshot(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const snapshot = app.add_subcommand(
      "snapshot", "Make an image of every replica's state, so that it starts fast");
  snapshot->add_flag("--wait", o.wait, "Until it is there, for --timeout at most");
  snapshot->callback([&] { action = [](Control& c) { return c.snapshot(); }; });
}

CLI::Validator replica_number() {
  return CLI::Validator(
      [](const std::string& text) {
        const Result<std::int64_t> number = whole_number_from(text);
        if (number && *number >= 0 && *number < kReplicasMax) return std::string();
        return "\"" + text +
               "\" is not accepted: replicas have the numbers 0 to 8, in the order of the cluster "
               "file.";
      },
      "");
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
      ->check(replica_number());
  transfer->callback([&] { action = [](Control& c) { return c.transfer_leadership(); }; });
}

void add_member(CLI::App& app, ControlOptions& o, Action& action) {
  auto* const member = app.add_subcommand("member", "Who belongs to the group");
  member->require_subcommand(1);
  member->add_subcommand("list", "The members, and whether they vote")->callback([&] {
    action = [](Control& c) { return c.members(); };
  });
  const auto change = [&](const char* name, const char* what, MemberChange how) {
    auto* const command = member->add_subcommand(name, what);
    command->add_option("--id", o.member, "The replica, by its place in the cluster file")
        ->required()
        ->check(replica_number());
    command->callback(
        [&action, how] { action = [how](Control& c) { return c.change_members(how); }; });
  };
  change("add", "Let a spare join once it has caught up, and wait for that (raft, raft-all)",
         MemberChange::kAdd);
  change("remove", "Let a member leave, and wait for that (raft, raft-all)", MemberChange::kRemove);
}

/// --config and the like belong to the program, whose help alone lists them.
void name_the_common_help(CLI::App& app) {
  for (CLI::App* const each : app.get_subcommands([](CLI::App*) { return true; })) {
    const std::string own = each->get_footer();
    each->footer(own + (own.empty() ? "\n" : "\n\n") +
                 "--config and what else every subcommand takes: \"epaxosctl --help\".");
    name_the_common_help(*each);
  }
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
  add_explain(app, o, action);
  add_snapshot(app, o, action);
  add_leader(app, o, action);
  add_member(app, o, action);
  name_the_common_help(app);
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
