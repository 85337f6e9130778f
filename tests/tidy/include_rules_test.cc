#include "tests/tidy/include_rules.h"

#include <gtest/gtest.h>

namespace epaxos::tidy {
namespace {

std::string directions(std::string path, std::string text) {
  return broken(include_directions, {source_file(std::move(path), std::move(text))}, {});
}

std::string wrapping(std::string path, std::string text) {
  return broken(third_party_wrapping, {source_file(std::move(path), std::move(text))}, {});
}

TEST(IncludeDirections, NoFolderIncludesWhatStandsToItsRight) {
  EXPECT_EQ(broken(include_directions, sources()), "");
}

TEST(IncludeDirections, AnIncludeToTheRightIsFound) {
  const std::string text = "#pragma once\n#include \"executor/state_machine.h\"\n";

  EXPECT_EQ(directions("deps/bad.h", text),
            "deps/bad.h:2: executor/state_machine.h: stands to the right\n");
  EXPECT_EQ(directions("net/good.h", text), "");
}

TEST(IncludeDirections, ACoreSeesNeitherHostNorStore) {
  for (const std::string header : {"epaxos/runtime/host.h", "epaxos/storage/store.h"}) {
    const std::string text = "#include \"" + header + "\"\n";

    EXPECT_NE(directions("epaxos/protocol/bad.cc", text), "");
    EXPECT_NE(directions("epaxos/contract/bad.cc", text), "");
    EXPECT_EQ(directions("epaxos/runtime/good.cc", text), "");
    EXPECT_EQ(directions("epaxos/sim/good.cc", text), "");
  }
}

TEST(IncludeDirections, AnExampleSeesPublicHeadersOnly) {
  EXPECT_EQ(directions("examples/good.cc", "#include \"executor/state_machine.h\"\n"), "");
  EXPECT_NE(directions("examples/bad.cc", "#include \"epaxos/runtime/host.h\"\n"), "");
  EXPECT_NE(directions("examples/bad.cc", "#include \"executor/dependency_graph.h\"\n"), "");
}

TEST(IncludeDirections, APathThatIsNotFromTheRootIsFound) {
  EXPECT_NE(directions("deps/types/bad.h", "#include \"ids.h\"\n"), "");
  EXPECT_NE(directions("net/bad.h", "#include \"../deps/types/ids.h\"\n"), "");
}

TEST(IncludeDirections, AFolderThatNobodyPlannedIsFound) {
  EXPECT_NE(directions("util/bad.h", "#pragma once\n"), "");
}

TEST(ThirdParty, LibrariesAreIncludedOnlyByTheFilesThatWrapThem) {
  EXPECT_EQ(broken(third_party_wrapping, sources()), "");
}

TEST(ThirdParty, ALibraryOutsideItsWrapperIsFound) {
  EXPECT_NE(wrapping("epaxos/runtime/bad.cc", "#include <zmq.hpp>\n"), "");
  EXPECT_NE(wrapping("epaxos/storage/store.cc", "#include <lmdb.h>\n"), "");
  EXPECT_NE(wrapping("epaxos/protocol/core.cc", "#include <capnp/message.h>\n"), "");
  EXPECT_NE(wrapping("epaxos/protocol/core.h", "#include \"epaxos/protocol/message.capnp.h\"\n"),
            "");
  EXPECT_NE(wrapping("executor/bad.cc", "#include <gtest/gtest.h>\n"), "");

  EXPECT_EQ(wrapping("net/socket.cc", "#include <zmq.hpp>\n"), "");
  EXPECT_EQ(wrapping("epaxos/storage/lmdb_store.cc", "#include <lmdb.h>\n"), "");
  EXPECT_EQ(wrapping("epaxos/protocol/message_codec.cc", "#include <capnp/message.h>\n"), "");
}

TEST(ThirdParty, ALibraryThatTheTableDoesNotKnowIsFound) {
  EXPECT_NE(wrapping("net/bad.cc", "#include <boost/asio.hpp>\n"), "");
  EXPECT_EQ(wrapping("net/good.cc", "#include <vector>\n#include <sys/socket.h>\n"), "");
}

TEST(ThirdParty, TheSystemStaysOutOfTheCore) {
  EXPECT_NE(wrapping("epaxos/protocol/bad.cc", "#include <unistd.h>\n"), "");
}

}  // namespace
}  // namespace epaxos::tidy
