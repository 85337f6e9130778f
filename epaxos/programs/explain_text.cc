#include "epaxos/programs/explain_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "epaxos/programs/control_words.h"
#include "epaxos/programs/text_table.h"

namespace epaxos {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

std::string milliseconds(std::uint64_t us) {
  return fixed(static_cast<double>(us) / 1000, 2) + " ms";
}

std::string replica(std::uint64_t id) {
  return "R" + std::to_string(id);
}

/// "R0, R1 and R4".
std::string list(const std::vector<std::string>& words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " and " : ", ";
    out += words[i];
  }
  return out;
}

std::string utc(std::uint64_t unix_us) {
  const auto seconds = static_cast<std::time_t>(unix_us / kSecondUs);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  std::string fraction = std::to_string(kSecondUs + unix_us % kSecondUs);
  return std::string(text.data()) + "." + fraction.substr(1) + " UTC";
}

/// The answer about one instance, read without trust.
class Life {
 public:
  explicit Life(const Json& json) : json_(json) {}

  [[nodiscard]] std::string text(const char* key) const {
    const auto found = json_.find(key);
    return found != json_.end() && found->is_string() ? found->get<std::string>() : std::string();
  }
  [[nodiscard]] std::optional<std::uint64_t> number(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<std::uint64_t>();
  }
  [[nodiscard]] bool is(const char* key) const {
    const auto found = json_.find(key);
    return found != json_.end() && found->is_boolean() && found->get<bool>();
  }
  [[nodiscard]] std::vector<Life> all(const char* key) const {
    std::vector<Life> out;
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_array()) return out;
    for (const Json& each : *found) {
      if (each.is_object()) out.emplace_back(each);
    }
    return out;
  }
  [[nodiscard]] std::optional<Life> object(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_object()) return std::nullopt;
    return Life(*found);
  }
  /// Of {"R0": 12, "R1": 7}: "R0 up to 12 and R1 up to 7".
  [[nodiscard]] std::string slots(const char* key) const {
    std::vector<std::string> words;
    if (const auto rows = object(key)) {
      for (const auto& [row, slot] : rows->json_.items()) {
        if (slot.is_number_unsigned()) words.push_back(row + " up to " + slot.dump());
      }
    }
    return words.empty() ? "nothing" : list(words);
  }

  [[nodiscard]] std::string owner() const {
    const std::string id = text("instance");
    return id.substr(0, id.find('.'));
  }
  [[nodiscard]] std::string asked() const { return replica(number("replica").value_or(0)); }
  [[nodiscard]] bool is_owners() const { return owner() == asked(); }
  /// From the beginning to the end, as far as there is one.
  [[nodiscard]] std::optional<std::uint64_t> end() const {
    if (const auto executed = number("executed_us")) return executed;
    return is("nop") ? number("committed_us") : std::nullopt;
  }

 private:
  const Json& json_;
};

/// What happened, in the order in which it did.
class Story {
 public:
  void add(std::optional<std::uint64_t> at, std::string what) {
    if (at) steps_.emplace_back(*at, std::move(what));
  }

  [[nodiscard]] std::string lines() {
    std::ranges::stable_sort(steps_, {}, &Step::first);
    std::string out;
    for (const auto& [at, what] : steps_) {
      const std::string time = milliseconds(at);
      out += std::string(time.size() < 14 ? 14 - time.size() : 0, ' ') + time + "  " + what + "\n";
    }
    return out;
  }

 private:
  using Step = std::pair<std::uint64_t, std::string>;
  std::vector<Step> steps_;
};

// --- The steps ---------------------------------------------------------------------------------

void tell_proposal(const Life& life, Story& story) {
  const std::string commands = grouped(life.number("commands").value_or(0));
  const std::uint64_t given = life.number("given_us").value_or(0);
  const std::uint64_t proposed = life.number("proposed_us").value_or(0);
  if (proposed > given) {
    story.add(given, life.owner() + " was given the command, and put it aside" +
                         (life.is("fenced")
                              ? ", as somebody had asked for a pause: commands on these keys were "
                                "overtaken for too long"
                              : ": it had " + life.text("behind") +
                                    " undecided on a key that others contend for"));
  }
  std::string retries = life.text("retries");
  if (!retries.empty()) retries = "; it repeats " + retries + ", which was decided to be nothing";
  story.add(life.number("proposed_us"), life.owner() + " proposed it with " + commands +
                                            (commands == "1" ? " command" : " commands") +
                                            ", to come after " + life.slots("initial") + retries);
  story.add(life.number("pre_accept_sent_us"), "the proposal was logged, and PreAccept left");
}

