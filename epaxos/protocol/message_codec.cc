#include "epaxos/protocol/message_codec.h"

#include "epaxos/protocol/codec_support.h"
#include "epaxos/protocol/message.capnp.h"

namespace epaxos::protocol {
namespace {

using codec::build;
using codec::bytes_of;
using codec::data_of;
using codec::fill;
using codec::parse;
using codec::rows_of;
using codec::words_of;

template <class Builder>
void put_instance(Builder& to, const InstanceId& instance) {
  to.setRow(instance.row.value());
  to.setSlot(instance.slot.value());
}

template <class Reader>
bool get_instance(const Reader& from, int rows, InstanceId& out) {
  out = {ReplicaId(from.getRow()), Slot(from.getSlot())};
  return from.getRow() < rows && from.getSlot() >= 1 && from.getSlot() <= kSlotMax;
}

/// The dependencies of an instance: within range, and in its own row before itself.
template <class List>
bool get_dependencies(List list, int rows, const InstanceId& of, Dependencies& out) {
  return codec::read(list, rows, kSlotMax, out) && out[of.row] < of.slot;
}

/// PreAccept, Learn and Validate's shape: an instance with its initial dependencies and its block.
template <class Reader, class Message>
bool get_proposal(const Reader& from, int rows, Message& out) {
  if (!get_instance(from, rows, out.instance)) return false;
  out.block = bytes_of(from.getBlock());
  return get_dependencies(from.getInitial(), rows, out.instance, out.initial);
}

template <class Message>
Slice encode_proposal(const Message& message, Effects& out) {
  Slice body;
  const auto room =
      encode_with_room(message.instance, message.initial, message.block.size(), out, body);
  copy_bytes(message.block, room.data());
  return body;
}

template <class Message>
bool decode_proposal(Bytes body, int rows, Message& out) {
  return parse<schema::PreAccept>(body, [&](schema::PreAccept::Reader from, std::size_t words) {
    return get_proposal(from, rows, out) &&
           words == words_of<schema::PreAccept>() + words_of(out.initial) + words_of(out.block);
  });
}

template <class Schema, class Message>
Slice encode_ballot(const Message& message, Effects& out) {
  return build<Schema>(out, words_of<Schema>(), [&](typename Schema::Builder to) {
    put_instance(to, message.instance);
    to.setBallot(message.ballot.packed());
  });
}

template <class Schema, class Message>
bool decode_ballot(Bytes body, int rows, Message& out) {
  return parse<Schema>(body, [&](typename Schema::Reader from, std::size_t words) {
    return get_instance(from, rows, out.instance) && words == words_of<Schema>() &&
           codec::read_ballot(from.getBallot(), rows, out.ballot);
  });
}

}  // namespace

std::span<std::byte> encode_with_room(const InstanceId& instance, const Dependencies& initial,
                                      std::size_t block_bytes, Effects& out, Slice& body) {
  std::byte* room = nullptr;
  const std::size_t words =
      words_of<schema::PreAccept>() + words_of(initial) + (block_bytes + 7) / 8;
  body = build<schema::PreAccept>(out, words, [&](schema::PreAccept::Builder to) {
    put_instance(to, instance);
    fill(to.initInitial(rows_of(initial)), initial);
    room = reinterpret_cast<std::byte*>(to.initBlock(static_cast<unsigned>(block_bytes)).begin());
  });
  return {room, block_bytes};
}

Slice encode(const PreAccept& message, Effects& out) {
  return encode_proposal(message, out);
}
Slice encode(const Learn& message, Effects& out) {
  return encode_proposal(message, out);
}
bool decode(Bytes body, int rows, PreAccept& out) {
  return decode_proposal(body, rows, out);
}
bool decode(Bytes body, int rows, Learn& out) {
  return decode_proposal(body, rows, out);
}

Slice encode(const PreAcceptOk& message, Effects& out) {
  using S = schema::PreAcceptOk;
  const std::size_t list = message.initial ? 0 : words_of(message.dependencies);
  return build<S>(out, words_of<S>() + list, [&](S::Builder to) {
    put_instance(to, message.instance);
    if (message.initial) return;
    fill(to.initDependencies(rows_of(message.dependencies)), message.dependencies);
  });
}

bool decode(Bytes body, int rows, PreAcceptOk& out) {
  using S = schema::PreAcceptOk;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_instance(from, rows, out.instance)) return false;
    out.initial = !from.hasDependencies();
    if (out.initial) return words == words_of<S>();
    return get_dependencies(from.getDependencies(), rows, out.instance, out.dependencies) &&
           words == words_of<S>() + words_of(out.dependencies);
  });
}

