#pragma once

// Peers, clients, the clock, the power and the owner of its images do to a watched replica what a
// fuzzer's input says.

#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "tests/fuzz/image_source.h"
#include "tests/fuzz/message_source.h"
#include "tests/fuzz/watched_replica.h"

namespace epaxos::protocol {

using fuzz::Input;
using fuzz::MessageSource;

struct Delivered {
  ReplicaId from;
  net::FrameType type = 0;
  std::vector<std::byte> body;
};

/// Of a replica that has started.
class Run {
 public:
  Run(Input& input, int n, Replica& replica)
      : input_(input), n_(n), source_(input, n), images_(input, n), replica_(replica) {}

  void run(unsigned steps) {
    for (; steps > 0 && !input_.at_end(); --steps) step();
    replica_.sync(~0u);
  }

 private:
  void step() {
    switch (input_.below(32)) {
      case 0:
      case 1:
        return propose();
      case 2:
        return replica_.sync(1);
      case 3:
      case 4:
        return replica_.sync(~0u);
      case 5:
        return replica_.crash(input_.below(4));
      case 6:
        return replica_.set_full(!replica_.full() && input_.below(4) == 0);
      case 7:
      case 8:
      case 9:
      case 10:
        return pass_time();
      case 11:
      case 12:
        return again();
      case 13:
        return deliver(peer(), input_.byte(), input_.bytes(input_.byte() / 8 * 8u));
      case 14:
      case 15:
        return image();
      case 16:
        return all_have_executed();
      case 17:
      case 18:
        return go_on();
      default:
        return message();
    }
  }

  ReplicaId peer() {
    return ReplicaId(static_cast<std::uint16_t>(1 + input_.below(static_cast<unsigned>(n_ - 1))));
  }

  void image() {
    switch (input_.below(8)) {
      case 0:
      case 1:
        return replica_.begin_image();
      case 2:
      case 3:
        return replica_.end_image();
      case 4:
        if (CoverageBytes told = replica_.image_for(peer()); !told.empty())
          given_ = std::move(told);
        return;
      default:
        return install();
    }
  }

  /// An image of a peer: made up, or what a peer would be told of one, perhaps changed.
  void install() {
    CoverageBytes image = given_;
    if (image.empty() || input_.flag()) {
      image = images_.coverage(replica_.executed_up_to(), replica_.proposed_up_to());
    }
    images_.change(image);
    const Exact exact(image);
    replica_.install(exact.bytes(), input_.below(8));
  }

  /// All others say that they have executed what this replica has, and drop it.
  void all_have_executed() {
    Frontier message;
    message.executed = message.floor = message.known = replica_.executed_up_to();
    for (std::uint16_t from = 1; from < n_; ++from) {
      Effects encoded;
      const Slice body = encode(message, encoded);
      deliver(ReplicaId(from), static_cast<unsigned>(MessageType::kFrontier), encoded.view(body));
    }
  }

  /// The first instance of a row that is not executed is decided.
  void go_on() {
    const Dependencies executed = replica_.executed_up_to();
    source_.limit_first_row(replica_.proposed_up_to().value());
    const ReplicaId from = peer();
    for (std::uint16_t row = 0; row < n_; ++row) {
      const InstanceId id{ReplicaId(row), executed[ReplicaId(row)].next()};
      if (id.slot.value() > kSlotMax || (row == 0 && id.slot > replica_.proposed_up_to())) continue;
      Effects encoded;
      const Slice body = source_.commit(id, encoded);
      deliver(from, static_cast<unsigned>(MessageType::kCommit), encoded.view(body));
    }
  }

  void propose() {
    if (replica_.full()) return;  // The host does not.
    std::vector<Proposal> proposals;
    for (unsigned left = 1 + input_.below(3); left > 0; --left) {
      const Footprint footprint = source_.footprint();
      proposals.push_back({{{1, ++commands_}, 0, !footprint.writes(), {}}, footprint});
    }
    replica_.turn(1, [&](Core& core, Effects& out) { core.propose(proposals, out); });
  }

  /// In steps, so that peers can stay silent after a question.
  void pass_time() {
    constexpr std::array<Tick, 4> kPauses{1'000, 50'000, 400'000, 5'000'000};
    const unsigned choice = input_.below(5);
    for (unsigned left = 1 + input_.below(4); left > 0; --left) {
      const Tick due = replica_.deadline();
      Tick pause = choice < 4 ? kPauses[choice] : 0;
      if (choice == 4 && due != kNever && due > replica_.now()) pause = due - replica_.now();
      replica_.turn(pause, [](Core&, Effects&) {});
    }
  }

  void message() {
    constexpr std::array<MessageType, 4> kAnswers{MessageType::kRecoverOk, MessageType::kRecoverOk,
                                                  MessageType::kValidateOk, MessageType::kAcceptOk};
    unsigned type = 1 + input_.below(kMessageTypes - 1);
    if (input_.flag()) type = static_cast<unsigned>(kAnswers[input_.below(4)]);
    const ReplicaId from = peer();
    Effects encoded;
    source_.follow(replica_.asked(), replica_.asked_last());
    source_.limit_first_row(replica_.proposed_up_to().value());
    source_.follow_executed(replica_.executed_up_to());
    const Slice body = source_.body(static_cast<MessageType>(type), encoded, from);
    deliver(from, type, encoded.view(body));
  }

  /// Something old arrives a second time, perhaps changed a little.
  void again() {
    if (delivered_.empty()) return;
    Delivered old = delivered_[input_.byte() % delivered_.size()];
    const std::uint16_t at = input_.number<std::uint16_t>();
    if (input_.flag() && !old.body.empty())
      old.body[at % old.body.size()] ^= std::byte{input_.byte()};
    deliver(old.from, old.type, old.body);
  }

  void deliver(ReplicaId from, unsigned type, Bytes body) {
    const Exact exact(body);
    const net::Frame frame{GroupId(), Epoch(), static_cast<net::FrameType>(type), exact.bytes()};
    replica_.turn(1, [&](Core& core, Effects& out) { core.receive(from, frame, out); });
    if (delivered_.size() == 16) delivered_.pop_front();
    delivered_.push_back({from, frame.type, {body.begin(), body.end()}});
  }

  Input& input_;
  const int n_;
  MessageSource source_;
  ImageSource images_;
  Replica& replica_;
  CoverageBytes given_;  ///< What a peer was told last.
  std::deque<Delivered> delivered_;
  std::uint64_t commands_ = 0;
};

}  // namespace epaxos::protocol
