#include "executor/state_machine.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <xxhash.h>

namespace epaxos {
namespace {

/// All bytes of a state.
class CopiedImage final : public Image {
 public:
  explicit CopiedImage(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] Result<bool> read(std::size_t bytes, std::vector<std::byte>& out) override {
    const Bytes left = Bytes(bytes_).subspan(next_);
    const Bytes piece = left.first(std::min(std::max<std::size_t>(bytes, 1), left.size()));
    out.insert(out.end(), piece.begin(), piece.end());
    next_ += piece.size();
    return next_ < bytes_.size();
  }

 private:
  const std::vector<std::byte> bytes_;
  std::size_t next_ = 0;
};

}  // namespace

void Replies::add(Bytes reply) {
  bytes_.insert(bytes_.end(), reply.begin(), reply.end());
  ends_.push_back(bytes_.size());
}

Bytes Replies::operator[](std::size_t index) const {
  check(index < ends_.size(), "a reply that nobody gave was read");
  const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
  return Bytes(bytes_).subspan(begin, ends_[index] - begin);
}

void Replies::clear() {
  constexpr std::size_t kKeptBytes = std::size_t{1} << 20;
  if (bytes_.capacity() > kKeptBytes) bytes_ = {};
  bytes_.clear();
  ends_.clear();
}

Result<std::vector<std::byte>> StateMachine::query(Bytes) const {
  return fail(ErrorCode::kUnsupported,
              "this state machine answers no queries; propose a command that reads");
}

Result<std::unique_ptr<Image>> StateMachine::image() {
  std::vector<std::byte> bytes;
  const Result<void> saved = save([&](Bytes piece) -> Result<void> {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  });
  if (!saved) return fail(saved.error());
  return std::unique_ptr<Image>(std::make_unique<CopiedImage>(std::move(bytes)));
}

std::uint64_t StateMachine::digest() const {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash(XXH3_createState(),
                                                                      XXH3_freeState);
  XXH3_64bits_reset(hash.get());
  const Result<void> saved = save([&](Bytes piece) -> Result<void> {
    XXH3_64bits_update(hash.get(), piece.data(), piece.size());
    return {};
  });
  return saved ? XXH3_64bits_digest(hash.get()) : 0;
}

Result<void> StateMachine::keep(std::uint64_t, Bytes) {
  return fail(ErrorCode::kUnsupported, "this state machine has no storage of its own");
}

Result<std::vector<std::byte>> StateMachine::kept_mark() const {
  return fail(ErrorCode::kUnsupported, "this state machine has no storage of its own");
}

}  // namespace epaxos
