#pragma once

// Which name somebody meant who misspelt it.

#include <span>
#include <string_view>

namespace epaxos {

/// The one of `known` that needs the fewest changes of a letter (two neighbours that change places
/// count as one), or that `unknown` begins. Empty: none is near; of a word of up to three letters
/// one change is, and never one that leaves no letter. Cost: the product of the lengths for each
/// name.
std::string_view nearest_name(std::string_view unknown, std::span<const std::string_view> known);

}  // namespace epaxos
