#include "tests/epaxos/storage/power_cut_trace.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <optional>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::storage {
namespace {

using Kind = TraceEvent::Kind;

/// Written by begin() and end(), between which other threads read it.
struct Recording {
  std::atomic<bool> active{false};
  std::string directory;  // Without symbolic links, as the kernel names it.
  std::mutex mutex;
  std::vector<TraceEvent> events;
};

// As calls come from everywhere, also before main(), it is made when it is needed and never ends.
Recording& recording() {
  static auto* const made = new Recording;
  return *made;
}

void note(TraceEvent event) {
  Recording& all = recording();
  const std::lock_guard lock(all.mutex);
  all.events.push_back(std::move(event));
}

/// The name of a file of the directory; nothing for files that do not outlive a power cut: locks.
std::optional<std::string> traced(const std::string& path) {
  const std::string prefix = recording().directory + "/";
  if (!path.starts_with(prefix)) return std::nullopt;
  std::string name = path.substr(prefix.size());
  if (name == "lock" || name == "lock.mdb") return std::nullopt;
  return name;
}

std::string path_of(int descriptor) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

void note_write(int descriptor, std::uint64_t offset, std::string bytes) {
  std::optional<std::string> file = traced(path_of(descriptor));
  if (!file) return;
  TraceEvent event;
  event.kind = Kind::kWrite;
  event.file = *std::move(file);
  event.offset = offset;
  event.bytes = std::move(bytes);
  event.is_synchronous = (::fcntl(descriptor, F_GETFL) & O_DSYNC) != 0;  // O_SYNC has this bit too.
  note(std::move(event));
}

void note_sync(int descriptor) {
  const std::string path = path_of(descriptor);
  const std::string& directory = recording().directory;
  TraceEvent event;
  if (path == directory) {
    event.kind = Kind::kSyncDirectory;
  } else if (path == std::filesystem::path(directory).parent_path()) {
    event.kind = Kind::kSyncParent;
  } else if (std::optional<std::string> file = traced(path)) {
    event.kind = Kind::kSync;
    event.file = *std::move(file);
  } else {
    return;
  }
  note(std::move(event));
}

void note_rename(const std::string& from, const std::string& to, Kind kind = Kind::kRename) {
  const std::optional<std::string> file = traced(from);
  const std::optional<std::string> renamed_to = traced(to);
  if (!file && !renamed_to) return;
  TraceEvent event;
  event.kind = file && renamed_to ? kind : Kind::kOther;
  event.file = file.value_or("");
  event.renamed_to = renamed_to.value_or("");
  event.bytes = "rename";
  note(std::move(event));
}

void note_truncate(const std::string& file, off_t size) {
  TraceEvent event;
  event.kind = Kind::kTruncate;
  event.file = file;
  event.number = static_cast<std::uint64_t>(size);
  note(std::move(event));
}

void note_other(const char* call, const std::string& file) {
  TraceEvent event;
  event.file = file;
  event.bytes = call;
  note(std::move(event));
}

void note_number(Kind kind, std::uint64_t number) {
  if (!recording().active) return;
  TraceEvent event;
  event.kind = kind;
  event.number = number;
  note(std::move(event));
}

/// The function of this name that the program would call without this file.
template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

std::string joined(const iovec* parts, int count, ssize_t bytes) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  all.resize(static_cast<std::size_t>(bytes));  // Fewer when the write was short.
  return all;
}

/// What the caller sees of the call stays: its result and errno.
template <class Note>
void after(ssize_t result, const Note& take_note) {
  if (result < 0 || !recording().active) return;
  const int error_number = errno;
  take_note();
  errno = error_number;
}

/// Where the file stood before `bytes` were written.
std::uint64_t offset_before(int descriptor, ssize_t bytes) {
  return static_cast<std::uint64_t>(::lseek(descriptor, 0, SEEK_CUR) - bytes);
}

