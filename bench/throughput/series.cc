#include "bench/throughput/series.h"

#include <cerrno>
#include <cinttypes>
#include <cstring>

#include "bench/report/clock.h"

namespace epaxos::bench {
namespace {

Failure not_written(const std::string& path) {
  return fail(ErrorCode::kIo, "The series cannot be written to " + path + ": " +
                                  std::strerror(errno) + ". Name another file with --series.");
}

}  // namespace

Result<void> Series::open(const std::string& path) {
  if (path.empty()) return {};
  path_ = path;
  file_.reset(std::fopen(path.c_str(), "we"));
  if (file_ == nullptr) return not_written(path_);
  std::fputs("seconds,replica,completed,resident_bytes,store_bytes\n", file_.get());
  begin_s_ = next_s_ = seconds_now();
  return {};
}

bool Series::due() const {
  return file_ != nullptr && seconds_now() >= next_s_;
}

void Series::add(std::span<const Measurement> replicas) {
  const double now = seconds_now();
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const Totals& t = replicas[i].totals;
    if (t.wall_us == 0) continue;
    std::fprintf(file_.get(), "%.2f,%zu,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", now - begin_s_, i,
                 t.completed, t.resident_bytes, replicas[i].store_bytes);
  }
  while (next_s_ <= now) next_s_ += 1;
}

Result<void> Series::close() {
  if (file_ == nullptr) return {};
  const bool wrong = std::ferror(file_.get()) != 0;
  if (std::fclose(file_.release()) != 0 || wrong) return not_written(path_);
  return {};
}

}  // namespace epaxos::bench
