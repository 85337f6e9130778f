#pragma once

// Coverages of images as a fuzzer's input describes them: well-formed and about as far as the
// replica under test has got, and then changed a little.

#include <algorithm>
#include <vector>

#include "epaxos/protocol/coverage.h"
#include "epaxos/protocol/message_codec.h"
#include "tests/fuzz/input.h"

namespace epaxos::protocol {

class ImageSource {
 public:
  ImageSource(fuzz::Input& input, int n) : input_(input), n_(n) {}

  /// Of a peer of R0, which has executed this much and proposed so many instances.
  std::vector<std::byte> coverage(const Dependencies& executed, Slot proposed) {
    Coverage coverage{executed, executed, {}};
    for (std::uint16_t index = 0; index < n_; ++index) {
      const ReplicaId row(index);
      Slot& up_to = coverage.executed[row];
      up_to = Slot(up_to.value() + input_.below(6));
      if (is_rare()) up_to = Slot(input_.number<std::uint64_t>() % (kSlotMax + 1));
      if (index == 0 && !is_rare()) up_to = std::min(up_to, proposed);
      // Far ahead only the floor makes it short.
      if (input_.flag() || up_to.value() > executed[row].value() + 64) {
        coverage.floor[row] = up_to;
      } else if (is_rare() && up_to.value() < 64) {
        coverage.floor[row] = Slot(0);
      }
      if (up_to < coverage.floor[row]) coverage.floor[row] = up_to;
      list_row(row, coverage);
    }
    std::vector<std::byte> bytes;
    encode(coverage, bytes);
    return bytes;
  }

  /// Mostly not at all.
  void change(std::vector<std::byte>& coverage) {
    for (unsigned changes = input_.below(4) == 3 ? input_.below(4) : 0; changes > 0; --changes) {
      if (coverage.empty()) return;
      const std::size_t at = input_.number<std::uint16_t>() % coverage.size();
      if (input_.below(8) == 0) {
        coverage.resize(at);
      } else {
        coverage[at] ^= std::byte{input_.byte()};
      }
    }
  }

 private:
  bool is_rare() { return input_.byte() == 255; }

  void list_row(ReplicaId row, Coverage& coverage) {
    Slot slot = coverage.floor[row].next();
    for (; slot <= coverage.executed[row]; slot = slot.next()) {
      if (!is_rare()) list({row, slot}, coverage);
    }
    // Some above the prefix, one by one.
    for (unsigned count = input_.below(4); count > 0; --count) {
      slot = Slot(slot.value() + 1 + input_.below(3));
      if (slot.value() <= kSlotMax) list({row, slot}, coverage);
    }
  }

  void list(const InstanceId& id, Coverage& coverage) {
    CoveredInstance covered{id, input_.below(4) == 0, std::nullopt};
    if (!covered.nop || input_.flag()) covered.footprint = footprint();
    coverage.instances.push_back(std::move(covered));
  }

  Footprint footprint() {
    const unsigned choice = input_.below(4);
    if (choice == 3) return Footprint::everything();
    return choice == 2 ? Footprint::read("a") : Footprint::write(choice == 0 ? "a" : "b");
  }

  fuzz::Input& input_;
  const int n_;
};

}  // namespace epaxos::protocol
