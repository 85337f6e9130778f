#pragma once

// The subcommands of epaxos-bench. Each adds itself to the command line, and when it is chosen its
// callback runs it and leaves the exit status in `status`.

#include <string>

namespace CLI {
class App;
}

namespace epaxos::bench {

/// `throughput`: processes that embed a node each, with a closed-loop load inside.
void add_throughput(CLI::App& app, int& status);
/// `compare`: the protocols under one load, side by side; or what show_diff() says of two files.
void add_compare(CLI::App& app, int& status,
                 int (*show_diff)(const char* name, const std::string& before,
                                  const std::string& after));
/// `away`: the same processes, one of which is killed and comes back.
void add_away(CLI::App& app, int& status);
/// `client`: a load from outside, on replicas that run already.
void add_client(CLI::App& app, int& status);
/// `demo`: five replicas and their clients on this machine, and a table.
void add_demo(CLI::App& app, int& status);
/// `predict`: the latency that is possible on a matrix of delays.
void add_predict(CLI::App& app, int& status);
/// `wan`: protocols on such a matrix, and what was measured beside what is possible.
void add_wan(CLI::App& app, int& status);
/// `wan-merge`: what clients measured on the machines of several sites, as one result of it.
void add_wan_merge(CLI::App& app, int& status);
/// `wan-diff`: what changed between two results of it.
void add_wan_diff(CLI::App& app, int& status);
/// The same for these files, as a subcommand that complains as `name`. Returns the exit status.
int show_wan_diff(const char* name, const std::string& before_path, const std::string& after_path);

}  // namespace epaxos::bench
