#include "compare/multipaxos/message.capnp.h"
#include "compare/multipaxos/message.h"
#include "epaxos/contract/codec_support.h"

namespace epaxos::compare::multipaxos {
namespace {

using codec::build;
using codec::bytes_of;
using codec::data_of;
using codec::parse;
using codec::words_of;

/// A ballot at which somebody proposes.
bool get_ballot(std::uint64_t packed, int replicas, Ballot& out) {
  return packed != 0 && codec::read_ballot(packed, replicas, out);
}

bool get_slot(std::uint64_t from, Slot& out) {
  out = Slot(from);
  return from <= kLogSlotMax;
}
bool get_real_slot(std::uint64_t from, Slot& out) {
  return from >= 1 && get_slot(from, out);
}

/// An entry in a message: the next of several.
bool take_checked(Bytes& entries, int replicas, Entry& out) {
  Ballot ballot;
  return take_entry(entries, replicas, out) && get_ballot(out.round, replicas, ballot) &&
         (out.origin.is_nobody() ? out.block.empty()
                                 : decode_block_footprint(out.block).has_value());
}

/// At least one, and nothing behind the last; `round`: that each must have, or 0.
bool are_entries(Slot first, Bytes entries, int replicas, std::uint64_t round) {
  if (entries.empty()) return false;
  std::uint64_t last = first.value() - 1;
  while (!entries.empty()) {
    Entry entry;
    if (!take_checked(entries, replicas, entry)) return false;
    if (round != 0 && entry.round != round) return false;
    ++last;
  }
  return last <= kLogSlotMax;
}

}  // namespace

bool is_entry(Bytes encoded, int replicas) {
  Entry entry;
  return take_checked(encoded, replicas, entry) && encoded.empty();
}

Slice encode(const Prepare& message, Effects& out) {
  using S = schema::Prepare;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setFrom(message.from.value());
  });
}

bool decode(Bytes body, int replicas, Prepare& out) {
  using S = schema::Prepare;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return words == words_of<S>() && get_ballot(from.getBallot(), replicas, out.ballot) &&
           get_real_slot(from.getFrom(), out.from);
  });
}

Slice encode(const Promise& message, Effects& out) {
  using S = schema::Promise;
  std::size_t bytes = 0;
  for (const Promise::Voted& each : message.votes) bytes += each.encoded.size();
  const std::size_t words = words_of<S>() + message.votes.size() + (bytes + 7) / 8;
  return build<S>(out, words, [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setFrom(message.from.value());
    to.setThrough(message.through.value());
    to.setDecidedUpTo(message.decided_up_to.value());
    to.setFloor(message.floor.value());
    if (message.votes.empty()) return;
    auto slots = to.initSlots(static_cast<unsigned>(message.votes.size()));
    auto* room = to.initEntries(static_cast<unsigned>(bytes)).begin();
    for (unsigned i = 0; i < slots.size(); ++i) {
      slots.set(i, message.votes[i].slot.value());
      copy_bytes(message.votes[i].encoded, room);
      room += message.votes[i].encoded.size();
    }
  });
}

bool decode(Bytes body, int replicas, Promise& out) {
  using S = schema::Promise;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_ballot(from.getBallot(), replicas, out.ballot)) return false;
    if (!get_real_slot(from.getFrom(), out.from)) return false;
    if (!get_real_slot(from.getThrough(), out.through)) return false;
    if (!get_slot(from.getDecidedUpTo(), out.decided_up_to)) return false;
    if (!get_slot(from.getFloor(), out.floor) || out.floor > out.decided_up_to) return false;
    out.votes.clear();
    Bytes entries = bytes_of(from.getEntries());
    if (words != words_of<S>() + from.getSlots().size() + words_of(entries)) return false;
    Slot before = out.decided_up_to;
    for (const std::uint64_t slot : from.getSlots()) {
      Promise::Voted& vote = out.votes.emplace_back();
      const Bytes rest = entries;
      if (!get_real_slot(slot, vote.slot) || vote.slot <= before) return false;
      if (!take_checked(entries, replicas, vote.entry)) return false;
      if (Ballot::from_packed(vote.entry.round) > out.ballot) return false;
      vote.encoded = rest.first(rest.size() - entries.size());
      before = vote.slot;
    }
    return entries.empty() && out.through >= out.from && before <= out.through;
  });
}

std::span<std::byte> encode_with_room(const Accept& message, std::size_t entry_bytes, Effects& out,
                                      Slice& body) {
  using S = schema::Accept;
  std::byte* room = nullptr;
  body = build<S>(out, words_of<S>() + entry_bytes / 8, [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setDecidedUpTo(message.decided_up_to.value());
    to.setFirst(message.first.value());
    room = reinterpret_cast<std::byte*>(to.initEntries(static_cast<unsigned>(entry_bytes)).begin());
  });
  return {room, entry_bytes};
}

Slice encode(const Accept& message, Effects& out) {
  Slice body;
  const auto room = encode_with_room(message, message.entries.size(), out, body);
  copy_bytes(message.entries, room.data());
  return body;
}