/// "R3.44 (proposed: R3 up to 41)".
std::vector<std::string> extras_from(const Life& life, std::uint64_t from) {
  std::vector<std::string> words;
  for (const Life& extra : life.all("extra_dependencies")) {
    if (extra.number("from") != from) continue;
    const std::string dependency = extra.text("dependency");
    const std::uint64_t proposed = extra.number("proposed").value_or(0);
    const std::string row = dependency.substr(0, dependency.find('.'));
    words.push_back(dependency + (proposed == 0 ? " (proposed: nothing of " + row + ")"
                                                : " (proposed: " + row + " up to " +
                                                      std::to_string(proposed) + ")"));
  }
  return words;
}

void tell_answers(const Life& life, Story& story) {
  for (const Life& answer : life.all("answers")) {
    const std::uint64_t from = answer.number("from").value_or(0);
    const std::string message = answer.text("message");
    const auto at = answer.number("at_us");
    const auto sent = life.number(message == "AcceptOk" ? "accept_sent_us" : "pre_accept_sent_us");
    const std::string delay =
        at && sent && *at >= *sent ? " after " + milliseconds(*at - *sent) : std::string();
    if (message == "AcceptOk") {
      story.add(at, replica(from) + " voted for it" + delay);
    } else if (message == "Nack") {
      story.add(at, replica(from) + " refused" + delay +
                        ": it has promised to let somebody else recover the instance");
    } else {
      const std::vector<std::string> extras = extras_from(life, from);
      story.add(at, replica(from) + " answered" + delay +
                        (extras.empty() ? ", as proposed"
                                        : ", and named beyond the proposal: " + list(extras)));
    }
  }
}

std::string sentence_about_slow_path(const Life& life) {
  const std::string reason = life.text("slow_reason");
  if (reason == "too few answered") {
    return "a fast quorum had not answered in time, so the slow path began";
  }
  if (reason == "floor") {
    return "answers differed from the proposal only in what all have executed meanwhile, and the "
           "slow path began";
  }
  std::vector<std::string> who;
  for (const Life& extra : life.all("extra_dependencies")) {
    const std::string name = replica(extra.number("from").value_or(0));
    if (std::ranges::find(who, name) == who.end()) who.push_back(name);
  }
  if (who.empty()) return "too few answers equalled the proposal, so the slow path began";
  return list(who) + " named more than was proposed: no fast quorum was left, so the slow path " +
         "began";
}

void tell_decision(const Life& life, Story& story) {
  const std::string how = life.text("decided_by");
  if (how == "fast path" && life.number("fast_quorum_us") != life.number("committed_us")) {
    story.add(life.number("fast_quorum_us"),
              "a fast quorum had answered as proposed; the decision went to the disk");
  }
  story.add(life.number("slow_path_us"), sentence_about_slow_path(life));
  story.add(life.number("accept_sent_us"),
            "the owner's vote was logged, and Accept left with the union of all answers");
  const auto at = life.number("committed_us");
  std::string what = "committed";
  if (life.is("nop")) what = "decided to be nothing (Nop): its commands do not run in it";
  if (how == "fast path" || how == "slow path") what += " on the " + how;
  if (how == "recovery") what += " by the recovery of " + life.asked();
  if (how == "peer") what += ", as " + replica(life.number("told_by").value_or(0)) + " told";
  if (!life.is("nop")) what += ", to come after " + life.slots("decided");
  story.add(at, what);
  const std::string again = life.text("retried_as");
  if (!again.empty()) story.add(at, "its commands were proposed again as " + again);
}

void tell_recovery(const Life& life, Story& story) {
  const auto recovery = life.object("recovery");
  if (!recovery) return;
  const std::string by = replica(recovery->number("by").value_or(0));
  const std::string reason = recovery->text("reason");
  std::string what = by + " began to recover it";
  if (reason == "owner silent") {
    what += ": " + life.owner() + ", its owner, had answered nothing for " +
            milliseconds(recovery->number("silent_us").value_or(0));
  } else if (reason == "owner may not vote") {
    what += ": " + life.owner() + ", its owner, says that it may not vote";
  } else if (reason == "round closed") {
    what += ": somebody else had closed its round and not finished";
  } else {
    what += ", so it took " + life.owner() + " for gone; why, \"explain " + life.text("instance") +
            " --replica " + by.substr(1) + "\" says";
  }
  const std::uint64_t attempts = recovery->number("attempts").value_or(0);
  if (attempts > 1) what += "; it took " + std::to_string(attempts) + " attempts so far";
  story.add(recovery->number("at_us"), what);
}