Slice encode(const Accept& message, Effects& out) {
  using S = schema::Accept;
  const std::size_t value =
      message.nop ? 0 : words_of(message.dependencies) + words_of(message.block);
  return build<S>(out, words_of<S>() + value, [&](S::Builder to) {
    put_instance(to, message.instance);
    to.setBallot(message.ballot.packed());
    to.setNop(message.nop);
    if (message.nop) return;
    fill(to.initDependencies(rows_of(message.dependencies)), message.dependencies);
    to.setBlock(data_of(message.block));
  });
}

bool decode(Bytes body, int rows, Accept& out) {
  using S = schema::Accept;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_instance(from, rows, out.instance)) return false;
    if (!codec::read_ballot(from.getBallot(), rows, out.ballot)) return false;
    out.nop = from.getNop();
    if (out.nop) return words == words_of<S>();
    out.block = bytes_of(from.getBlock());
    return get_dependencies(from.getDependencies(), rows, out.instance, out.dependencies) &&
           words == words_of<S>() + words_of(out.dependencies) + words_of(out.block);
  });
}

Slice encode(const AcceptOk& m, Effects& out) {
  return encode_ballot<schema::AcceptOk>(m, out);
}
Slice encode(const Recover& m, Effects& out) {
  return encode_ballot<schema::Recover>(m, out);
}
bool decode(Bytes body, int rows, AcceptOk& out) {
  return decode_ballot<schema::AcceptOk>(body, rows, out);
}
bool decode(Bytes body, int rows, Recover& out) {
  return decode_ballot<schema::Recover>(body, rows, out);
}

Slice encode(const Commit& message, Effects& out) {
  using S = schema::Commit;
  const bool has_dependencies =
      message.kind == CommitKind::kDependencies || message.kind == CommitKind::kFull;
  std::size_t words = words_of<S>();
  if (has_dependencies) words += words_of(message.dependencies);
  if (message.kind == CommitKind::kFull) words += words_of(message.block);
  return build<S>(out, words, [&](S::Builder to) {
    put_instance(to, message.instance);
    to.setKind(static_cast<std::uint8_t>(message.kind));
    if (has_dependencies) {
      fill(to.initDependencies(rows_of(message.dependencies)), message.dependencies);
    }
    if (message.kind == CommitKind::kFull) to.setBlock(data_of(message.block));
  });
}

bool decode(Bytes body, int rows, Commit& out) {
  using S = schema::Commit;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_instance(from, rows, out.instance)) return false;
    if (from.getKind() > static_cast<std::uint8_t>(CommitKind::kFull)) return false;
    out.kind = static_cast<CommitKind>(from.getKind());
    std::size_t expected = words_of<S>();
    if (out.kind == CommitKind::kDependencies || out.kind == CommitKind::kFull) {
      if (!get_dependencies(from.getDependencies(), rows, out.instance, out.dependencies)) {
        return false;
      }
      expected += words_of(out.dependencies);
    }
    if (out.kind == CommitKind::kFull) {
      out.block = bytes_of(from.getBlock());
      expected += words_of(out.block);
    }
    return words == expected;
  });
}

Slice encode(const Nack& message, Effects& out) {
  using S = schema::Nack;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    put_instance(to, message.instance);
    to.setHeard(message.heard.packed());
    to.setCurrent(message.current.packed());
  });
}

bool decode(Bytes body, int rows, Nack& out) {
  using S = schema::Nack;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return get_instance(from, rows, out.instance) && words == words_of<S>() &&
           codec::read_ballot(from.getHeard(), rows, out.heard) &&
           codec::read_ballot(from.getCurrent(), rows, out.current);
  });
}

Slice encode(const RecoverOk& m, Effects& out) {
  using S = schema::RecoverOk;
  const bool has_value = m.voted && !m.vote_nop;
  const bool has_block = m.recorded || has_value;
  std::size_t words = words_of<S>();
  if (m.recorded) words += words_of(m.initial);
  if (m.pre_accepted) words += words_of(m.pre_accept_dependencies);
  if (has_value) words += words_of(m.vote_dependencies);
  if (has_block) words += words_of(m.block);
  return build<S>(out, words, [&](S::Builder to) {
    put_instance(to, m.instance);
    to.setBallot(m.ballot.packed());
    to.setAcceptedBallot(m.accepted_ballot.packed());
    to.setRecorded(m.recorded);
    to.setPreAccepted(m.pre_accepted);
    to.setVoted(m.voted);
    to.setVoteNop(m.vote_nop);
    if (m.recorded) fill(to.initInitial(rows_of(m.initial)), m.initial);
    if (m.pre_accepted) {
      fill(to.initPreAcceptDependencies(rows_of(m.pre_accept_dependencies)),
           m.pre_accept_dependencies);
    }
    if (has_value) {
      fill(to.initVoteDependencies(rows_of(m.vote_dependencies)), m.vote_dependencies);
    }
    if (has_block) to.setBlock(data_of(m.block));
  });
}

