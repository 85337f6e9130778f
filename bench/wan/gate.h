#pragma once

// What a run must hold at every site: "p50<=1.01*bound+1ms". A gate for continuous integration.

#include <string>
#include <string_view>

#include "deps/types/ids.h"
#include "deps/types/result.h"

namespace epaxos::bench {

class Gate {
 public:
  enum class Phase { kBoth, kCommit, kExecution };

  /// [commit|execution] pNN < or <= [F*]bound [+ or - D], or a duration D alone; D as "1ms".
  /// Errors: invalid argument - a sentence that names what is wrong and shows how it is written.
  static Result<Gate> parse(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] Phase phase() const { return phase_; }
  /// Which percentile, 0 .. 1.
  [[nodiscard]] double share() const { return share_; }
  /// What the percentile may be where the bound is this, in microseconds.
  [[nodiscard]] double limit_us(Tick bound_us) const {
    return factor_ * static_cast<double>(bound_us) + offset_us_;
  }
  [[nodiscard]] bool holds(Tick measured_us, Tick bound_us) const {
    const auto measured = static_cast<double>(measured_us);
    return strict_ ? measured < limit_us(bound_us) : measured <= limit_us(bound_us);
  }

 private:
  Gate() = default;

  std::string text_;
  Phase phase_ = Phase::kBoth;
  double share_ = 0.5;
  bool strict_ = false;
  double factor_ = 0;
  double offset_us_ = 0;
};

}  // namespace epaxos::bench
