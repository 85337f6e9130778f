// The places that may break a rule. Each says why; "it is long" is no reason.

#include "tests/tidy/code_rules.h"
#include "tests/tidy/include_rules.h"
#include "tests/tidy/rule.h"

namespace epaxos::tidy {

const std::vector<Exception> kExceptions = {
    {determinism, "deps/types/prefetch.h", "volatile",
     "it keeps the compiler from removing an instruction; no variable is shared by it"},
    {banned_code, "net/socket.cc", "shared_ptr",
     "ZeroMQ's I/O thread may hold a message for longer than the socket lives"},
    {banned_code, "tests/epaxos/node/node_support.h", "shared_ptr",
     "a node that stops at the end of a test tells outcomes after the test's tally is gone"},
};

}  // namespace epaxos::tidy