std::string text_of(const void* bytes, ssize_t size) {
  return {static_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

}  // namespace

void Trace::begin(const std::string& directory) {
  Recording& all = recording();
  check(!all.active, "there is one trace at a time");
  const std::filesystem::path path(directory);
  all.directory = std::filesystem::canonical(path.parent_path()) / path.filename();
  all.events.clear();
  all.active = true;
}

std::vector<TraceEvent> Trace::end() {
  Recording& all = recording();
  all.active = false;
  const std::lock_guard lock(all.mutex);
  return std::move(all.events);
}

void Trace::submitted(std::uint64_t number) {
  note_number(Kind::kSubmitted, number);
}

void Trace::acknowledged(std::uint64_t number) {
  note_number(Kind::kAcknowledged, number);
}

}  // namespace epaxos::storage

// The linker lets shared libraries too find these before those of libc.
extern "C" {

namespace disk = epaxos::storage;

ssize_t write(int descriptor, const void* bytes, size_t size) {
  static const auto call = disk::real<decltype(&::write)>("write");
  const ssize_t written = call(descriptor, bytes, size);
  disk::after(written, [&] {
    if (!disk::traced(disk::path_of(descriptor))) return;  // A pipe has no offset.
    disk::note_write(descriptor, disk::offset_before(descriptor, written),
                     disk::text_of(bytes, written));
  });
  return written;
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  static const auto call = disk::real<decltype(&::writev)>("writev");
  const ssize_t written = call(descriptor, parts, count);
  disk::after(written, [&] {
    if (!disk::traced(disk::path_of(descriptor))) return;
    disk::note_write(descriptor, disk::offset_before(descriptor, written),
                     disk::joined(parts, count, written));
  });
  return written;
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  static const auto call = disk::real<decltype(&::pwrite)>("pwrite");
  const ssize_t written = call(descriptor, bytes, size, offset);
  disk::after(written, [&] {
    disk::note_write(descriptor, static_cast<std::uint64_t>(offset), disk::text_of(bytes, written));
  });
  return written;
}

ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t offset) {
  static const auto call = disk::real<decltype(&::pwritev)>("pwritev");
  const ssize_t written = call(descriptor, parts, count, offset);
  disk::after(written, [&] {
    disk::note_write(descriptor, static_cast<std::uint64_t>(offset),
                     disk::joined(parts, count, written));
  });
  return written;
}

int fsync(int descriptor) {
  static const auto call = disk::real<decltype(&::fsync)>("fsync");
  const int result = call(descriptor);
  disk::after(result, [&] { disk::note_sync(descriptor); });
  return result;
}

int fdatasync(int descriptor) {
  static const auto call = disk::real<decltype(&::fdatasync)>("fdatasync");
  const int result = call(descriptor);
  disk::after(result, [&] { disk::note_sync(descriptor); });
  return result;
}

int rename(const char* from, const char* to) noexcept {
  static const auto call = disk::real<decltype(&::rename)>("rename");
  const int result = call(from, to);
  disk::after(result, [&] { disk::note_rename(from, to); });
  return result;
}

int renameat2(int from_in, const char* from, int to_in, const char* to, unsigned flags) noexcept {
  static const auto call = disk::real<decltype(&::renameat2)>("renameat2");
  const int result = call(from_in, from, to_in, to, flags);
  disk::after(result, [&] { disk::note_rename(from, to, disk::Kind::kExchange); });
  return result;
}

int ftruncate(int descriptor, off_t size) noexcept {
  static const auto call = disk::real<decltype(&::ftruncate)>("ftruncate");
  const int result = call(descriptor, size);
  disk::after(result, [&] {
    const auto file = disk::traced(disk::path_of(descriptor));
    if (file) disk::note_truncate(*file, size);
  });
  return result;
}

int msync(void* address, size_t size, int flags) {
  static const auto call = disk::real<decltype(&::msync)>("msync");
  const int result = call(address, size, flags);
  disk::after(result, [&] { disk::note_other("msync", {}); });
  return result;
}
}
