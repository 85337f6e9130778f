#include "bench/throughput/run_directory.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

namespace epaxos::bench {

RunDirectory::~RunDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<void> RunDirectory::make(const std::string& where) {
  std::error_code error;
  const std::filesystem::path parent =
      where.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(where);
  std::string path = (parent / "epaxos-bench-XXXXXX").string();
  if (error) {
    return fail(
        ErrorCode::kIo,
        "There is no directory for temporary files: TMPDIR names none. Name one for the data "
        "with --data.");
  }
  if (::mkdtemp(path.data()) == nullptr) {
    return fail(ErrorCode::kIo, "No directory for the data can be made in " + parent.string() +
                                    ". Name another one with --data.");
  }
  path_ = path;
  return {};
}

std::string RunDirectory::keep() {
  return std::exchange(path_, {});
}

}  // namespace epaxos::bench
