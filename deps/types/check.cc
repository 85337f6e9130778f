#include "deps/types/check.h"

#include <cstdio>
#include <cstdlib>

namespace epaxos {
namespace {

void print_and_abort(const char* why, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, why);
  std::abort();
}

CheckHandler g_handler = print_and_abort;

}  // namespace

CheckHandler set_check_handler(CheckHandler handler) noexcept {
  const CheckHandler before = g_handler;
  g_handler = handler == nullptr ? print_and_abort : handler;
  return before;
}

void check_failed(const char* why, const char* file, int line) {
  g_handler(why, file, line);
  std::abort();
}

}  // namespace epaxos
