#include "epaxos/runtime/submission_queue.h"

#include <utility>

namespace epaxos::runtime {

Result<void> SubmissionQueue::submit(std::span<Submission> submissions) {
  std::size_t bytes = 0;
  for (const Submission& submission : submissions) bytes += submission.payload.size();

  const std::scoped_lock lock(mutex_);
  if (refused_) return fail(*refused_);
  if (waiting_.submissions_.size() + submissions.size() > limits_.count_max ||
      waiting_.bytes_.size() + bytes > limits_.bytes_max) {
    return fail(ErrorCode::kOverloaded,
                "Too many proposals wait at this replica. Wait for outcomes, then try again.");
  }
  for (Submission& submission : submissions) {
    waiting_.bytes_.insert(waiting_.bytes_.end(), submission.payload.begin(),
                           submission.payload.end());
    waiting_.submissions_.push_back(std::move(submission));
  }
  return {};
}

bool SubmissionQueue::submit(Task task) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return false;
  waiting_.tasks_.push_back(std::move(task));
  return true;
}

void SubmissionQueue::refuse(Error error) {
  const std::scoped_lock lock(mutex_);
  if (!refused_) refused_ = std::move(error);
}

void SubmissionQueue::close() {
  const std::scoped_lock lock(mutex_);
  check(refused_.has_value(), "a queue that still takes proposals was closed");
  closed_ = true;
}

SubmissionQueue::Size SubmissionQueue::size() const {
  const std::scoped_lock lock(mutex_);
  return {waiting_.submissions_.size(), waiting_.bytes_.size()};
}

void SubmissionQueue::take(Batch& batch) {
  batch.submissions_.clear();
  batch.tasks_.clear();
  batch.bytes_.clear();
  {
    const std::scoped_lock lock(mutex_);
    std::swap(batch, waiting_);
  }
  std::size_t offset = 0;
  for (Submission& submission : batch.submissions_) {
    const std::size_t size = submission.payload.size();
    submission.payload = Bytes(batch.bytes_).subspan(offset, size);
    offset += size;
  }
}

}  // namespace epaxos::runtime
