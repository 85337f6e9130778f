#include "epaxos/storage/file_system.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace epaxos::storage {
namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kOutOfSpace;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return ErrorCode::kInvalidArgument;
    default:
      return ErrorCode::kIo;
  }
}

/// Closes on every way out.
class File {
 public:
  File(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags, 0640)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] bool open() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

constexpr std::size_t kSpareBytes = 512;  // Any: a file takes whole blocks.

bool write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

bool means_no_space(int error_number) {
  return error_number == ENOSPC || error_number == EDQUOT;
}

/// What the operator can do about it.
std::string_view advice(int error_number) {
  if (means_no_space(error_number)) return "; free some space and start again";
  switch (error_number) {
    case EMFILE:
      return "; raise the limit of open files (ulimit -n) and start again";
    case ENFILE:
      return "; close files of other processes, or raise fs.file-max, and start again";
    case ENOMEM:
      return "; the store is mapped into memory: raise the limit of the address space (ulimit -v) "
             "and "
             "start again";
    default:
      return "";
  }
}

Failure system_failure(std::string_view path, std::string_view what, int error_number) {
  const ErrorCode code = code_of(error_number);
  return fail(code, std::string(path) + ": " + std::string(what) + ": " +
                        std::system_category().message(error_number) +
                        std::string(advice(error_number)));
}

Result<void> sync_directory(const std::string& directory) {
  const File file(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!file.open() || ::fsync(file.descriptor()) != 0) {
    return system_failure(directory, "the directory cannot be made durable", errno);
  }
  return {};
}

namespace {

/// Puts the new file in the place of the old one, which keeps its blocks under the other name.
bool put_in_place(const std::string& temporary, const std::string& path) {
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    return true;
  }
  // There is no old one, or the file system cannot exchange names.
  if (::rename(temporary.c_str(), path.c_str()) != 0) return false;
  [[maybe_unused]] const Result<void> spare = write_zeros(temporary, kSpareBytes);
  return true;
}

}  // namespace

Result<void> replace_file(const std::string& directory, const std::string& name,
                          std::string_view content) {
  const std::string path = directory + "/" + name;
  const std::string temporary = path + ".new";
  {
    // Over what is there: on a full disk its blocks are the only ones to be had.
    const File file(temporary, O_WRONLY | O_CREAT | O_CLOEXEC);
    if (!file.open()) return system_failure(temporary, "cannot be created", errno);
    if (!write_all(file.descriptor(), content) ||
        ::ftruncate(file.descriptor(), static_cast<off_t>(content.size())) != 0 ||
        ::fsync(file.descriptor()) != 0) {
      return system_failure(temporary, "cannot be written", errno);
    }
  }
  if (!put_in_place(temporary, path)) return system_failure(path, "cannot be replaced", errno);
  return sync_directory(directory);
}

Result<void> write_zeros(const std::string& path, std::size_t bytes) {
  // Without truncating it first: blocks that it has are not given back on a full disk.
  const File file(path, O_WRONLY | O_CREAT | O_CLOEXEC);
  if (!file.open()) return system_failure(path, "cannot be created", errno);
  if (!write_all(file.descriptor(), std::string(bytes, '\0')) ||
      ::ftruncate(file.descriptor(), static_cast<off_t>(bytes)) != 0) {
    return system_failure(path, "cannot be written", errno);
  }
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const File file(path, O_RDONLY | O_CLOEXEC);
  if (!file.open()) return system_failure(path, "cannot be opened", errno);
  std::string content(bytes_max + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = ::read(file.descriptor(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(path, "cannot be read", errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > bytes_max)
    return fail(ErrorCode::kTooLarge, path + ": is too large to be what it should be");
  content.resize(size);
  return content;
}

std::uint64_t available_bytes(const std::string& path) {
  struct statvfs information {};
  if (::statvfs(path.c_str(), &information) != 0) return UINT64_MAX;
  return information.f_bavail * information.f_frsize;
}

}  // namespace epaxos::storage
