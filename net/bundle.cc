#include "net/bundle.h"

#include <cstring>

namespace epaxos::net {
namespace {

/// What stands between the envelope and the frames.
struct Preamble {
  std::uint16_t from = 0;
  std::uint16_t to = 0;
  std::uint32_t frames = 0;
  std::uint64_t incarnation = 0;
  std::uint64_t durable_sequence = 0;
  std::uint64_t durable_at_start = 0;
  std::uint64_t configuration_hash = 0;
};
static_assert(sizeof(Envelope) + sizeof(Preamble) == kBundleHeaderBytes);

struct FrameHeader {
  std::uint32_t bytes = 0;
  std::uint16_t group = 0;
  std::uint16_t type = 0;
  std::uint32_t epoch = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(FrameHeader) == kFrameHeaderBytes);

template <class T>
T read_at(Bytes bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// Whether exactly this many frames, each of a legal size, fill `bytes`.
bool frames_fill(Bytes bytes, std::uint32_t frames) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < frames; ++i) {
    if (bytes.size() - at < kFrameHeaderBytes) return false;
    const auto header = read_at<FrameHeader>(bytes, at);
    at += kFrameHeaderBytes;
    if (header.bytes % 8 != 0 || header.bytes > bytes.size() - at) return false;
    if (header.reserved != 0) return false;
    at += header.bytes;
  }
  return at == bytes.size();
}

}  // namespace

void BundleWriter::start(const BundleIdentity& identity, ReplicaId to,
                         std::uint64_t durable_sequence) {
  identity_ = identity;
  to_ = to;
  durable_sequence_ = durable_sequence;
  size_ = kBundleHeaderBytes;
  frame_count_ = 0;
  sealed_ = false;
  memory_ = buffer_.grow(0, kBundleHeaderBytes);
}

bool BundleWriter::fits(const Frame& frame) const {
  const std::size_t bytes = kFrameHeaderBytes + frame.body.size();
  if (empty()) return frame.body.size() <= kFrameBodyBytesMax;
  return bytes <= kBundleCloseBytes && size_ + bytes <= kBundleCloseBytes;
}

void BundleWriter::append(const Frame& frame) {
  check(!sealed_, "a frame was appended to a bundle that was not started or is sealed");
  check(fits(frame), "a frame was appended to a bundle that has no room for it");
  check(frame.body.size() % 8 == 0, "the size of a frame's body is no multiple of 8");

  const std::size_t end = size_ + kFrameHeaderBytes + frame.body.size();
  if (end > memory_.size()) memory_ = buffer_.grow(size_, end);
  FrameHeader header;
  header.bytes = static_cast<std::uint32_t>(frame.body.size());
  header.group = frame.group.value();
  header.type = frame.type;
  header.epoch = frame.epoch.value();
  std::memcpy(memory_.data() + size_, &header, sizeof header);
  copy_bytes(frame.body, memory_.data() + size_ + kFrameHeaderBytes);
  size_ = end;
  ++frame_count_;
}

Bytes BundleWriter::bytes() {
  if (!sealed_) {
    Preamble preamble;
    preamble.from = identity_.self.value();
    preamble.to = to_.value();
    preamble.frames = frame_count_;
    preamble.incarnation = identity_.incarnation;
    preamble.durable_sequence = durable_sequence_;
    preamble.durable_at_start = identity_.durable_at_start;
    preamble.configuration_hash = identity_.configuration_hash;
    std::memcpy(memory_.data() + sizeof(Envelope), &preamble, sizeof preamble);
    seal(memory_.first(size_), kBundleMagic, identity_.cluster);
    sealed_ = true;
  }
  return Bytes(memory_).first(size_);
}

BundleReader::BundleReader(const BundleIdentity& identity, int replica_count)
    : identity_(identity), replica_count_(replica_count) {
}

std::optional<Refusal> BundleReader::open(Bytes bundle) {
  rest_ = {};
  header_ = {};
  stranger_.reset();
  // Sizes come before the copy: nobody makes this replica copy more than it would accept.
  if (bundle.size() > kBundleBytesMax) return Refusal::kTooLarge;
  if (bundle.size() < kBundleHeaderBytes) return Refusal::kTooShort;
  const std::span<std::byte> copy = buffer_.assign(bundle);
  auto refusal = unseal(copy, kBundleMagic, identity_.cluster, kBundleBytesMax);
  if (!refusal) refusal = accept(copy);
  if (refusal == Refusal::kWrongCluster || refusal == Refusal::kWrongConfiguration) {
    const auto preamble = read_at<Preamble>(copy, sizeof(Envelope));
    const bool is_peer = preamble.from < replica_count_ && preamble.from != identity_.self.value();
    if (is_peer && preamble.to == identity_.self.value()) stranger_ = ReplicaId(preamble.from);
  }
  return refusal;
}

std::optional<Refusal> BundleReader::accept(Bytes bundle) {
  const auto preamble = read_at<Preamble>(bundle, sizeof(Envelope));
  if (preamble.to != identity_.self.value()) return Refusal::kWrongReceiver;
  if (preamble.from >= replica_count_) return Refusal::kWrongSender;
  if (preamble.from == identity_.self.value()) return Refusal::kWrongSender;
  if (preamble.configuration_hash != identity_.configuration_hash) {
    return Refusal::kWrongConfiguration;
  }
  const Bytes frames = bundle.subspan(kBundleHeaderBytes);
  if (!frames_fill(frames, preamble.frames)) return Refusal::kBadFrame;

  header_ = {ReplicaId(preamble.from), preamble.incarnation, preamble.durable_sequence,
             preamble.durable_at_start, preamble.frames};
  rest_ = frames;
  return std::nullopt;
}

bool BundleReader::next(Frame& frame) {
  if (rest_.empty()) return false;
  const auto header = read_at<FrameHeader>(rest_, 0);
  frame.group = GroupId(header.group);
  frame.epoch = Epoch(header.epoch);
  frame.type = header.type;
  frame.body = rest_.subspan(kFrameHeaderBytes, header.bytes);
  rest_ = rest_.subspan(kFrameHeaderBytes + header.bytes);
  return true;
}

}  // namespace epaxos::net
