#include "bench/compare/words.h"

#include <algorithm>
#include <array>

#include "epaxos/programs/text_table.h"

namespace epaxos::bench {
namespace {

struct Words {
  const char* protocol;
  const char* text;
};

constexpr std::array kWords = {
    Words{
        "epaxos",
        "no leader, nothing is forwarded: who takes a command decides it, in one round trip when "
        "its\n  peers know of no other conflict, else in two. At sync three writes one after the "
        "other (proposal,\n  vote, decision), four on the slow path. Commands that do not conflict "
        "are not ordered; one\n  undecided instance a replica on a key that others contend for."},
    Words{"raft",
          "the leader orders all; the others forward their commands to it, and execute and reply "
          "when\n  they hear that they are committed, which they are told at once. At sync one "
          "write: "
          "the leader\n  sends while it writes. AppendEntries are pipelined, and encoded once for "
          "followers that are\n  equally far."},
    Words{"raft-all",
          "as raft, but followers tell everybody how far their logs are on disk, and each replica "
          "counts for\n  itself: half a round trip less where the leader is not, for more "
          "messages."},
    Words{
        "multipaxos",
        "the leader orders all, after one phase 1 for the whole log; the others forward, and "
        "execute and\n  reply when they hear that their slots are decided: with the next Accept, "
        "or "
        "at once when there is\n  none. At sync one write: the leader sends while it writes. Up to "
        "4,096 undecided slots at once."},
    Words{"multipaxos-all",
          "as multipaxos, but acceptors tell their votes to everybody, and each replica counts for "
          "itself:\n  half a round trip less where the leader is not, for more messages."},
};

constexpr const char* kEtcdWords =
    "etcd: another program, with Raft; its load comes from outside, over gRPC, where that of the "
    "others is\n  inside. CPU is that of its three processes alone, gRPC included; bytes and syncs "
    "of "
    "the log (batches)\n  are its own metrics. It keeps every version of a key.\n";

}  // namespace

std::string conditions(const CompareOptions& o) {
  return std::to_string(o.replicas) +
         " replicas of each protocol on this machine, a process each; " +
         "values are put in a closed loop.\nIn flight: at each replica, which proposes its own " +
         "commands; a leader gets those of the others forwarded.\nUp to " +
         std::to_string(o.batch) + (o.batch == 1 ? " command" : " commands") +
         " an instance or entry; " + fixed(o.seconds, 1) + " s each, the median of " +
         std::to_string(o.repeat) + (o.repeat == 1 ? " run" : " runs") + ".\n";
}

std::string differences(const CompareOptions& options) {
  std::string out =
      "All: the same host, transport, store and key-value machine; group commit, one bundle a peer "
      "and turn;\n  the reply is given at the replica that was asked, when the command is executed "
      "there; with a leader\n  reads take no place in the log, and there is no lease; in epaxos "
      "they are decided like the rest.\n";
  for (const Words& words : kWords) {
    if (std::ranges::count(options.protocols, words.protocol) == 0) continue;
    out += std::string(words.protocol) + ": " + words.text + "\n";
  }
  if (options.etcd) out += kEtcdWords;
  return out;
}

}  // namespace epaxos::bench
