#pragma once

// What every program does in the same way. Private to the programs.

#include <string>

namespace epaxos {

/// What --version prints.
std::string version_line(const std::string& program);

/// What is wrong with an argument that is empty, for CLI::Option::check(). What was meant is not
/// that the option is left out.
std::string refuse_empty(const std::string& argument);

/// Whether all that was printed has reached the standard output. If not, the standard error says so
/// in the name of the program.
bool output_written(const std::string& program);

}  // namespace epaxos
