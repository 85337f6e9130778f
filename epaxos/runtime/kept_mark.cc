#include "epaxos/runtime/kept_mark.h"

#include <array>
#include <span>
#include <string>

#include "executor/image.h"

namespace epaxos::runtime {
namespace {

constexpr std::uint64_t kMagic = 0x31'6b'72'61'6d'70'65'02;  // Version 2 of the format.

/// What stands before the coverage.
struct MarkHead {
  std::uint64_t magic = kMagic;
  net::ClusterId cluster{};
  std::uint16_t replica = 0;
  std::uint16_t unused[3] = {};
  std::uint64_t configuration_hash = 0;
  std::uint64_t number = 0;
  std::uint64_t batches = 0;
  std::uint64_t coverage_bytes = 0;
};
static_assert(sizeof(MarkHead) == 64 && std::has_unique_object_representations_v<MarkHead>);

std::uint64_t checksum_of(Bytes bytes) {
  executor::Checksum checksum;
  checksum.update(bytes);
  return checksum.value();
}

Failure damaged() {
  return fail(ErrorCode::kCorrupted,
              "the mark that the state machine's own storage gave back is damaged: restore its "
              "newest state, or replace this replica");
}

}  // namespace

Result<std::vector<std::byte>> make_mark(const net::BundleIdentity& owner, std::uint64_t number,
                                         std::uint64_t batches, Bytes coverage,
                                         const executor::SessionTable& sessions) {
  const MarkHead head{.cluster = owner.cluster,
                      .replica = owner.self.value(),
                      .configuration_hash = owner.configuration_hash,
                      .number = number,
                      .batches = batches,
                      .coverage_bytes = coverage.size()};
  std::vector<std::byte> mark;
  executor::Appender out(mark);
  out.bytes(std::as_bytes(std::span(&head, 1)));
  out.bytes(coverage);
  const Result<void> saved = sessions.save([&](Bytes piece) -> Result<void> {
    out.bytes(piece);
    return {};
  });
  if (!saved) return fail(saved.error());
  out.number(checksum_of(mark));
  return mark;
}

Result<KeptMark> read_mark(Bytes bytes) {
  std::uint64_t checksum = 0;
  if (bytes.size() < sizeof(MarkHead) + sizeof checksum) return damaged();
  const Bytes body = bytes.first(bytes.size() - sizeof checksum);
  copy_bytes(bytes.subspan(body.size()), &checksum);
  if (checksum != checksum_of(body)) return damaged();
  MarkHead head;
  copy_bytes(body.first(sizeof head), &head);
  if (head.magic != kMagic) {
    return fail(ErrorCode::kWrongIdentity,
                "the mark in the state machine's own storage is of a version that this program "
                "does not read: use the program that wrote it");
  }
  const Bytes rest = body.subspan(sizeof head);
  if (head.coverage_bytes == 0 || head.coverage_bytes > rest.size()) return damaged();
  return KeptMark{{head.cluster, ReplicaId(head.replica), 0, head.configuration_hash},
                  head.number,
                  head.batches,
                  rest.first(head.coverage_bytes),
                  rest.subspan(head.coverage_bytes)};
}

Result<void> expect_owner(const KeptMark& mark, const net::BundleIdentity& owner) {
  const bool same_cluster = mark.owner.cluster == owner.cluster;
  const bool same_hash = mark.owner.configuration_hash == owner.configuration_hash;
  if (same_cluster && same_hash && mark.owner.self == owner.self) return {};
  const char* const other_configuration = ", with another number of replicas or another protocol";
  return fail(ErrorCode::kWrongIdentity,
              "the state machine's own storage is that of replica " +
                  std::to_string(mark.owner.self.value()) +
                  (same_cluster ? "" : " of another cluster") +
                  (same_hash ? "" : other_configuration) + ", and this is replica " +
                  std::to_string(owner.self.value()) + ": give it its own");
}

void put_note(const KeptNote& note, Effects& out) {
  const std::array<std::uint64_t, 2> words{note.kept, note.most};
  out.put(kKeptNoteKey, out.append(std::as_bytes(std::span(words))));
}

std::optional<KeptNote> read_note(Bytes bytes) {
  std::array<std::uint64_t, 2> words{};
  if (bytes.size() != sizeof words) return std::nullopt;
  copy_bytes(bytes, words.data());
  if (words[0] >= words[1]) return std::nullopt;
  return KeptNote{words[0], words[1]};
}

}  // namespace epaxos::runtime
