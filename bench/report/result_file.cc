#include "bench/report/result_file.h"

#include <cerrno>
#include <cstring>

namespace epaxos::bench {

Failure ResultFile::not_written() const {
  return fail(ErrorCode::kIo, path_ + " cannot be written: " + std::strerror(errno) +
                                  ". Name another file with " + option_ + ".");
}

Result<void> ResultFile::open(const std::string& path) {
  if (path.empty()) return {};
  path_ = path;
  file_.reset(std::fopen(path.c_str(), "we"));
  return file_ == nullptr ? not_written() : Result<void>();
}

Result<void> ResultFile::write(const std::string& text) {
  if (file_ == nullptr) return {};
  const bool all = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
  if (std::fclose(file_.release()) != 0 || !all) return not_written();
  return {};
}

}  // namespace epaxos::bench
