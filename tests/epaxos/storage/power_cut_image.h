#pragma once

// What a disk may hold after a power cut at some point of a trace: everything that was synced, and
// of what was written since, each sector of 512 bytes in any of its versions. Of the names that
// were made or changed since the directory was synced, each may be there or not.
//
// A write through O_DSYNC is durable when it returns, with whatever else its sectors hold; the
// other sectors of the file may still be missing.

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/epaxos/storage/power_cut_trace.h"

namespace epaxos::storage {

inline constexpr std::uint64_t kSectorBytes = 512;

/// The files of the directory by name, or nothing when there is no directory.
using DiskImage = std::optional<std::map<std::string, std::string>>;

/// The disk while a trace runs. The events must outlive it.
class TracedDisk {
 public:
  /// From a directory with these files, all of them durable; or from none.
  explicit TracedDisk(const DiskImage& start);

  /// A disk that takes no notice of syncs: what a store without them would stand on.
  void ignore_syncs() { ignores_syncs_ = true; }

  /// The call of this event has returned.
  void apply(const TraceEvent& event);

  /// What may be left when the power fails while the call of `in_flight` runs.
  [[nodiscard]] DiskImage cut(std::mt19937_64& random, const TraceEvent& in_flight) const;

  /// What the programs see.
  [[nodiscard]] std::map<std::string, std::string> seen() const;

 private:
  /// A part of a write, within one sector.
  struct Piece {
    std::uint64_t offset = 0;
    std::string_view bytes;
  };
  struct File {
    std::string durable;
    std::string seen;
    std::vector<Piece> pending;  // In the order of the writes.
  };
  struct NameChange {
    std::string old_name;  // Empty: the file is created.
    std::string new_name;
    std::size_t file = 0;
  };
  using Names = std::map<std::string, std::size_t>;

  static void write(std::string& content, std::uint64_t offset, std::string_view bytes);
  static void change(Names& names, const NameChange& change);
  static void add_pieces(const TraceEvent& event, std::vector<Piece>& pieces);
  static std::string content_after(std::mt19937_64& random, const File& file,
                                   const std::vector<Piece>& pending);

  File& file_of(const std::string& name);
  void change_name(NameChange change);
  void apply_write(const TraceEvent& event);
  static void sync_sectors(const TraceEvent& event, File& file);

  bool ignores_syncs_ = false;
  bool directory_is_durable_;
  std::vector<File> files_;  // One for each that ever was.
  Names names_;
  Names durable_names_;
  std::vector<NameChange> pending_names_;
};

}  // namespace epaxos::storage
