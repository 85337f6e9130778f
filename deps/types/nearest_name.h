#pragma once

// Which name somebody meant who misspelt it.

#include <span>
#include <string_view>

namespace epaxos {

/// The one of `known` that needs the fewest changes of a letter, or that `unknown` begins. Empty:
/// none is near. Cost: the product of the lengths for each name.
std::string_view nearest_name(std::string_view unknown, std::span<const std::string_view> known);

}  // namespace epaxos