bool decode(Bytes body, int rows, RecoverOk& m) {
  using S = schema::RecoverOk;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_instance(from, rows, m.instance)) return false;
    if (!codec::read_ballot(from.getBallot(), rows, m.ballot)) return false;
    if (!codec::read_ballot(from.getAcceptedBallot(), rows, m.accepted_ballot)) return false;
    m.recorded = from.getRecorded();
    m.pre_accepted = from.getPreAccepted();
    m.voted = from.getVoted();
    m.vote_nop = from.getVoteNop();
    if ((m.pre_accepted && !m.recorded) || (m.vote_nop && !m.voted)) return false;
    std::size_t expected = words_of<S>();
    const auto take = [&](bool present, auto list, Dependencies& to) {
      if (!present) return true;
      expected += static_cast<std::size_t>(rows);
      return get_dependencies(list, rows, m.instance, to);
    };
    const bool has_value = m.voted && !m.vote_nop;
    if (!take(m.recorded, from.getInitial(), m.initial)) return false;
    if (!take(m.pre_accepted, from.getPreAcceptDependencies(), m.pre_accept_dependencies)) {
      return false;
    }
    if (!take(has_value, from.getVoteDependencies(), m.vote_dependencies)) return false;
    if (m.recorded || has_value) {
      m.block = bytes_of(from.getBlock());
      expected += words_of(m.block);
    }
    return words == expected;
  });
}

Slice encode(const Validate& message, Effects& out) {
  using S = schema::Validate;
  const std::size_t words = words_of<S>() + words_of(message.initial) + words_of(message.block);
  return build<S>(out, words, [&](S::Builder to) {
    put_instance(to, message.instance);
    to.setBallot(message.ballot.packed());
    fill(to.initInitial(rows_of(message.initial)), message.initial);
    to.setBlock(data_of(message.block));
  });
}

bool decode(Bytes body, int rows, Validate& out) {
  using S = schema::Validate;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return get_proposal(from, rows, out) &&
           codec::read_ballot(from.getBallot(), rows, out.ballot) &&
           words == words_of<S>() + words_of(out.initial) + words_of(out.block);
  });
}

namespace {

constexpr std::size_t blocker_words(std::size_t blockers) {
  // A list of structs has a tag word before its elements.
  return blockers == 0 ? 0 : 1 + blockers * (words_of<schema::Blocker>() - 1);
}

}  // namespace

Slice encode(const ValidateOk& message, Effects& out) {
  using S = schema::ValidateOk;
  const std::size_t count = message.blockers.size();
  check(count <= kBlockersMax, "a ValidateOk names at most kBlockersMax blockers");
  return build<S>(out, words_of<S>() + blocker_words(count), [&](S::Builder to) {
    put_instance(to, message.instance);
    to.setBallot(message.ballot.packed());
    if (count == 0) return;
    auto list = to.initBlockers(static_cast<unsigned>(count));
    for (unsigned i = 0; i < count; ++i) {
      auto blocker = list[i];
      put_instance(blocker, message.blockers[i].instance);
      blocker.setCommitted(message.blockers[i].committed);
      blocker.setMatched(message.blockers[i].matched);
    }
  });
}

bool decode(Bytes body, int rows, ValidateOk& out) {
  using S = schema::ValidateOk;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_instance(from, rows, out.instance)) return false;
    if (!codec::read_ballot(from.getBallot(), rows, out.ballot)) return false;
    const auto list = from.getBlockers();
    if (list.size() > kBlockersMax || words != words_of<S>() + blocker_words(list.size())) {
      return false;
    }
    out.blockers.clear();
    for (const auto blocker : list) {
      ValidationBlocker& to = out.blockers.emplace_back();
      if (!get_instance(blocker, rows, to.instance)) return false;
      to.committed = blocker.getCommitted();
      to.matched = blocker.getMatched();
    }
    return true;
  });
}

Slice encode(const Waiting& message, Effects& out) {
  using S = schema::Waiting;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    put_instance(to, message.instance);
    to.setMask(message.mask);
  });
}

bool decode(Bytes body, int rows, Waiting& out) {
  using S = schema::Waiting;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.mask = from.getMask();
    return get_instance(from, rows, out.instance) && words == words_of<S>() &&
           out.mask < 1u << rows;
  });
}

Slice encode(const Status& message, Effects& out) {
  using S = schema::Status;
  return build<S>(out, words_of<S>(), [&](S::Builder to) { put_instance(to, message.instance); });
}

bool decode(Bytes body, int rows, Status& out) {
  using S = schema::Status;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return get_instance(from, rows, out.instance) && words == words_of<S>();
  });
}

Slice encode(const FetchRange& message, Effects& out) {
  using S = schema::FetchRange;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setRow(message.row.value());
    to.setFrom(message.from.value());
    to.setTo(message.to.value());
  });
}

