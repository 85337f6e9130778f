#include "tests/epaxos/storage/power_cut_image.h"

#include <algorithm>
#include <array>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::storage {

TracedDisk::TracedDisk(const DiskImage& start) : directory_is_durable_(start.has_value()) {
  if (!start) return;
  for (const auto& [name, content] : *start) {
    names_[name] = files_.size();
    files_.push_back({.durable = content, .seen = content, .pending = {}});
  }
  durable_names_ = names_;
}

void TracedDisk::write(std::string& content, std::uint64_t offset, std::string_view bytes) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  std::ranges::copy(bytes, content.begin() + static_cast<std::ptrdiff_t>(offset));
}

void TracedDisk::change(Names& names, const NameChange& change) {
  if (!change.old_name.empty()) names.erase(change.old_name);
  names[change.new_name] = change.file;
}

void TracedDisk::change_name(NameChange change_made) {
  change(names_, change_made);
  pending_names_.push_back(std::move(change_made));
}

TracedDisk::File& TracedDisk::file_of(const std::string& name) {
  const auto found = names_.find(name);
  if (found != names_.end()) return files_[found->second];
  files_.emplace_back();
  change_name({.old_name = {}, .new_name = name, .file = files_.size() - 1});
  return files_.back();
}

void TracedDisk::add_pieces(const TraceEvent& event, std::vector<Piece>& pieces) {
  std::string_view rest = event.bytes;
  for (std::uint64_t at = event.offset; !rest.empty();) {
    const std::uint64_t size =
        std::min<std::uint64_t>(rest.size(), kSectorBytes - at % kSectorBytes);
    pieces.push_back({at, rest.substr(0, size)});
    rest.remove_prefix(size);
    at += size;
  }
}

void TracedDisk::sync_sectors(const TraceEvent& event, File& file) {
  const std::uint64_t begin = event.offset / kSectorBytes * kSectorBytes;
  const std::uint64_t end = event.offset + event.bytes.size();
  std::erase_if(file.pending, [begin, end](const Piece& piece) {
    return piece.offset >= begin && piece.offset / kSectorBytes * kSectorBytes < end;
  });
  const std::uint64_t rounded = (end + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  write(file.durable, begin, std::string_view(file.seen).substr(begin, rounded - begin));
}

void TracedDisk::apply_write(const TraceEvent& event) {
  File& file = file_of(event.file);
  write(file.seen, event.offset, event.bytes);
  add_pieces(event, file.pending);
  if (event.is_synchronous && !ignores_syncs_) sync_sectors(event, file);
}

void TracedDisk::apply(const TraceEvent& event) {
  switch (event.kind) {
    case TraceEvent::Kind::kWrite:
      apply_write(event);
      break;
    case TraceEvent::Kind::kSync: {
      File& file = file_of(event.file);
      if (ignores_syncs_) break;
      file.durable = file.seen;
      file.pending.clear();
      break;
    }
    case TraceEvent::Kind::kTruncate:
      // What is cut off may be there until the next sync, so it is.
      file_of(event.file).seen.resize(event.number);
      break;
    case TraceEvent::Kind::kRename:
      change_name({event.file, event.renamed_to, names_.at(event.file)});
      break;
    case TraceEvent::Kind::kExchange: {
      // Each alone may be on disk, although file systems do both at once.
      const std::size_t former = names_.at(event.renamed_to);
      const std::size_t latter = names_.at(event.file);
      change_name({.old_name = {}, .new_name = event.file, .file = former});
      change_name({.old_name = {}, .new_name = event.renamed_to, .file = latter});
      break;
    }
    case TraceEvent::Kind::kSyncDirectory:
      durable_names_ = names_;
      pending_names_.clear();
      break;
    case TraceEvent::Kind::kSyncParent:
      directory_is_durable_ = true;
      break;
    case TraceEvent::Kind::kOther:
      check(false, "an image was asked for of a trace with a call that has none");
      break;
    case TraceEvent::Kind::kSubmitted:
    case TraceEvent::Kind::kAcknowledged:
      break;
  }
}

std::string TracedDisk::content_after(std::mt19937_64& random, const File& file,
                                      const std::vector<Piece>& pending) {
  // All, none, and nearly all or none are where a missing sync shows.
  constexpr std::array kKeptPercent = {0U, 3U, 50U, 97U, 100U};
  const unsigned kept = kKeptPercent[random() % kKeptPercent.size()];
  std::string content = file.durable;
  std::uint64_t end = 0;
  for (const Piece& piece : pending) {
    end = std::max(end, piece.offset + piece.bytes.size());
    if (random() % 100 < kept) write(content, piece.offset, piece.bytes);
  }
  // The size may be on disk before what it is the size of.
  if (random() % 4 == 0 && content.size() < end) content.resize(end);
  return content;
}

DiskImage TracedDisk::cut(std::mt19937_64& random, const TraceEvent& in_flight) const {
  if (!directory_is_durable_ && random() % 4 == 0) return std::nullopt;
  Names names = durable_names_;
  for (const NameChange& pending : pending_names_) {
    if (random() % 2 == 0) change(names, pending);
  }

  std::map<std::string, std::string> files;
  for (const auto& [name, number] : names) {
    std::vector<Piece> pending = files_[number].pending;
    const auto seen = names_.find(in_flight.file);
    const bool is_written = seen != names_.end() && seen->second == number;
    if (in_flight.kind == TraceEvent::Kind::kWrite && is_written) add_pieces(in_flight, pending);
    files[name] = content_after(random, files_[number], pending);
  }
  return files;
}

std::map<std::string, std::string> TracedDisk::seen() const {
  std::map<std::string, std::string> files;
  for (const auto& [name, number] : names_) files[name] = files_[number].seen;
  return files;
}

}  // namespace epaxos::storage
