#include "epaxos/programs/command_line.h"

#include <charconv>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "epaxos/node/config_keys.h"

namespace epaxos {
namespace {

/// The subcommand that was chosen, however deep it lies, or the program. `path`: its whole name.
const CLI::App& chosen(const CLI::App& app, std::string& path) {
  const CLI::App* to = &app;
  path = app.get_name();
  while (!to->get_subcommands().empty()) {
    to = to->get_subcommands().front();
    path += " " + to->get_name();
  }
  return *to;
}

const CLI::App& chosen(const CLI::App& app) {
  std::string path;
  return chosen(app, path);
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help") names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> subcommands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* const subcommand : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(subcommand->get_name());
  return names;
}

std::string hint(const std::string& unknown, const std::vector<std::string>& known) {
  return config::hint(unknown, std::vector<std::string_view>(known.begin(), known.end()));
}

/// The first word that nobody takes.
std::string about_word(const CLI::App& app, const std::string& word) {
  const CLI::App& to = chosen(app);
  const std::string quoted = "\"" + word + "\"";
  if (word.starts_with("--")) {
    std::vector<std::string> known = options_of(app);
    if (&to != &app) {
      for (const std::string& name : options_of(to)) known.push_back(name);
    }
    return quoted + " is no option." + hint(word.substr(0, word.find('=')), known);
  }
  if (word.starts_with("-")) {
    return quoted + " is no option. What begins with \"-\" and is none needs \"--\" before it.";
  }
  if (!subcommands_of(to).empty()) {
    return quoted + " is no subcommand." + hint(word, subcommands_of(to));
  }
  std::string options;
  for (const std::string& name : &to == &app ? std::vector<std::string>() : options_of(to)) {
    options += (options.empty() ? "" : ", ") + name;
  }
  return quoted + " is one argument too many. Put quotes around what has blanks." +
         (options.empty() ? "" : " What else it takes comes after its option: " + options + ".");
}

/// Of an option that came too often, or without what belongs to it.
std::string about_count(const std::string& text) {
  constexpr std::string_view kTooOften = ": At Most 1 required but received ";
  if (const std::size_t at = text.find(kTooOften); at != text.npos) {
    return text.substr(0, at) + " is given " + text.substr(at + kTooOften.size()) +
           " times; give it once.";
  }
  constexpr std::string_view kReceived = " required but received ";
  if (const std::size_t at = text.find(kReceived); at != text.npos) {
    const std::size_t wanted = text.rfind(' ', at - 1) + 1;
    return text.substr(0, text.find(':')) + ": name " + text.substr(wanted, at - wanted) +
           ", not " + text.substr(at + kReceived.size()) + ".";
  }
  if (text.find("flag override") != text.npos) {
    return text.substr(0, text.find(' ')) + " takes no value.";
  }
  return text.substr(0, text.find(':')) + " needs a value after it.";
}

std::string about_error(const CLI::App& app, const CLI::Error& error) {
  constexpr std::string_view kNoConversion = "Could not convert: ";
  constexpr std::string_view kExcludes = " excludes ";
  const std::string text = error.what();
  if (text.starts_with(kNoConversion)) {
    return text.substr(kNoConversion.size()) + " is not accepted: it takes a whole number.";
  }
  const CLI::App& to = chosen(app);
  if (error.get_name() == "RequiredError" && !subcommands_of(to).empty() &&
      text.find("subcommand") != text.npos) {
    return "a subcommand is required." + hint("", subcommands_of(to));
  }
  if (error.get_name() == "ArgumentMismatch") return about_count(text);
  if (const std::size_t at = text.find(kExcludes); at != text.npos) {
    return text.substr(0, at) + " and " + text.substr(at + kExcludes.size()) +
           " exclude each other; give one of them.";
  }
  return text.ends_with('.') || text.ends_with('?') ? text : text + ".";
}

std::string explanation(const CLI::App* app, const CLI::Error& error) {
  const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
  std::string help;
  chosen(*app, help);
  help += " --help";
  return app->get_name() + ": " +
         (unknown.empty() ? about_error(*app, error) : about_word(*app, unknown.front())) +
         "\nRun \"" + help + "\" for what there is.\n";
}

}  // namespace

void explain_mistakes(CLI::App& app) {
  app.failure_message(explanation);
}

Result<std::int64_t> whole_number_from(std::string_view text) {
  std::int64_t number = 0;
  const bool plus = text.starts_with('+') && !text.starts_with("+-");
  const char* const begin = text.data() + (plus ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  return fail(ErrorCode::kInvalidArgument,
              "\"" + std::string(text) +
                  (error == std::errc::result_out_of_range ? "\" does not fit into 64 bits."
                                                           : "\" is no whole number."));
}

}  // namespace epaxos
