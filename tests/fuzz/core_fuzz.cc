// One replica among peers that say anything, over a disk that lags and a power that fails: nothing
// a peer sends fires a check, what the replica says decodes, its memory is bounded, it comes back
// with what was durable, and it keeps its promises: a vote never changes, not even over a restart.
// As a recoverer it proposes one value at each of its ballots, whatever it is told. It makes images
// and installs whatever it accepts of peers; it forgets nothing but below a floor that is written
// down, and executes nothing that an image covers.

#include "tests/fuzz/hostile_run.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using epaxos::protocol::Replica;
  epaxos::fuzz::Input input(data, size);
  const int n = input.flag() ? 5 : 3;
  const bool reads_back = input.flag();
  Replica replica(n, reads_back);
  epaxos::check(replica.boot().has_value(), "an empty disk was refused");
  epaxos::protocol::Run(input, n, replica).run(400);
  return 0;
}
