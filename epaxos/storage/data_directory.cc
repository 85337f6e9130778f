#include "epaxos/storage/data_directory.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <xxhash.h>

#include "deps/types/check.h"
#include "epaxos/storage/file_system.h"

namespace epaxos::storage {
namespace {

constexpr std::string_view kLockName = "lock";
constexpr std::string_view kStampName = "stamp";
constexpr std::string_view kFormatLine = "epaxos data directory, format 3\n";
constexpr std::size_t kStampBytesMax = 4096;

/// The content of the stamp: text, so that a person can read it, with a checksum at the end.
struct Stamp {
  DirectoryIdentity identity;
  std::string protocol;
  std::uint64_t incarnation = 0;
  Durability durability = Durability::kSync;
  bool clean = false;
  bool memory_lost = false;
  std::uint64_t store_witness = 0;
};

std::string hex(std::uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) text[15 - i] = kDigits[value >> (4 * i) & 15];
  return text;
}

std::string cluster_text(const net::ClusterId& cluster) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : cluster) {
    text += kDigits[static_cast<unsigned>(byte) >> 4];
    text += kDigits[static_cast<unsigned>(byte) & 15];
  }
  return text;
}

std::string identity_text(const DirectoryIdentity& identity) {
  return "replica " + std::to_string(identity.replica.value()) + " of " +
         std::to_string(identity.replica_count) + " in cluster " + cluster_text(identity.cluster);
}

std::string render(const Stamp& stamp) {
  std::string text(kFormatLine);
  text += "cluster " + cluster_text(stamp.identity.cluster) + "\n";
  text += "replica " + std::to_string(stamp.identity.replica.value()) + "\n";
  text += "replicas " + std::to_string(stamp.identity.replica_count) + "\n";
  text += "protocol " + stamp.protocol + "\n";
  text += "incarnation " + std::to_string(stamp.incarnation) + "\n";
  text += "durability " + std::string(to_string(stamp.durability)) + "\n";
  text += std::string("run ") + (stamp.clean ? "clean" : "running") + "\n";
  text += std::string("memory ") + (stamp.memory_lost ? "lost" : "kept") + "\n";
  text += "transaction " + std::to_string(stamp.store_witness) + "\n";
  return text + "checksum " + hex(XXH3_64bits(text.data(), text.size())) + "\n";
}

/// The rest of the line that begins with `name` and a blank; empty when there is none.
std::string_view field(std::string_view text, std::string_view name) {
  const std::string start = "\n" + std::string(name) + " ";
  const std::size_t at = text.find(start);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + start.size());
  return text.substr(0, text.find('\n'));
}

template <class T>
T number(std::string_view text, int base = 10) {
  T value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

net::ClusterId cluster_from(std::string_view text) {
  net::ClusterId cluster{};
  for (std::size_t i = 0; i < cluster.size() && 2 * i + 2 <= text.size(); ++i) {
    cluster[i] = static_cast<std::byte>(number<std::uint8_t>(text.substr(2 * i, 2), 16));
  }
  return cluster;
}

/// Reads leniently and accepts only what renders to the same bytes again: one rule for everything
/// that can be wrong with the text.
std::optional<Stamp> parse(std::string_view text) {
  Stamp stamp;
  stamp.identity.cluster = cluster_from(field(text, "cluster"));
  stamp.identity.replica = ReplicaId(number<std::uint16_t>(field(text, "replica")));
  stamp.identity.replica_count = number<int>(field(text, "replicas"));
  stamp.protocol = field(text, "protocol");
  stamp.incarnation = number<std::uint64_t>(field(text, "incarnation"));
  stamp.durability = durability_from(field(text, "durability")).value_or(Durability::kSync);
  stamp.clean = field(text, "run") == "clean";
  stamp.memory_lost = field(text, "memory") == "lost";
  stamp.store_witness = number<std::uint64_t>(field(text, "transaction"));
  if (render(stamp) != text) return std::nullopt;
  return stamp;
}

Result<void> make_directory(const std::string& path) {
  struct stat information {};
  if (::stat(path.c_str(), &information) == 0) {
    if (S_ISDIR(information.st_mode)) return {};
    return fail(ErrorCode::kInvalidArgument,
                path + ": is not a directory; name a directory for the data of this replica");
  }
  if (errno == ENOENT && ::mkdir(path.c_str(), 0750) == 0) return {};
  if (errno == ENOENT) {
    return fail(ErrorCode::kInvalidArgument,
                path +
                    ": cannot be created, because its parent directory does not exist; create "
                    "the parent first");
  }
  return system_failure(path, "the data directory cannot be created", errno);
}

Result<void> check_filesystem(const std::string& path) {
  struct statfs information {};
  if (::statfs(path.c_str(), &information) != 0) {
    return system_failure(path, "its file system cannot be examined", errno);
  }
  const std::string_view problem = filesystem_problem(information.f_type);
  if (problem.empty()) return {};
  return fail(ErrorCode::kInvalidArgument,
              path + ": lies on " + std::string(problem) +
                  ", where file locks and memory maps may not hold; use a local disk, or allow any "
                  "file system if you know that it is safe");
}

std::string holder_text(int lock_file) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(lock_file, text.data(), text.size() - 1, 0);
  const auto pid = number<long>(std::string_view(text.data(), size > 0 ? std::size_t(size) : 0));
  return pid > 0 ? "process " + std::to_string(pid) : "another process";
}

