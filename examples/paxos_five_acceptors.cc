// The heart of Paxos by itself. Five acceptors, and a proposer whose value three of them have voted
// for when it falls silent: nobody else knows that it is chosen. A second proposer wants another
// value. It asks at a higher ballot, hears of the vote from the one acceptor that both majorities
// share, and proposes what it has heard of instead of its own: what is chosen stays chosen.

#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "compare/paxos/proposer.h"

using epaxos::Ballot, epaxos::ReplicaId, epaxos::replica_at;
using epaxos::compare::paxos::Acceptor, epaxos::compare::paxos::Answer;
using epaxos::compare::paxos::Proposer, epaxos::compare::paxos::Quorums;

namespace {

using Text = std::string;

struct Acceptors {
  std::array<Acceptor<Text>, 5> each;
  Acceptor<Text>& operator[](int index) { return each[static_cast<std::size_t>(index)]; }
};

// Phase 1: "Vote at no lower ballot any more, and tell me what you last voted for."
void prepare(Proposer<Text>& proposer, Acceptors& acceptors, std::initializer_list<int> reached) {
  for (const int i : reached) {
    if (acceptors[i].prepare(proposer.ballot()) == Answer::kRefused) continue;
    // In earnest an acceptor answers when its promise is on disk.
    const auto& vote = acceptors[i].vote();
    std::printf("  acceptor %d promises; its last vote: %s\n", i + 1,
                vote ? vote->value.c_str() : "none");
    proposer.on_promise(replica_at(i), proposer.ballot(), vote);
  }
}

// Phase 2: "Vote for this value." Whether it is chosen is for the proposer to count.
bool propose(Proposer<Text>& proposer, Acceptors& acceptors, const Text& own,
             std::initializer_list<int> reached, bool answers_arrive) {
  const Text value = *proposer.choose(own);
  std::printf("  it proposes: %s\n", value.c_str());
  bool chosen = false;
  for (const int i : reached) {
    const Answer answer = acceptors[i].accept(proposer.ballot(), value);
    if (answer == Answer::kRefused || !answers_arrive) continue;
    if (proposer.on_accepted(replica_at(i), proposer.ballot())) chosen = true;
  }
  return chosen;
}

}  // namespace

int main() {
  const Quorums quorums = Quorums::majorities(5);
  Acceptors acceptors;

  Proposer<Text> first(ReplicaId(0), quorums);
  const Ballot ballot = first.start({});
  std::printf("The first proposer wants tea, and reaches acceptors 1, 2 and 3.\n");
  prepare(first, acceptors, {0, 1, 2});
  propose(first, acceptors, "tea", {0, 1, 2}, /*answers_arrive=*/false);
  std::printf("It stops before it hears the answers.\n");

  Proposer<Text> second(ReplicaId(4), quorums);
  second.start(ballot);
  std::printf("The second proposer wants coffee, and reaches acceptors 3, 4 and 5.\n");
  prepare(second, acceptors, {2, 3, 4});
  const bool chosen = propose(second, acceptors, "coffee", {2, 3, 4}, /*answers_arrive=*/true);
  std::printf("%s is %s.\n", second.proposed()->c_str(), chosen ? "chosen" : "not chosen");

  // The first one comes back, and learns that its time is over.
  const bool refused = acceptors[3].accept(ballot, "tea") == Answer::kRefused;
  std::printf("The first ballot is %s.\n", refused ? "over" : "still open");
}
