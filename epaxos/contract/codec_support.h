#pragma once

// What the codecs of every protocol share: building one exact Cap'n Proto segment in an arena, and
// reading one without ever letting an exception or an unchecked length out.

#include <cstring>
#include <span>

#include <capnp/message.h>
#include <kj/exception.h>

#include "deps/types/command.h"
#include "epaxos/contract/effects.h"

namespace epaxos::codec {

/// Words of a struct alone with its root pointer, by its schema.
template <class Schema>
constexpr std::size_t words_of() {
  return 1 + capnp::_::structSize<Schema>().data + capnp::_::structSize<Schema>().pointers;
}
inline std::size_t words_of(Bytes bytes) {
  return (bytes.size() + 7) / 8;
}

/// Builds a message of exactly `words` words in the arena; `fill` gets the root's builder.
template <class Schema, class Fill>
Slice build(Effects& out, std::size_t words, Fill&& fill) {
  Slice body;
  const std::span<std::byte> room = out.allocate(words * sizeof(capnp::word), body);
  // The arena's memory comes from operator new and its pieces start at multiples of 8.
  auto* const start = reinterpret_cast<capnp::word*>(room.data());
  capnp::FlatMessageBuilder builder(kj::arrayPtr(start, words));
  fill(builder.initRoot<Schema>());
  builder.requireFilled();
  return body;
}

/// Calls `read` with the root of a body. False when the body is malformed or `read` says so.
template <class Schema, class Read>
bool parse(Bytes body, Read&& read) {
  if (body.size() % sizeof(capnp::word) != 0 || body.size() < sizeof(capnp::word)) return false;
  check(reinterpret_cast<std::uintptr_t>(body.data()) % alignof(std::uint64_t) == 0,
        "a body that is not aligned reached the codec");
  const std::size_t words = body.size() / sizeof(capnp::word);
  const kj::ArrayPtr<const capnp::word> segments[1] = {
      kj::arrayPtr(reinterpret_cast<const capnp::word*>(body.data()), words)};
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * words + 64;
  options.nestingLimit = 8;
  try {
    capnp::SegmentArrayMessageReader reader(kj::arrayPtr(segments, 1), options);
    return read(reader.getRoot<Schema>(), words);
  } catch (const kj::Exception&) {
    return false;
  }
}

inline Bytes bytes_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const std::byte*>(data.begin()), data.size()};
}

inline capnp::Data::Reader data_of(Bytes bytes) {
  return {reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size()};
}

/// A ballot as packed() writes it, of a replica of the group.
inline bool read_ballot(std::uint64_t packed, int rows, Ballot& out) {
  if (packed != 0 && ((packed & 0xffff) == 0 || packed >> 16 == 0)) return false;
  out = Ballot::from_packed(packed);
  return out.replica.value() < rows && out.round <= kBallotRoundMax;
}

}  // namespace epaxos::codec
