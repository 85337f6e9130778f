#include <vector>

#include "epaxos/protocol/codec_support.h"
#include "epaxos/protocol/message_codec.h"
#include "epaxos/protocol/record.capnp.h"
#include "epaxos/protocol/record.h"

namespace epaxos::protocol {
namespace {

using codec::rows_of;
using codec::words_of;

}  // namespace

Slice encode(const VoteRecord& record, Effects& out) {
  using S = schema::VoteRecord;
  const bool has_value = record.voted && !record.vote_nop;
  std::size_t words = words_of<S>() + words_of(record.block);
  if (record.pre_accepted) words += words_of(record.pre_accept_dependencies);
  if (has_value) words += words_of(record.vote_dependencies);
  return codec::build<S>(out, words, [&](S::Builder to) {
    to.setBallot(record.ballot.packed());
    to.setAcceptedBallot(record.accepted_ballot.packed());
    to.setPreAccepted(record.pre_accepted);
    to.setVoted(record.voted);
    to.setVoteNop(record.vote_nop);
    if (record.pre_accepted) {
      const Dependencies& d = record.pre_accept_dependencies;
      codec::fill(to.initPreAcceptDependencies(rows_of(d)), d);
    }
    if (has_value) {
      const Dependencies& d = record.vote_dependencies;
      codec::fill(to.initVoteDependencies(rows_of(d)), d);
    }
    if (!record.block.empty()) to.setBlock(codec::data_of(record.block));
  });
}

bool decode(Bytes value, int rows, VoteRecord& out) {
  using S = schema::VoteRecord;
  return codec::parse<S>(value, [&](S::Reader from, std::size_t words) {
    if (!codec::read_ballot(from.getBallot(), rows, out.ballot)) return false;
    if (!codec::read_ballot(from.getAcceptedBallot(), rows, out.accepted_ballot)) return false;
    out.pre_accepted = from.getPreAccepted();
    out.voted = from.getVoted();
    out.vote_nop = from.getVoteNop();
    out.block = codec::bytes_of(from.getBlock());
    std::size_t expected = words_of<S>() + words_of(out.block);
    if (out.pre_accepted) {
      if (!codec::read(from.getPreAcceptDependencies(), rows, kSlotMax,
                       out.pre_accept_dependencies)) {
        return false;
      }
      expected += static_cast<std::size_t>(rows);
    }
    if (out.voted && !out.vote_nop) {
      if (!codec::read(from.getVoteDependencies(), rows, kSlotMax, out.vote_dependencies)) {
        return false;
      }
      expected += static_cast<std::size_t>(rows);
    }
    return words == expected && out.accepted_ballot <= out.ballot;
  });
}

namespace {

Slice build_decision(const DecisionRecord& record, Effects& out) {
  using S = schema::DecisionRecord;
  const bool repeats = !record.nop && !record.initial;
  std::size_t words = words_of<S>() + words_of(record.block);
  if (repeats) words += words_of(record.dependencies);
  return codec::build<S>(out, words, [&](S::Builder to) {
    to.setNop(record.nop);
    to.setInitial(record.initial);
    if (repeats) {
      codec::fill(to.initDependencies(rows_of(record.dependencies)), record.dependencies);
    }
    if (!record.block.empty()) to.setBlock(codec::data_of(record.block));
  });
}

/// The decision for the initial dependencies: nearly all are, and they are all the same bytes.
const std::vector<std::byte>& initial_decision() {
  static const std::vector<std::byte> bytes = [] {
    Effects out;
    const Bytes built = out.view(build_decision({false, true, {}, {}}, out));
    return std::vector<std::byte>(built.begin(), built.end());
  }();
  return bytes;
}

}  // namespace

Slice encode(const DecisionRecord& record, Effects& out) {
  const bool is_usual = record.initial && !record.nop && record.block.empty();
  return is_usual ? out.append(initial_decision()) : build_decision(record, out);
}

bool decode(Bytes value, int rows, DecisionRecord& out) {
  using S = schema::DecisionRecord;
  return codec::parse<S>(value, [&](S::Reader from, std::size_t words) {
    out.nop = from.getNop();
    out.initial = from.getInitial();
    out.block = codec::bytes_of(from.getBlock());
    std::size_t expected = words_of<S>() + words_of(out.block);
    if (!out.nop && !out.initial) {
      if (!codec::read(from.getDependencies(), rows, kSlotMax, out.dependencies)) return false;
      expected += static_cast<std::size_t>(rows);
    }
    return words == expected && !(out.nop && out.initial);
  });
}

Slice encode(const FloorRecord& record, Effects& out) {
  using S = schema::FloorRecord;
  return codec::build<S>(out, words_of<S>() + words_of(record.floor), [&](S::Builder to) {
    codec::fill(to.initFloor(rows_of(record.floor)), record.floor);
  });
}

bool decode(Bytes value, int rows, FloorRecord& out) {
  using S = schema::FloorRecord;
  return codec::parse<S>(value, [&](S::Reader from, std::size_t words) {
    return codec::read(from.getFloor(), rows, kSlotMax, out.floor) &&
           words == words_of<S>() + words_of(out.floor);
  });
}

}  // namespace epaxos::protocol
