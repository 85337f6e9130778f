#pragma once

// The one place that names all protocols. The first one is the default.

#include <vector>

#include "epaxos/contract/core.h"

namespace epaxos::compare {

std::vector<Protocol> line_up();

}  // namespace epaxos::compare
