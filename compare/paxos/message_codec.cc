#include "compare/paxos/message.capnp.h"
#include "compare/paxos/message.h"
#include "epaxos/contract/codec_support.h"

namespace epaxos::compare::paxos {
namespace {

using codec::build;
using codec::bytes_of;
using codec::data_of;
using codec::parse;
using codec::words_of;

/// A value without its pointer.
std::size_t words_of_value(const ValueView& value) {
  return words_of<schema::Value>() - 1 + words_of(value.block);
}

void put_value(schema::Value::Builder to, const ValueView& value) {
  to.setProposer(value.proposer.value());
  to.setBlock(data_of(value.block));
}

bool get_value(schema::Value::Reader from, int replicas, ValueView& out) {
  out = {ReplicaId(from.getProposer()), bytes_of(from.getBlock())};
  return from.getProposer() < replicas && decode_block_footprint(out.block).has_value();
}

/// One at which somebody proposes.
bool get_ballot(std::uint64_t packed, int replicas, Ballot& out) {
  return packed != 0 && codec::read_ballot(packed, replicas, out);
}

Slice encode_ballot(Ballot ballot, Effects& out) {
  using S = schema::OfBallot;
  return build<S>(out, words_of<S>(), [&](S::Builder to) { to.setBallot(ballot.packed()); });
}

bool decode_ballot(Bytes body, int replicas, Ballot& out) {
  using S = schema::OfBallot;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return words == words_of<S>() && get_ballot(from.getBallot(), replicas, out);
  });
}

}  // namespace

Slice encode(const Prepare& message, Effects& out) {
  return encode_ballot(message.ballot, out);
}
Slice encode(const Accepted& message, Effects& out) {
  return encode_ballot(message.ballot, out);
}
bool decode(Bytes body, int replicas, Prepare& out) {
  return decode_ballot(body, replicas, out.ballot);
}
bool decode(Bytes body, int replicas, Accepted& out) {
  return decode_ballot(body, replicas, out.ballot);
}

Slice encode(const Promise& message, Effects& out) {
  using S = schema::Voted;
  const bool voted = message.accepted_ballot > kInitialBallot;
  const std::size_t value = voted ? words_of_value(message.value) : 0;
  return build<S>(out, words_of<S>() + value, [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    to.setAcceptedBallot(message.accepted_ballot.packed());
    if (voted) put_value(to.initValue(), message.value);
  });
}

bool decode(Bytes body, int replicas, Promise& out) {
  using S = schema::Voted;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    if (!get_ballot(from.getBallot(), replicas, out.ballot)) return false;
    out.accepted_ballot = kInitialBallot;
    if (from.getAcceptedBallot() == 0) return words == words_of<S>();
    return get_ballot(from.getAcceptedBallot(), replicas, out.accepted_ballot) &&
           out.accepted_ballot <= out.ballot && get_value(from.getValue(), replicas, out.value) &&
           words == words_of<S>() + words_of_value(out.value);
  });
}

Slice encode(const Accept& message, Effects& out) {
  using S = schema::Proposed;
  return build<S>(out, words_of<S>() + words_of_value(message.value), [&](S::Builder to) {
    to.setBallot(message.ballot.packed());
    put_value(to.initValue(), message.value);
  });
}

bool decode(Bytes body, int replicas, Accept& out) {
  using S = schema::Proposed;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return get_ballot(from.getBallot(), replicas, out.ballot) &&
           get_value(from.getValue(), replicas, out.value) &&
           words == words_of<S>() + words_of_value(out.value);
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

Slice encode(const Chosen& message, Effects& out) {
  using S = schema::Value;
  return build<S>(out, 1 + words_of_value(message.value),
                  [&](S::Builder to) { put_value(to, message.value); });
}

bool decode(Bytes body, int replicas, Chosen& out) {
  using S = schema::Value;
  return parse<S>(body, [&](S::Reader from, std::size_t words) {
    return get_value(from, replicas, out.value) && words == 1 + words_of_value(out.value);
  });
}

Slice encode(const Ask&, Effects& out) {
  Slice body;
  out.allocate(0, body);
  return body;
}

bool decode(Bytes body, int, Ask&) {
  return body.empty();
}

Slice encode(const Forgot&, Effects& out) {
  return encode(Ask{}, out);
}
bool decode(Bytes body, int, Forgot&) {
  return body.empty();
}

}  // namespace epaxos::compare::paxos
