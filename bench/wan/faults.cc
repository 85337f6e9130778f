#include "bench/wan/faults.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <sstream>
#include <utility>

#include "epaxos/programs/duration.h"

namespace epaxos::bench {
namespace {

constexpr double kFactorMax = 1000;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Reads one fault. What is wrong is told without the fault, which the caller names.
class Reader {
 public:
  Reader(const Placement& placement, Tick measured_us)
      : placement_(placement), measured_us_(measured_us) {}

  Result<Fault> read(const std::string& text) const {
    std::vector<std::string> words;
    std::istringstream stream(text);
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.size() < 3 || words[0] != "at") return wrong("it begins with a time and a verb");
    const Result<Tick> at = duration_from(words[1], 0);
    if (!at) return wrong(at.error().message);
    if (*at >= measured_us_)
      return wrong(
          "its time is not before the end of the --duration; give an earlier one, or a longer "
          "--duration");
    Fault fault{.text = text, .at_us = *at};
    const std::string verb = words[2];
    words.erase(words.begin(), words.begin() + 3);
    const Result<void> filled = fill(fault, verb, words);
    return filled ? Result<Fault>(fault) : fail(filled.error());
  }

 private:
  static Failure wrong(const std::string& what) { return fail(ErrorCode::kInvalidArgument, what); }

  Result<void> fill(Fault& fault, const std::string& verb,
                    const std::vector<std::string>& words) const {
    if ((verb == "kill" || verb == "restart") && words.size() == 1) {
      fault.kind = verb == "kill" ? Fault::Kind::kKill : Fault::Kind::kRestart;
      return site(words[0], fault.one);
    }
    if (verb == "partition" && words.size() == 1) return partition(fault, words[0]);
    if (verb == "slow" && words.size() == 2) return slow(fault, words[0], words[1]);
    if (verb == "latency" && words.size() == 2) return latency(fault, words[0], words[1]);
    if (verb == "heal" && words.empty()) return {};
    return wrong("\"" + verb + "\" with " + std::to_string(words.size()) +
                 (words.size() == 1 ? " word" : " words") + " behind it is none of the faults");
  }

  Result<void> site(const std::string& name, ReplicaId& out) const {
    const Result<ReplicaId> found = placement_.replica_at_site(name);
    if (!found) return fail(found.error());
    out = *found;
    return {};
  }

  Result<void> slow(Fault& fault, const std::string& name, const std::string& factor) const {
    fault.kind = Fault::Kind::kSlow;
    const char* const end = factor.data() + factor.size();
    const auto [stop, error] = std::from_chars(factor.data(), end, fault.factor);
    const bool times = error == std::errc() && end - stop == 1 && *stop == 'x';
    // Written so that what is not a number fails too.
    if (!times || !(fault.factor >= 1 && fault.factor <= kFactorMax)) {
      return wrong("\"" + factor + "\" is not 1x to 1000x");
    }
    return site(name, fault.one);
  }

  /// Sites may have a '-' in their names, so that both halves must be sites.
  Result<void> latency(Fault& fault, const std::string& pair, const std::string& more) const {
    fault.kind = Fault::Kind::kLatency;
    for (std::size_t at = pair.find('-'); at != std::string::npos; at = pair.find('-', at + 1)) {
      const Result<ReplicaId> one = placement_.replica_at_site(pair.substr(0, at));
      const Result<ReplicaId> other = placement_.replica_at_site(pair.substr(at + 1));
      if (!one || !other) continue;
      if (*one == *other) return wrong("a site has no link to itself");
      fault.one = *one;
      fault.other = *other;
      if (!more.starts_with('+')) return wrong("\"" + more + "\" does not begin with +");
      const Result<Tick> more_us = duration_from(more.substr(1));
      if (!more_us) return wrong(more_us.error().message);
      if (!more.ends_with('s') && !more.ends_with('m') && !more.ends_with('h')) {
        return wrong("\"" + more + "\" has no unit; 50 ms are +50ms");
      }
      fault.more_us = *more_us;
      return {};
    }
    return wrong("\"" + pair + "\" is not ONE-OTHER of " + names_of(placement_, placement_.all()));
  }

  /// Every replica is in one part; '*' stands for those that are in no other.
  Result<void> partition(Fault& fault, const std::string& text) const {
    fault.kind = Fault::Kind::kPartition;
    ReplicaSet named;
    std::optional<std::size_t> rest;
    for (const std::string& part : split(text, '|')) {
      ReplicaSet members;
      for (const std::string& name : split(part, ',')) {
        if (name == "*" && part == "*" && !rest) {
          rest = fault.parts.size();
          continue;
        }
        ReplicaId replica;
        if (const auto found = site(name, replica); !found) return found;
        if (named.contains(replica)) return wrong(name + " is in it twice");
        named.add(replica);
        members.add(replica);
      }
      fault.parts.push_back(members);
    }
    const ReplicaSet left = placement_.all().without(named);
    if (rest) {
      fault.parts[*rest] = left;
    } else if (left.size() > 0) {
      return wrong("it has no part for " + names_of(placement_, left) + "; write them, or *");
    }
    const bool parts = fault.parts.size() > 1 &&
                       std::ranges::all_of(fault.parts, [](auto part) { return part.size() > 0; });
    return parts ? Result<void>() : wrong("it needs at least two parts with a replica each");
  }

