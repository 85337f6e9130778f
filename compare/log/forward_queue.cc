#include "compare/log/forward_queue.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::compare {
namespace {

/// Blocks whose memory is kept for the next ones.
constexpr std::size_t kSpareMax = 64;
/// Bytes of blocks that wait to be executed.
constexpr std::size_t kWaitingBytesMax = std::size_t{64} * 1024 * 1024;

}  // namespace

ForwardQueue::Taken ForwardQueue::take(std::span<const Proposal> proposals,
                                       const CoreConfig& config, Effects& out) {
  Taken taken;
  while (!proposals.empty()) {
    if (size() >= config.in_flight_max || bytes_ >= kWaitingBytesMax) {
      out.reject(proposals, ErrorCode::kOverloaded,
                 "too many commands of this replica are undecided; try again later");
      break;
    }
    const auto batch = proposals.first(
        commands_that_fit(proposals, config.batch_commands_max, config.batch_bytes_max));
    proposals = proposals.subspan(batch.size());
    const Footprint footprint = merged_footprint(batch);
    const std::size_t bytes = block_bytes(batch, footprint);
    if (bytes > kBlockBytesMax || footprint.accesses().size() > kBlockAccessesMax) {
      out.reject(batch, ErrorCode::kTooLarge,
                 "the command exceeds the 512 KiB or 16,384 keys that an entry can carry");
      continue;
    }
    add(batch, footprint, bytes);
    ++taken.blocks;
    taken.commands += batch.size();
  }
  return taken;
}

void ForwardQueue::add(std::span<const Proposal> batch, const Footprint& footprint,
                       std::size_t bytes) {
  std::vector<std::byte> block;
  if (!spare_.empty()) {
    block = std::move(spare_.back());
    spare_.pop_back();
  }
  block.assign(bytes, std::byte{0});
  encode_block(batch, footprint, block);
  bytes_ += bytes;
  blocks_.push_back(std::move(block));
}

std::optional<Entry> ForwardQueue::next() const {
  if (next_ == blocks_.size() || (next_ > 0 && sent_bytes_ >= limits_.window_bytes)) {
    return std::nullopt;
  }
  return Entry{0, {self_, life_, first_ + next_}, blocks_[next_]};
}

void ForwardQueue::sent(Tick now) {
  check(next_ < blocks_.size(), "a block was sent that does not exist");
  if (next_ == 0) wait(now);
  sent_bytes_ += blocks_[next_].size();
  ++next_;
}

void ForwardQueue::begin_again(Tick now) {
  next_ = 0;
  sent_bytes_ = 0;
  interval_ = limits_.resend_us;
  rewound_to_ = 0;
  wait(now);
}

void ForwardQueue::wanted(std::uint64_t life, std::uint64_t sequence, Tick now) {
  if (life != life_ || sequence < first_ || sequence >= first_ + next_) return;
  if (sequence == rewound_to_ && now < rewound_at_ + limits_.resend_us / 4) return;
  rewound_to_ = sequence;
  rewound_at_ = now;
  while (first_ + next_ > sequence) {
    --next_;
    sent_bytes_ -= blocks_[next_].size();
  }
}

bool ForwardQueue::resend_if_due(Tick now) {
  if (due() > now) return false;
  const Tick interval = std::min(2 * interval_, limits_.resend_max_us);
  begin_again(now);
  interval_ = std::max(interval, limits_.resend_us);
  wait(now);
  return true;
}

void ForwardQueue::pop(Tick now) {
  bytes_ -= blocks_.front().size();
  if (next_ > 0) {
    --next_;
    sent_bytes_ -= blocks_.front().size();
  }
  if (spare_.size() < kSpareMax) spare_.push_back(std::move(blocks_.front()));
  blocks_.pop_front();
  ++first_;
  interval_ = limits_.resend_us;
  wait(now);
}

}  // namespace epaxos::compare
