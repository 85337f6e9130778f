#include "epaxos/sim/watched_machine.h"

#include <utility>

#include "deps/types/check.h"

namespace epaxos::sim {
namespace {

/// An image of a machine behind the number that observers know it by.
class NumberedImage final : public Image {
 public:
  NumberedImage(std::uint64_t number, std::unique_ptr<Image> image)
      : number_(number), image_(std::move(image)) {}

  Result<bool> read(std::size_t bytes, std::vector<std::byte>& out) override {
    if (!std::exchange(told_, true)) {
      const Bytes number = bytes_of(number_);
      out.insert(out.end(), number.begin(), number.end());
    }
    return image_->read(bytes, out);
  }

 private:
  const std::uint64_t number_;
  bool told_ = false;
  const std::unique_ptr<Image> image_;
};

}  // namespace

void WatchedMachine::begin() {
  if (storage_ == nullptr || storage_->kept().number == 0) return;
  Bytes rest = storage_->kept().state;
  const Result<void> loaded = load([&rest](std::span<std::byte> to) -> Result<void> {
    if (to.size() > rest.size()) return fail(ErrorCode::kCorrupted, "the state ends too early");
    copy_bytes(rest.first(to.size()), to.data());
    rest = rest.subspan(to.size());
    return {};
  });
  check(loaded && rest.empty(), "a state machine does not load what it has saved");
}

void WatchedMachine::apply(std::span<const Command> batch, Replies& replies) {
  machine_->apply(batch, replies);
  watch_.applied(batch, replies);
}

void WatchedMachine::read(std::span<const Command> batch, Replies& replies) {
  machine_->read(batch, replies);
  watch_.read(batch, replies);
}

Result<void> WatchedMachine::load(const Source& source) {
  std::uint64_t number = 0;
  if (const Result<void> read = load_number(source, number); !read) return read;
  if (const Result<void> loaded = machine_->load(source); !loaded) return loaded;
  watch_.loaded(number);
  return {};
}

Result<std::unique_ptr<Image>> WatchedMachine::image() {
  Result<std::unique_ptr<Image>> image = machine_->image();
  if (!image) return fail(image.error());
  return std::unique_ptr<Image>(
      std::make_unique<NumberedImage>(watch_.imaged(), std::move(*image)));
}

Result<void> WatchedMachine::keep(std::uint64_t number, Bytes mark) {
  if (storage_ == nullptr) return StateMachine::keep(number, mark);
  if (watch_.dying()) return {};
  MachineStorage::State kept{number, {mark.begin(), mark.end()}, {}};
  const std::uint64_t image = watch_.imaged();
  const auto add = [&kept](Bytes bytes) -> Result<void> {
    kept.state.insert(kept.state.end(), bytes.begin(), bytes.end());
    return {};
  };
  Result<void> done = add(bytes_of(image));
  if (done) done = machine_->save(add);
  if (done) done = storage_->keep(std::move(kept));
  watch_.keeping();
  return done;
}

}  // namespace epaxos::sim