/// The descriptor of the lock file, which holds an exclusive lock until it is closed. The lock is
/// on a file of its own: LMDB opens and closes the others, and some locks would vanish with that.
Result<int> lock_directory(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kLockName);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) return system_failure(directory, "the data directory is not writable", errno);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error_number = errno;
    const std::string holder = holder_text(file);
    ::close(file);
    if (error_number != EWOULDBLOCK) return system_failure(path, "cannot be locked", error_number);
    return fail(ErrorCode::kBusy, directory + ": is in use by " + holder +
                                      "; stop it, or use another data directory");
  }
  // For the sentence above only: nothing depends on it.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file, 0) == 0) {
    [[maybe_unused]] const ssize_t ignored = ::pwrite(file, pid.data(), pid.size(), 0);
  }
  return file;
}

/// A path that was mistyped must not become a replica's directory with somebody's files in it.
Result<void> check_no_foreign_files(const std::string& directory) {
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(directory, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    // What an earlier start may have left that did not get far, and a new file system.
    if (name.starts_with(kLockName) || name.starts_with(kStampName)) continue;
    if (name == "lost+found") continue;
    return fail(ErrorCode::kInvalidArgument,
                directory + ": holds other files (\"" + name +
                    "\") and no data of a replica; name an empty directory, or one that does not "
                    "exist yet");
  }
  return {};
}

/// Nothing when the directory is new.
Result<std::optional<Stamp>> read_stamp(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kStampName);
  struct stat information {};
  if (::stat(path.c_str(), &information) != 0 && errno == ENOENT) {
    if (::stat((directory + "/data.mdb").c_str(), &information) != 0) return std::optional<Stamp>();
    return fail(ErrorCode::kCorrupted,
                directory +
                    ": holds a store but no stamp that says whose it is; restore the file "
                    "\"stamp\", or empty the directory: the replica then learns and serves "
                    "but does not vote");
  }
  Result<std::string> text = read_file(path, kStampBytesMax);
  if (!text) return fail(text.error());
  std::optional<Stamp> stamp = parse(*text);
  if (stamp) return stamp;
  const bool other_format =
      text->starts_with("epaxos data directory, format ") && !text->starts_with(kFormatLine);
  if (other_format) {
    return fail(ErrorCode::kWrongIdentity,
                path + ": was written by another version of this program; use that version");
  }
  return fail(ErrorCode::kCorrupted,
              path +
                  ": is damaged; restore it from a backup. With an empty directory this replica "
                  "learns and serves, but does not vote");
}

}  // namespace

std::string_view to_string(PreviousStop stop) {
  switch (stop) {
    case PreviousStop::kFirstStart:
      return "first start";
    case PreviousStop::kClean:
      return "clean";
    case PreviousStop::kUnclean:
      return "unclean";
  }
  return "unknown";
}

bool memory_is_lost(const PastRuns& past, Durability now) {
  if (past.stop == PreviousStop::kFirstStart) return false;
  if (past.memory_lost) return true;
  if (now == Durability::kNone || past.durability == Durability::kNone) return true;
  return past.durability == Durability::kAsync && past.stop == PreviousStop::kUnclean;
}