bool decode(Bytes body, int replicas, Accept& out) {
  using S = schema::Accept;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.entries = bytes_of(from.getEntries());
    return words == words_of<S>() + words_of(out.entries) &&
           get_ballot(from.getBallot(), replicas, out.ballot) &&
           get_slot(from.getDecidedUpTo(), out.decided_up_to) &&
           get_real_slot(from.getFirst(), out.first) && out.decided_up_to < out.first &&
           are_entries(out.first, out.entries, replicas, out.ballot.packed());
  });
}

Slice encode(const Accepted& message, Effects& out) {
  using S = schema::Accepted;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setFirst(message.first.value());
    to.setLast(message.last.value());
  });
}

bool decode(Bytes body, int replicas, Accepted& out) {
  using S = schema::Accepted;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return words == words_of<S>() && get_ballot(from.getBallot(), replicas, out.ballot) &&
           get_real_slot(from.getFirst(), out.first) && get_real_slot(from.getLast(), out.last) &&
           out.first <= out.last;
  });
}

Slice encode(const Nack& message, Effects& out) {
  using S = schema::Nack;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setHeard(message.heard.packed());
    to.setPromised(message.promised.packed());
  });
}

bool decode(Bytes body, int replicas, Nack& out) {
  using S = schema::Nack;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return words == words_of<S>() && get_ballot(from.getHeard(), replicas, out.heard) &&
           get_ballot(from.getPromised(), replicas, out.promised) && out.heard < out.promised;
  });
}

Slice encode(const Heartbeat& message, Effects& out) {
  using S = schema::Heartbeat;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setDecidedUpTo(message.decided_up_to.value());
    to.setLast(message.last.value());
    to.setSentAt(message.sent_at);
  });
}

bool decode(Bytes body, int replicas, Heartbeat& out) {
  using S = schema::Heartbeat;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.sent_at = from.getSentAt();
    return words == words_of<S>() && get_ballot(from.getBallot(), replicas, out.ballot) &&
           get_slot(from.getDecidedUpTo(), out.decided_up_to) &&
           get_slot(from.getLast(), out.last) && out.decided_up_to <= out.last;
  });
}

Slice encode(const HeartbeatOk& message, Effects& out) {
  using S = schema::HeartbeatOk;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setSentAt(message.sent_at);
    to.setPromised(message.promised_us);
  });
}

bool decode(Bytes body, int replicas, HeartbeatOk& out) {
  using S = schema::HeartbeatOk;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.sent_at = from.getSentAt();
    out.promised_us = from.getPromised();
    return words == words_of<S>() && get_ballot(from.getBallot(), replicas, out.ballot) &&
           out.sent_at > 0;
  });
}

Slice encode(const PreVote& message, Effects& out) {
  using S = schema::PreVote;
  return build<S>(out, words_of<S>(), [&](S::Builder to) { to.setSentAt(message.sent_at); });
}

bool decode(Bytes body, int, PreVote& out) {
  using S = schema::PreVote;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.sent_at = from.getSentAt();
    return words == words_of<S>() && out.sent_at > 0;
  });
}

Slice encode(const PreVoteOk& message, Effects& out) {
  using S = schema::PreVote;
  return build<S>(out, words_of<S>(), [&](S::Builder to) { to.setSentAt(message.sent_at); });
}

bool decode(Bytes body, int, PreVoteOk& out) {
  using S = schema::PreVote;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.sent_at = from.getSentAt();
    return words == words_of<S>() && out.sent_at > 0;
  });
}

Slice encode(const Fetch& message, Effects& out) {
  using S = schema::Range;
  return build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setFrom(message.from.value());
    to.setTo(message.to.value());
  });
}

bool decode(Bytes body, int, Fetch& out) {
  using S = schema::Range;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return words == words_of<S>() && get_real_slot(from.getFrom(), out.from) &&
           get_real_slot(from.getTo(), out.to) && out.from <= out.to;
  });
}

Slice encode(const Truncated& message, Effects& out) {
  return encode(Fetch{Slot(1), message.floor}, out);
}

bool decode(Bytes body, int replicas, Truncated& out) {
  Fetch range;
  if (!decode(body, replicas, range) || range.from != Slot(1)) return false;
  out.floor = range.to;
  return true;
}

Slice encode(const Forgot&, Effects& out) {
  Slice body;
  out.allocate(0, body);
  return body;
}

bool decode(Bytes body, int, Forgot&) {
  return body.empty();
}

Slice encode(const Learn& message, Effects& out) {
  using S = schema::Learn;
  return build<S>(out, words_of<S>() + words_of(message.entries), [&](S::Builder to) {
    to.setFirst(message.first.value());
    to.setEntries(data_of(message.entries));
  });
}

bool decode(Bytes body, int replicas, Learn& out) {
  using S = schema::Learn;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    out.entries = bytes_of(from.getEntries());
    return words == words_of<S>() + words_of(out.entries) &&
           get_real_slot(from.getFirst(), out.first) &&
           are_entries(out.first, out.entries, replicas, 0);
  });
}

}  // namespace epaxos::compare::multipaxos
