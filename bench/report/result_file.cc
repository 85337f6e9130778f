#include "bench/report/result_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace epaxos::bench {

bool is_one_file(const std::string& one, const std::string& other) {
  std::error_code none;
  return std::filesystem::is_regular_file(one, none) &&
         std::filesystem::equivalent(one, other, none);
}

Failure ResultFile::not_written() const {
  return fail(ErrorCode::kIo, path_ + " cannot be written: " + std::strerror(errno) +
                                  ". Name another file with " + option_ + ".");
}

Result<void> ResultFile::open(const std::string& path) {
  if (path.empty()) return {};
  path_ = path;
  file_.reset(std::fopen(path.c_str(), "ae"));
  return file_ == nullptr ? not_written() : Result<void>();
}

Result<void> ResultFile::open_all(std::initializer_list<Named> files) {
  for (const Named& each : files) {
    if (const Result<void> opened = each.file.open(each.path); !opened) return opened;
  }
  for (const Named* one = files.begin(); one != files.end(); ++one) {
    for (const Named* other = one + 1; other != files.end(); ++other) {
      if (!is_one_file(one->path, other->path)) continue;
      return fail(ErrorCode::kInvalidArgument, std::string(one->file.option_) + " and " +
                                                   other->file.option_ + " name one file, " +
                                                   one->path +
                                                   ", and each would replace what the other "
                                                   "wrote. Name two files.");
    }
  }
  return {};
}

Result<void> ResultFile::write(const std::string& text) {
  if (file_ == nullptr) return {};
  // A pipe or a device has nothing to cut off.
  if (std::error_code none; std::filesystem::is_regular_file(path_, none)) {
    if (::ftruncate(::fileno(file_.get()), 0) != 0) return not_written();
  }
  const bool all = std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size();
  if (std::fclose(file_.release()) != 0 || !all) return not_written();
  return {};
}

}  // namespace epaxos::bench
