#include "bench/report/progress.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

#include "bench/report/clock.h"

namespace epaxos::bench {

Progress::Progress(double total_s, Elsewhere elsewhere)
    : terminal_(::isatty(STDERR_FILENO) == 1), elsewhere_(elsewhere), begin_(seconds_now()) {
  if (total_s > 0) expect(total_s);
}

Progress::~Progress() {
  clear();
}

void Progress::stage(std::string_view name) {
  stage_ = name;
  if (terminal_) return draw();
  if (elsewhere_ == Elsewhere::kNothing) return;
  std::fprintf(stderr, "[%5.1f s] %s\n", seconds_now() - begin_, stage_.c_str());
}

void Progress::expect(double left_s) {
  end_ = seconds_now() + left_s;
}

void Progress::tick() {
  if (terminal_ && seconds_now() - drawn_ > 0.1) draw();
}

void Progress::clear() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::draw() {
  drawn_ = seconds_now();
  std::fprintf(stderr, "\r\033[K%s", stage_.c_str());
  if (end_) std::fprintf(stderr, ", about %.0f s left", std::max(0.0, *end_ - drawn_));
  std::fflush(stderr);
}

}  // namespace epaxos::bench
