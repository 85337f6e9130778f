#include "compare/log/log_coverage.h"
#include "compare/log/log_messages.capnp.h"
#include "compare/log/log_messages.h"
#include "epaxos/contract/codec_support.h"

namespace epaxos::compare {
namespace {

using codec::words_of;

}  // namespace

Slice encode(const Forward& message, Effects& out) {
  using S = schema::Forward;
  return codec::build<S>(out, words_of<S>() + words_of(message.block), [&](S::Builder to) {
    to.setLife(message.life);
    to.setSequence(message.sequence);
    to.setBlock(codec::data_of(message.block));
  });
}

bool decode(Bytes body, int, Forward& out) {
  using S = schema::Forward;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {from.getLife(), from.getSequence(), codec::bytes_of(from.getBlock())};
    return words == words_of<S>() + words_of(out.block) && out.life > 0 && out.sequence > 0 &&
           !out.block.empty() && out.block.size() <= kBlockBytesMax;
  });
}

Slice encode(const Wanted& message, Effects& out) {
  using S = schema::Wanted;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setLife(message.life);
    to.setSequence(message.sequence);
  });
}

bool decode(Bytes body, int, Wanted& out) {
  using S = schema::Wanted;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {from.getLife(), from.getSequence()};
    return words == words_of<S>() && out.life > 0 && out.sequence > 0;
  });
}

Slice encode(const ReadIndex& message, Effects& out) {
  using S = schema::ReadIndex;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setLife(message.life);
    to.setNumber(message.number);
  });
}

bool decode(Bytes body, int, ReadIndex& out) {
  using S = schema::ReadIndex;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {from.getLife(), from.getNumber()};
    return words == words_of<S>() && out.life > 0 && out.number > 0;
  });
}

Slice encode(const ReadIndexReply& message, Effects& out) {
  using S = schema::ReadIndexReply;
  return codec::build<S>(out, words_of<S>(), [&](S::Builder to) {
    to.setLife(message.life);
    to.setNumber(message.number);
    to.setIndex(message.index.value());
  });
}

bool decode(Bytes body, int, ReadIndexReply& out) {
  using S = schema::ReadIndexReply;
  return codec::parse<S>(body, [&](S::Reader from, std::size_t words) {
    out = {from.getLife(), from.getNumber(), Slot(from.getIndex())};
    return words == words_of<S>() && out.life > 0 && out.number > 0 &&
           out.index.value() <= kLogSlotMax;
  });
}

void encode(const LogCoverage& coverage, std::vector<std::byte>& out) {
  using S = schema::LogCoverage;
  const auto n = static_cast<unsigned>(coverage.configuration.replica_count);
  Effects arena;
  const Slice body = codec::build<S>(arena, words_of<S>() + 2 * n, [&](S::Builder to) {
    to.setSlot(coverage.slot.value());
    to.setRound(coverage.round);
    to.setEpoch(coverage.configuration.epoch.value());
    to.setMembers(static_cast<std::uint32_t>(packed(coverage.members)));
    auto lives = to.initLives(n);
    auto sequences = to.initSequences(n);
    for (unsigned i = 0; i < n; ++i) {
      lives.set(i, coverage.executed[replica_at(i)].life);
      sequences.set(i, coverage.executed[replica_at(i)].sequence);
    }
  });
  const Bytes bytes = arena.view(body);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Result<LogCoverage> decode_log_coverage(Bytes bytes) {
  using S = schema::LogCoverage;
  const AlignedBytes aligned(bytes);
  LogCoverage coverage;
  const bool decodes = codec::parse<S>(aligned.bytes(), [&](S::Reader from, std::size_t words) {
    const auto lives = from.getLives();
    const auto sequences = from.getSequences();
    const unsigned n = lives.size();
    if (n < 1 || n > kReplicasMax || sequences.size() != n) return false;
    coverage.slot = Slot(from.getSlot());
    coverage.round = from.getRound();
    coverage.configuration = {Epoch(from.getEpoch()), static_cast<int>(n)};
    for (unsigned i = 0; i < n; ++i) {
      if ((lives[i] == 0) != (sequences[i] == 0)) return false;
      coverage.executed.set(replica_at(i), {lives[i], sequences[i]});
    }
    const std::uint32_t members = from.getMembers();
    return words == words_of<S>() + 2 * n && coverage.slot.value() <= kLogSlotMax &&
           (members == 0 || unpack(members, static_cast<int>(n), coverage.members));
  });
  if (decodes) return coverage;
  return fail(ErrorCode::kMalformed, "what an image says that it covers makes no sense");
}

}  // namespace epaxos::compare