void tell_execution(const Life& life, Story& story) {
  const auto committed = life.number("committed_us");
  std::vector<std::string> undecided;
  std::vector<std::string> waiting;
  for (const Life& wait : life.all("waited_for")) {
    const std::string name = wait.text("instance");
    (wait.is("was_committed") ? waiting : undecided).push_back(name);
    if (const auto at = wait.number("committed_us"); at && committed && *at > *committed) {
      story.add(at, name + " was committed here");
    }
  }
  const std::string blocker = life.text("blocker");
  const bool is_among = std::ranges::find(undecided, blocker) != undecided.end();
  if (!undecided.empty()) {
    story.add(committed, "its execution waited for " + list(undecided) +
                             ", not committed here at that moment");
  }
  if (!waiting.empty()) {
    story.add(committed, "its execution waited for " + list(waiting) +
                             ", committed and not executed at that moment");
  }
  if (!blocker.empty() && !is_among) {
    story.add(committed, "what held it up was " + blocker +
                             (life.is("blocker_unknown") ? ", of which nothing was known here"
                                                         : ", which was not committed here"));
  }
  const std::uint64_t component = life.number("component").value_or(0);
  std::string ran = "executed";
  if (component > 1) {
    ran += " together with " + grouped(component - 1) + " others that depend on each other";
    if (component == 2) ran = "executed together with one other, as each depends on the other";
  }
  if (life.is_owners()) ran += ", and clients were answered";
  const auto ready = life.number("ready_us");
  const auto executed = life.number("executed_us");
  if (const std::string last = life.text("last"); !last.empty()) {
    story.add(ready, "free to run: " + last + " was the last that it waited for");
  }
  if (ready && executed && *executed > *ready && life.text("last").empty()) {
    story.add(ready, "free to run; its answer waited for the disk");
  }
  story.add(executed, ran);
}

// --- The whole ---------------------------------------------------------------------------------

std::string headline(const Life& life) {
  const std::uint64_t age = life.number("begin_age_us").value_or(0);
  const std::string when = utc(life.number("begin_unix_us").value_or(0)) + ", " +
                           fixed(static_cast<double>(age) / kSecondUs, 1) + " s ago";
  const std::string how = life.text("decided_by");
  std::string out = life.text("instance") + " of " + life.owner() + ": ";
  if (life.is("nop")) {
    out += "recovered, and decided to be nothing";
  } else if (how == "undecided") {
    out += "not committed yet";
  } else if (const auto end = life.end()) {
    out += "executed after " + milliseconds(*end);
    if (how == "fast path" || how == "slow path") out += ", on the " + how;
    if (how == "recovery") out += ", committed by a recovery";
    if (how == "peer") out += ", committed by another replica than " + life.asked();
  } else {
    out += life.is("executed") ? "executed" : "committed, and not executed yet";
  }
  out += ".\n";
  if (life.is("kept")) {
    return out + "Times count from " + when + ", by the clock of " + life.asked() + ".\n";
  }
  if (!life.number("committed_us")) return out;
  return out + life.asked() + " learned what was decided at " + when + ", by its own clock.\n";
}

/// Where the time went, of what was executed.
std::string shares(const Life& life) {
  const auto end = life.number("executed_us");
  const auto proposed = life.number("proposed_us");
  const auto committed = life.number("committed_us");
  if (!end || !proposed || !committed) return {};
  std::vector<std::string> parts;
  const auto add = [&parts](std::uint64_t from, std::uint64_t to, const char* what) {
    if (to > from) parts.push_back(milliseconds(to - from) + " " + what);
  };
  add(0, *proposed, "before it was proposed");
  const std::uint64_t first = life.number("slow_path_us").value_or(*committed);
  add(*proposed, first, "in the first round");
  add(first, *committed, "in the second round");
  add(*committed, *end, "from the commit to the execution");
  return parts.empty() ? std::string() : "Of that " + list(parts) + ".\n";
}