  const Placement& placement_;
  const Tick measured_us_;
};

Failure refusal(const std::string& text, const std::string& why) {
  std::string sentence = "--fault '" + text + "': " + why;
  if (sentence.ends_with('.')) sentence.pop_back();
  return fail(ErrorCode::kInvalidArgument,
              sentence +
                  ". Faults are written 'at 30s kill JP', 'at 50s restart JP', 'at 40s partition "
                  "EU|*', 'at 60s slow OR 5x', 'at 70s latency CA-JP +50ms', 'at 80s heal'.");
}

/// Why a replica that is not dead cannot be restarted: `earlier` are the faults before.
std::string not_dead(const Fault& restart, std::span<const Fault> earlier,
                     const Placement& placement) {
  const std::string who = "the replica at " + placement.name_of(restart.one);
  for (const Fault& fault : earlier) {
    if (fault.kind == Fault::Kind::kRestart && fault.one == restart.one) {
      return who + " was restarted before and is not dead by then; kill it again first, or leave " +
             "one restart out";
    }
  }
  return who + " is not dead by then; kill it first, at an earlier time";
}

/// What the faults before it make impossible.
Result<void> check_order(const std::vector<Fault>& faults, const Placement& placement) {
  ReplicaSet dead;
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const Fault& fault = faults[i];
    const bool about_links =
        fault.kind == Fault::Kind::kPartition || fault.kind == Fault::Kind::kHeal;
    if (about_links) continue;
    if (fault.kind == Fault::Kind::kRestart) {
      if (!dead.contains(fault.one)) {
        return refusal(fault.text, not_dead(fault, std::span(faults).first(i), placement));
      }
      dead = dead.without(fault.one);
      continue;
    }
    for (const ReplicaId replica : {fault.one, fault.other}) {
      if (replica == fault.other && fault.kind != Fault::Kind::kLatency) continue;
      if (dead.contains(replica)) {
        return refusal(fault.text, "the replica at " + placement.name_of(replica) +
                                       " is dead by then; restart it before");
      }
    }
    if (fault.kind != Fault::Kind::kKill) continue;
    dead.add(fault.one);
    if (dead.size() > (placement.replica_count() - 1) / 2) {
      return refusal(
          fault.text,
          "no majority of the " + std::to_string(placement.replica_count()) +
              " replicas would live, and nothing be decided any more; kill fewer, or restart "
              "one before");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Fault>> faults_from(const std::vector<std::string>& texts,
                                       const Placement& placement, Tick measured_us) {
  const Reader reader(placement, measured_us);
  std::vector<Fault> faults;
  for (const std::string& text : texts) {
    Result<Fault> fault = reader.read(text);
    if (!fault) return refusal(text, fault.error().message);
    faults.push_back(*std::move(fault));
  }
  std::ranges::stable_sort(faults, {}, &Fault::at_us);
  if (const auto checked = check_order(faults, placement); !checked) return fail(checked.error());
  return faults;
}

Result<void> check_restarts(const std::vector<Fault>& faults, Durability durability) {
  if (durability == Durability::kSync) return {};
  for (const Fault& fault : faults) {
    if (fault.kind != Fault::Kind::kRestart) continue;
    // What a killed replica had yet to write dies with it, and its data directory takes that for
    // lost: whoever may have forgotten a vote never votes again, and refuses commands.
    return fail(ErrorCode::kInvalidArgument,
                "--fault '" + fault.text + "': at --durability " +
                    std::string(to_string(durability)) + " a replica that is killed " +
                    (durability == Durability::kNone ? "forgets" : "may have forgotten") +
                    " what it promised, so that it would neither vote nor take commands when it "
                    "comes back. Add --durability sync, or leave the restart out.");
  }
  return {};
}

FaultyWorld::FaultyWorld(const Placement& placement) : placement_(placement), asked_(placement) {
  heal();
}

void FaultyWorld::heal() {
  const auto count = static_cast<std::size_t>(placement_.replica_count());
  hears_.assign(count, placement_.all());
  factor_.assign(count, 1);
  more_us_.assign(count * count, 0);
}

void FaultyWorld::apply(const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::kKill:
      dead_.add(fault.one);
      returning_ = returning_.without(fault.one);
      return choose_asked();
    case Fault::Kind::kRestart:
      dead_ = dead_.without(fault.one);
      returning_.add(fault.one);
      return choose_asked();
    case Fault::Kind::kPartition:
      for (const ReplicaSet& part : fault.parts) {
        for_each_member(part, [&](ReplicaId each) { hears_[each.value()] = part; });
      }
      return;
    case Fault::Kind::kSlow:
      factor_[fault.one.value()] *= fault.factor;
      return;
    case Fault::Kind::kLatency: {
      const auto count = static_cast<std::size_t>(placement_.replica_count());
      more_us_[fault.one.value() * count + fault.other.value()] += fault.more_us;
      more_us_[fault.other.value() * count + fault.one.value()] += fault.more_us;
      return;
    }
    case Fault::Kind::kHeal:
      return heal();
  }
}

void FaultyWorld::answers_again(ReplicaId replica) {
  returning_ = returning_.without(replica);
  choose_asked();
}

void FaultyWorld::choose_asked() {
  const ReplicaSet asked = answering().size() > 0 ? answering() : returning_;
  asked_ = placement_.without(placement_.all().without(asked));
}

Tick FaultyWorld::one_way_us(ReplicaId from, ReplicaId to) const {
  const auto count = static_cast<std::size_t>(placement_.replica_count());
  const auto usual = static_cast<double>(placement_.one_way_us(from, to));
  return static_cast<Tick>(usual * factor_[from.value()] * factor_[to.value()]) +
         more_us_[from.value() * count + to.value()];
}

}  // namespace epaxos::bench