bool decode(Bytes body, int rows, FetchRange& out) {
  using S = schema::FetchRange;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {ReplicaId(from.getRow()), Slot(from.getFrom()), Slot(from.getTo())};
    return out.row.value() < rows && out.from.value() >= 1 && out.from <= out.to &&
           out.to.value() <= kSlotMax && words == words_of<S>();
  });
}

Slice encode(const RangeEnd& message, Effects& out) {
  using S = schema::RangeEnd;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setRow(message.row.value());
    to.setNext(message.next.value());
    to.setMore(message.more);
  });
}

bool decode(Bytes body, int rows, RangeEnd& out) {
  using S = schema::RangeEnd;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {ReplicaId(from.getRow()), Slot(from.getNext()), from.getMore()};
    return out.row.value() < rows && out.next.value() <= kSlotMax + 1 && words == words_of<S>();
  });
}

Slice encode(const Frontier& message, Effects& out) {
  using S = schema::Frontier;
  const std::size_t rows = words_of(message.executed);
  return build<S>(out, words_of<S>() + 3 * rows, [&](S::Builder to) {
    fill(to.initExecuted(rows_of(message.executed)), message.executed);
    fill(to.initFloor(rows_of(message.floor)), message.floor);
    fill(to.initKnown(rows_of(message.known)), message.known);
    to.setNonVoting(message.non_voting);
    to.setForgetful(message.forgetful);
  });
}

bool decode(Bytes body, int rows, Frontier& out) {
  using S = schema::Frontier;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.non_voting = from.getNonVoting();
    out.forgetful = from.getForgetful();
    if (out.forgetful >= 1u << rows) return false;
    return codec::read(from.getExecuted(), rows, kSlotMax, out.executed) &&
           codec::read(from.getFloor(), rows, kSlotMax, out.floor) &&
           codec::read(from.getKnown(), rows, kSlotMax, out.known) &&
           words == words_of<S>() + 3 * static_cast<std::size_t>(rows);
  });
}

Slice encode(const Truncated& message, Effects& out) {
  using S = schema::Truncated;
  return build<S>(out, words_of<S>() + words_of(message.floor), [&](S::Builder to) {
    put_instance(to, message.instance);
    fill(to.initFloor(rows_of(message.floor)), message.floor);
  });
}

bool decode(Bytes body, int rows, Truncated& out) {
  using S = schema::Truncated;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return get_instance(from, rows, out.instance) &&
           codec::read(from.getFloor(), rows, kSlotMax, out.floor) &&
           words == words_of<S>() + words_of(out.floor);
  });
}

Slice encode(const Fence& message, Effects& out) {
  using S = schema::Fence;
  const std::span<const Access> accesses = message.footprint.accesses();
  return build<S>(out, words_of<S>() + accesses.size(), [&](S::Builder to) {
    to.setNumber(message.number);
    to.setTtlUs(message.ttl_us);
    to.setEverything(message.footprint.is_everything());
    if (accesses.empty()) return;
    auto list = to.initAccesses(static_cast<unsigned>(accesses.size()));
    for (unsigned i = 0; i < list.size(); ++i) list.set(i, accesses[i].packed());
  });
}

bool decode(Bytes body, int, Fence& out) {
  using S = schema::Fence;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.number = from.getNumber();
    out.ttl_us = from.getTtlUs();
    const auto list = from.getAccesses();
    if (out.number == 0 || list.size() > kBlockAccessesMax ||
        words != words_of<S>() + list.size() || (from.getEverything() && list.size() > 0)) {
      return false;
    }
    std::vector<Access> accesses;
    for (const std::uint64_t packed : list) {
      const Access access = Access::from_packed(packed);
      if (!accesses.empty() && access.key() <= accesses.back().key()) return false;
      accesses.push_back(access);
    }
    out.footprint = from.getEverything() ? Footprint::everything() : Footprint::of_sorted(accesses);
    return true;
  });
}

Slice encode(const Unfence& message, Effects& out) {
  using S = schema::Unfence;
  return build<S>(out, words_of<S>(), [&](S::Builder to) { to.setNumber(message.number); });
}

bool decode(Bytes body, int, Unfence& out) {
  using S = schema::Unfence;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.number = from.getNumber();
    return words == words_of<S>();
  });
}

Slice encode(const VectorFloor& message, Effects& out) {
  using S = schema::VectorFloor;
  return build<S>(out, words_of<S>() + words_of(message.executed), [&](S::Builder to) {
    fill(to.initExecuted(rows_of(message.executed)), message.executed);
  });
}

bool decode(Bytes body, int rows, VectorFloor& out) {
  using S = schema::VectorFloor;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return codec::read(from.getExecuted(), rows, kSlotMax, out.executed) &&
           words == words_of<S>() + words_of(out.executed);
  });
}

}  // namespace epaxos::protocol
