#include "epaxos/programs/command_line.h"

#include <charconv>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "epaxos/node/config_keys.h"

namespace epaxos {
namespace {

/// The subcommand that was chosen, or the program.
const CLI::App& chosen(const CLI::App& app) {
  const auto subcommands = app.get_subcommands();
  return subcommands.empty() ? app : *subcommands.front();
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
  if (&to == &app && !subcommands_of(app).empty()) {
    return quoted + " is no subcommand." + hint(word, subcommands_of(app));
  }
  std::string options;
  for (const std::string& name : &to == &app ? std::vector<std::string>() : options_of(to)) {
    options += (options.empty() ? "" : ", ") + name;
  }
  return quoted + " is one argument too many. Put quotes around what has blanks." +
         (options.empty() ? "" : " What else it takes comes after its option: " + options + ".");
}

std::string about_error(const CLI::App& app, const CLI::Error& error) {
  constexpr std::string_view kNoConversion = "Could not convert: ";
  const std::string text = error.what();
  if (text.starts_with(kNoConversion)) {
    return text.substr(kNoConversion.size()) + " is not accepted: it takes a whole number.";
  }
  if (error.get_name() == "RequiredError" && app.get_subcommands().empty() &&
      !subcommands_of(app).empty() && text.find("subcommand") != text.npos) {
    return "a subcommand is required." + hint("", subcommands_of(app));
  }
  return text.ends_with('.') || text.ends_with('?') ? text : text + ".";
}

std::string explanation(const CLI::App* app, const CLI::Error& error) {
  const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
  const CLI::App& to = chosen(*app);
  const std::string help = app->get_name() + (&to == app ? "" : " " + to.get_name()) + " --help";
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