/// Who has not answered what is still open.
std::string missing(const Life& life) {
  if (life.text("decided_by") != "undecided" || !life.is("kept") || !life.is_owners()) return {};
  const bool second = life.number("slow_path_us").has_value();
  const std::string awaited = second ? "AcceptOk" : "PreAcceptOk";
  std::vector<std::string> silent;
  for (std::uint64_t id = 0; id < life.number("replicas").value_or(0); ++id) {
    const bool is_asked = ((life.number("not_asked").value_or(0) >> id) & 1) == 0;
    if (replica(id) == life.owner() || !is_asked) continue;
    const auto answers = life.all("answers");
    const bool answered = std::ranges::any_of(answers, [&](const Life& answer) {
      return answer.number("from") == id && answer.text("message") == awaited;
    });
    if (!answered) silent.push_back(replica(id));
  }
  std::string out;
  if (!silent.empty()) {
    out = "Not answered yet, in the " + std::string(second ? "second" : "first") +
          " round: " + list(silent) + ".";
  }
  const std::uint64_t resent = life.number("resent").value_or(0);
  if (resent > 0) out += " They were asked again " + grouped(resent) + " times.";
  return out.empty() ? out : out + "\n";
}

/// What an instance that is not kept shows all the same.
std::string facts(const Life& life) {
  std::string out;
  if (life.is("recorded")) {
    out += "Its owner proposed it after " + life.slots("initial") + ".\n";
    const std::uint64_t self = life.number("replica").value_or(0);
    if (const auto extras = extras_from(life, self); !extras.empty()) {
      out += life.asked() + " answered, and named beyond the proposal: " + list(extras) + ".\n";
    }
  }
  if (const auto recovery = life.object("recovery")) {
    const std::string by = std::to_string(recovery->number("by").value_or(0));
    out += "R" + by + " began to recover it; why, \"explain " + life.text("instance") +
           " --replica " + by + "\" says.\n";
  }
  const std::string how = life.text("decided_by");
  if (how == "image") {
    out += "It came to " + life.asked() + " with the state of another replica.\n";
  } else if (how != "undecided" && !life.is("nop")) {
    out += "It was decided to come after " + life.slots("decided") + ", and " + life.asked() +
           (life.is("executed") ? " has executed it.\n" : " has not executed it.\n");
  }
  return out + life.text("why_not_kept") + "\n";
}

std::string one(const Life& life) {
  if (!life.is("kept")) return headline(life) + facts(life);
  Story story;
  tell_proposal(life, story);
  tell_answers(life, story);
  tell_recovery(life, story);
  tell_decision(life, story);
  tell_execution(life, story);
  std::string out = headline(life) + shares(life) + "\n" + story.lines() + missing(life);
  if (life.text("decided_by") == "image") {
    out += "The state of another replica, which this one took over, had executed it.\n";
  }
  return out;
}

std::vector<Life> lives_in(const Json& all) {
  std::vector<Life> lives;
  if (!all.is_array()) return lives;
  for (const Json& each : all) {
    if (each.is_object()) lives.emplace_back(each);
  }
  return lives;
}

Json parsed(const std::string& histories) {
  return Json::parse(histories, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

std::string explain_text(const std::string& histories) {
  const Json all = parsed(histories);
  std::string out;
  for (const Life& life : lives_in(all)) out += one(life);
  return out;
}

std::string slowest_text(const std::string& histories) {
  const Json all = parsed(histories);
  TextTable table({"instance", "commands", ">took", ">put aside", "path", ">first round", ">second",
                   ">execution", "waited for", ">began"});
  for (const Life& life : lives_in(all)) {
    const auto end = life.end();
    const auto proposed = life.number("proposed_us");
    const auto committed = life.number("committed_us");
    const auto slow = life.number("slow_path_us");
    const auto between = [](std::optional<std::uint64_t> from, std::optional<std::uint64_t> to) {
      return from && to && *to >= *from ? milliseconds(*to - *from) : std::string("-");
    };
    const std::uint64_t age = life.number("begin_age_us").value_or(0);
    const std::string last = life.text("last").empty() ? life.text("blocker") : life.text("last");
    table.add({life.text("instance"), grouped(life.number("commands").value_or(0)),
               end ? milliseconds(*end) : milliseconds(age) + "+",
               between(life.number("given_us"), proposed), life.text("decided_by"),
               between(proposed, slow ? slow : committed), between(slow, committed),
               between(committed, life.number("executed_us")), last.empty() ? "-" : last,
               fixed(static_cast<double>(age) / kSecondUs, 1) + " s ago"});
  }
  return table.text();
}

}  // namespace epaxos
