// epaxos-bench: measures clusters from inside and from outside.

#include <CLI/CLI.hpp>

#include "bench/subcommands.h"
#include "epaxos/programs/command_line.h"
#include "epaxos/programs/every_program.h"

int main(int argc, char** argv) {
  CLI::App app("Measures replicated commands: throughput, latency, and what they cost.",
               "epaxos-bench");
  epaxos::explain_mistakes(app);
  app.set_version_flag("--version", epaxos::version_line("epaxos-bench"), "Print the version");
  app.require_subcommand(1);
  int status = 0;
  epaxos::bench::add_throughput(app, status);
  epaxos::bench::add_compare(app, status, epaxos::bench::show_wan_diff);
  epaxos::bench::add_away(app, status);
  epaxos::bench::add_demo(app, status);
  epaxos::bench::add_client(app, status);
  epaxos::bench::add_predict(app, status);
  epaxos::bench::add_wan(app, status);
  epaxos::bench::add_wan_merge(app, status);
  epaxos::bench::add_wan_diff(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error) == 0 ? 0 : 1;
  }
  return epaxos::output_written("epaxos-bench") || status != 0 ? status : 1;
}