std::string_view filesystem_problem(std::int64_t statfs_type) {
  switch (static_cast<std::uint32_t>(statfs_type)) {
    case 0x6969:
      return "NFS";
    case 0x517b:
    case 0xfe534d42:
    case 0xff534d42:
      return "a Windows share (SMB)";
    case 0x65735546:
      return "a FUSE file system";
    case 0x01021997:
      return "a 9P file system";
    case 0x00c36400:
      return "Ceph";
    case 0x5346414f:
      return "AFS";
    case 0x47504653:
      return "GPFS";
    case 0x0bd00bd0:
      return "Lustre";
    default:
      return {};
  }
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(const DataDirectoryOptions& options) {
  if (Result<void> made = make_directory(options.path); !made) return fail(made.error());
  if (!options.any_filesystem) {
    if (Result<void> fine = check_filesystem(options.path); !fine) return fail(fine.error());
  }
  const bool has_store = ::access((options.path + "/data.mdb").c_str(), F_OK) == 0;
  if (is_new(options.path) && !has_store) {
    if (Result<void> ours = check_no_foreign_files(options.path); !ours) return fail(ours.error());
  }
  const Result<int> lock_file = lock_directory(options.path);
  if (!lock_file) return fail(lock_file.error());

  std::unique_ptr<DataDirectory> directory(new DataDirectory(options, *lock_file));
  if (Result<void> begun = directory->begin_run(); !begun) return fail(begun.error());
  return directory;
}

bool DataDirectory::is_new(const std::string& path) {
  return ::access((path + "/" + std::string(kStampName)).c_str(), F_OK) != 0;
}

DataDirectory::DataDirectory(const DataDirectoryOptions& options, int lock_file)
    : options_(options), lock_file_(lock_file) {
}

DataDirectory::~DataDirectory() {
  ::close(lock_file_);
}

/// What earlier runs have written must be what this one reads, or it would be lost by a mistake of
/// one word.
Result<void> DataDirectory::check_use(const std::string& protocol, Durability durability) const {
  if (protocol != options_.protocol) {
    return fail(ErrorCode::kWrongIdentity, options_.path + ": was written by the protocol " +
                                               protocol + ", but this replica runs " +
                                               options_.protocol + "; start it with --protocol " +
                                               protocol + ", or use another directory");
  }
  const bool forgets = options_.durability == Durability::kNone && durability != Durability::kNone;
  if (!forgets || options_.unsafe_rejoin) return {};
  return fail(ErrorCode::kInvalidArgument,
              options_.path + ": holds what earlier runs wrote at durability " +
                  std::string(to_string(durability)) +
                  ", and a run at none would not read it: this replica would lose its vote for "
                  "good. Start it as before, or leave the data directory out");
}

Result<void> DataDirectory::begin_run() {
  Result<std::optional<Stamp>> read = read_stamp(options_.path);
  if (!read) return fail(read.error());
  if (const std::optional<Stamp>& stamp = *read) {
    if (stamp->identity != options_.identity) {
      return fail(ErrorCode::kWrongIdentity, options_.path + ": belongs to " +
                                                 identity_text(stamp->identity) + ", but this is " +
                                                 identity_text(options_.identity) +
                                                 "; use this replica's own directory");
    }
    if (Result<void> usable = check_use(stamp->protocol, stamp->durability); !usable) return usable;
    incarnation_ = stamp->incarnation;
    store_witness_ = stamp->store_witness;
    past_ = {.stop = stamp->clean ? PreviousStop::kClean : PreviousStop::kUnclean,
             .durability = stamp->durability,
             .memory_lost = stamp->memory_lost};
  } else if (Result<void> named = sync_directory(options_.path + "/.."); !named) {
    // Whoever made the directory: were its name lost with the power, the next start would be a
    // first one, and the replica would vote without its memory.
    return named;
  }
  memory_lost_ = memory_is_lost(past_, options_.durability) && !options_.unsafe_rejoin;
  incarnation_ = std::max(incarnation_ + 1, options_.clock_ms);
  return write_stamp(false);
}

Result<void> DataDirectory::write_stamp(bool clean) {
  return replace_file(options_.path, std::string(kStampName),
                      render({.identity = options_.identity,
                              .protocol = options_.protocol,
                              .incarnation = incarnation_,
                              .durability = options_.durability,
                              .clean = clean,
                              .memory_lost = memory_lost_,
                              .store_witness = store_witness_}));
}

std::string DataDirectory::non_voting_reason() const {
  if (voting()) return {};
  std::string cause = "its last run was at durability " + std::string(to_string(past_.durability)) +
                      " and ended " + std::string(to_string(past_.stop));
  if (options_.durability == Durability::kNone) {
    cause = "a start at durability none does not read what earlier runs have written";
  }
  if (past_.memory_lost) cause = "an earlier run ended without keeping them";
  return options_.path + ": votes that replica " +
         std::to_string(options_.identity.replica.value()) + " has given may be missing (" + cause +
         "), so it learns and serves but does not vote, and never will: the others have one "
         "failure less to "
         "spare. Start a new cluster when that is too few, or accept the risk of disagreement with "
         "--unsafe-rejoin";
}

Result<void> DataDirectory::mark_clean() {
  return write_stamp(true);
}

Result<void> DataDirectory::record_store_witness(std::uint64_t transaction) {
  check(transaction >= store_witness_, "the witness of the store never goes back");
  if (transaction == store_witness_) return {};
  store_witness_ = transaction;
  return write_stamp(false);
}

}  // namespace epaxos::storage
