#include "compare/log/read_queue.h"

#include <algorithm>
#include <utility>

#include "deps/types/check.h"

namespace epaxos::compare {

std::span<const Proposal> ReadQueue::take(std::span<const Proposal> proposals, Effects& out) {
  const auto is_read = [](const Proposal& each) { return each.command.reads_only; };
  if (!is_on_ || std::ranges::none_of(proposals, is_read)) return proposals;
  rest_.clear();
  for (const Proposal& each : proposals) {
    if (!is_read(each)) {
      rest_.push_back(each);
    } else if (size_ >= reads_max_ || bytes_ >= kBytesMax) {
      out.reject({&each, 1}, ErrorCode::kOverloaded,
                 "too many reads of this replica wait for an answer; try again later");
    } else {
      add(each.command);
    }
  }
  return rest_;
}

void ReadQueue::add(const Command& command) {
  if (groups_.empty() || groups_.back().number == asked_) {
    if (spare_.empty()) {
      groups_.emplace_back();
    } else {
      groups_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    groups_.back().number = asked_ + 1;
    ++waiting_;
  }
  Group& group = groups_.back();
  group.reads.push_back({command.id, group.payloads.size(), command.payload.size()});
  group.payloads.insert(group.payloads.end(), command.payload.begin(), command.payload.end());
  ++size_;
  bytes_ += command.payload.size();
}

std::optional<std::uint64_t> ReadQueue::ask(Tick now) {
  if (waiting_ == 0) return std::nullopt;
  const std::uint64_t last = groups_.back().number;
  if (last == asked_ && due_ > now) return std::nullopt;
  asked_ = last;
  due_ = now + resend_us_;
  return last;
}

void ReadQueue::begin_again() {
  for (Group& group : groups_) group.index.reset();
  waiting_ = groups_.size();
  due_ = 0;
}

bool ReadQueue::answered(std::uint64_t life, std::uint64_t number, Slot index) {
  if (life != life_ || number > asked_) return false;
  bool news = false;
  for (Group& group : groups_) {
    if (group.number > number) break;
    if (group.index) continue;
    group.index = index;
    --waiting_;
    news = true;
  }
  return news;
}

std::size_t ReadQueue::serve(Slot applied_up_to, Effects& out) {
  std::size_t served = 0;
  while (!groups_.empty() && groups_.front().index && *groups_.front().index <= applied_up_to) {
    Group& group = groups_.front();
    for (const Read& read : group.reads) {
      const Bytes payload = Bytes(group.payloads).subspan(read.offset, read.bytes);
      out.reads.push_back({read.command, out.append(payload)});
    }
    served += group.reads.size();
    end_first();
  }
  return served;
}

void ReadQueue::refuse_unserved(Effects& out) {
  while (!groups_.empty() && groups_.front().index) {
    for (const Read& read : groups_.front().reads) {
      const Proposal refused{{.id = read.command, .reads_only = true, .payload = {}}, {}};
      out.reject({&refused, 1}, ErrorCode::kOutOfSpace,
                 "the disk of this replica is full, so it falls behind and cannot answer reads; "
                 "free space on it, or use another replica");
    }
    end_first();
  }
}

void ReadQueue::end_first() {
  Group& group = groups_.front();
  check(size_ >= group.reads.size(), "more reads were answered than asked");
  size_ -= group.reads.size();
  bytes_ -= group.payloads.size();
  if (spare_.size() < kSpareMax) {
    group.reads.clear();
    group.payloads.clear();
    group.index.reset();
    spare_.push_back(std::move(group));
  }
  groups_.pop_front();
}

}  // namespace epaxos::compare
