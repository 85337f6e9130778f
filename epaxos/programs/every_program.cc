#include "epaxos/programs/every_program.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace epaxos {

std::string version_line(const std::string& program) {
  return program + " " + EPAXOS_VERSION;
}

std::string refuse_empty(const std::string& argument) {
  const bool blank = argument.find_first_not_of(' ') == std::string::npos;
  return blank ? "is empty; give it a value, or leave it out" : "";
}

bool output_written(const std::string& program) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return true;
  std::fprintf(stderr, "%s: the answer could not be written: %s.\n", program.c_str(),
               std::strerror(errno));
  return false;
}

}  // namespace epaxos
