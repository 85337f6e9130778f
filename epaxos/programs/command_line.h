#pragma once

// What is wrong with a command line, as a sentence that names the word that is wrong. CLI11 alone
// answers a misspelt word with whatever is missing without it.

#include <cstdint>
#include <string_view>

#include "deps/types/result.h"

namespace CLI {
class App;
}

namespace epaxos {

/// Lets `app` explain mistakes. Its name stands before each sentence.
void explain_mistakes(CLI::App& app);

/// A whole number of 64 bits in decimal digits, with a sign or without one.
Result<std::int64_t> whole_number_from(std::string_view text);

}  // namespace epaxos
