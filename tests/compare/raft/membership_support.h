#pragma once

// Leaders of groups whose members change, and what their followers say.

#include <string>

#include "tests/compare/raft/support.h"

namespace epaxos::compare::raft {

inline constexpr ReplicaId kSpare = kD;

template <class... Ids>
ReplicaSet set_of(Ids... ids) {
  ReplicaSet set;
  (set.add(ids), ...);
  return set;
}

/// A group of `n` replicas, the last one of which is a spare.
inline CoreConfig with_spare(ReplicaId self, int n = 4) {
  CoreConfig with = config(self, n);
  with.spares = ReplicaSet::only(replica_at(static_cast<std::uint64_t>(n) - 1));
  return with;
}

/// A disk whose log ends with an entry that says who belongs to the group.
inline Disk disk_with(const Terms& log, const Members& members, std::uint64_t term) {
  Disk disk = disk_of(log, term);
  disk[{static_cast<std::uint8_t>(RecordKind::kEntry), {}, {}, {}, Slot(log.size() + 1)}] =
      members_entry(term, members);
  return disk;
}

inline const Members& members_of(const Subject& subject) {
  return subject.core.configurations().latest();
}
inline MemberStatus told_by(const Subject& subject) {
  CoreStatus status;
  subject.core.status(status);
  return status.members.value();
}
inline std::string role_of(const Subject& subject) {
  CoreStatus status;
  subject.core.status(status);
  return status.role;
}
/// These answer what has just left.
inline void answer_now(Subject& subject, ReplicaSet who) {
  for (; who.first(); who = who.without(*who.first())) {
    AppendEntriesReply reply;
    reply.term = subject.core.current_term();
    reply.success = true;
    reply.sent_at = subject.now;
    subject.deliver(*who.first(), reply);
  }
}
/// Nobody has answered yet since it was asked.
inline Result<void> ask(Subject& subject, MemberChange change, ReplicaId whom) {
  Result<void> result;
  subject.turn([&] { result = subject.core.change_members(change, whom, subject.effects); });
  return result;
}
/// Everybody answers at once.
inline Result<void> change(Subject& subject, MemberChange change, ReplicaId whom) {
  Result<void> result = ask(subject, change, whom);
  answer_now(subject, ReplicaSet::all(subject.n).without(subject.self()));
  return result;
}
/// These have everything that is in the log, and it is on the own disk. While somebody learns they
/// answer too, as the next step waits for that.
inline void has_all(Subject& subject, ReplicaSet who) {
  const std::uint64_t last = subject.core.log().last().value();
  subject.durable();
  for (ReplicaSet left = who; left.first(); left = left.without(*left.first())) {
    subject.acknowledge(*left.first(), last);
  }
  if (members_of(subject).learners.size() > 0) answer_now(subject, who);
}

/// A leads A, B and C; everybody has answered, and its first entry is committed.
struct Led : Subject {
  explicit Led(const CoreConfig& config = with_spare(kA)) : Subject(config) {
    lead();
    has_all(*this, ReplicaSet::all(config.replica_count).without(config.self));
  }
};

}  // namespace epaxos::compare::raft
