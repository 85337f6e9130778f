// Cluster files: any text is refused with a sentence that names the file, or gives a configuration
// that writes itself down and reads itself back.

#include "deps/types/check.h"
#include "epaxos/node/config.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using epaxos::check;
  using epaxos::ClusterConfig;
  epaxos::fuzz::Input input(data, size);
  const auto config = ClusterConfig::parse(epaxos::fuzz::text_of(input.rest()), "cluster.toml");
  if (!config) {
    const std::string& sentence = config.error().message;
    check(sentence.find("cluster.toml") != std::string::npos, "a refusal does not name the file");
    return 0;
  }
  const std::string text = config->to_toml();
  const auto again = ClusterConfig::parse(text, "again.toml");
  check(again.has_value(), "a configuration does not read itself back");
  check(again->to_toml() == text, "a configuration changed on its way through a file");
  check(again->configuration_hash("epaxos") == config->configuration_hash("epaxos"),
        "a configuration has another hash after it was read back");
  return 0;
}
