#include "tests/tidy/code_rules.h"

#include <gtest/gtest.h>

namespace epaxos::tidy {
namespace {

std::string broken_by(Rule rule, std::string text,
                      std::string path = "epaxos/protocol/snippet.cc") {
  return broken(rule, {source_file(std::move(path), std::move(text))}, {});
}

std::string lines(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += "  step();\n";
  return text;
}

TEST(Determinism, NoClockThreadOrChanceBelowTheEventLoop) {
  EXPECT_EQ(broken(determinism, sources()), "");
}

TEST(Determinism, ClocksThreadsAndChanceAreFound) {
  for (const std::string bad :
       {"#include <chrono>", "#include <thread>", "#include <mutex>", "#include <atomic>",
        "auto t = std::chrono::steady_clock::now();", "std::random_device seed;",
        "int n = rand() % 6;", "std::unordered_map<int, int> rows;", "std::set<Node*> waiting;",
        "std::map<const Node*, int> rank;", "std::uniform_int_distribution<int> die;"}) {
    EXPECT_NE(broken_by(determinism, bad + "\n"), "") << bad;
  }
}

TEST(Determinism, WordsInCommentsAndLiteralsAreNotCode) {
  EXPECT_EQ(broken_by(determinism, "// No steady_clock here.\n/* rand() */ f(\"rand()\");\n"), "");
  EXPECT_EQ(broken_by(determinism, "auto s = R\"(std::thread <mutex>)\"; int operand = 1'000;\n"),
            "");
  EXPECT_NE(broken_by(determinism, "f('\"'); rand(); g('\"');\n"), "");
}

TEST(Determinism, TheOutsideWorldMayUseClocks) {
  EXPECT_EQ(broken_by(determinism, "#include <chrono>\n", "epaxos/node/loop.cc"), "");
  for (const std::string folder : {"deps/", "executor/", "epaxos/contract/", "epaxos/protocol/",
                                   "epaxos/sim/", "compare/raft/"}) {
    EXPECT_NE(broken_by(determinism, "#include <chrono>\n", folder + "x.cc"), "") << folder;
  }
}

TEST(Shape, LinesFitTheColumns) {
  EXPECT_EQ(broken(line_length, sources()), "");
  EXPECT_EQ(broken_by(line_length, std::string(100, 'x') + "\n"), "");
  EXPECT_NE(broken_by(line_length, std::string(101, 'x') + "\n"), "");
}

TEST(Shape, FunctionsAreShort) {
  EXPECT_EQ(broken(function_length, sources()), "");
}

TEST(Shape, ALongFunctionIsFoundInEveryDisguise) {
  for (const std::string head :
       {"void f() {", "int Core::g(std::span<int> a,\n        int b) const noexcept {",
        "TEST(Suite, Name) {", "template <class T>\nauto h(T t) -> decltype(t) {",
        "Core::Core(int n) : rows_(n), slots_{n, 2} {", "Core::Core(int n) : slots_{n} {",
        "class A {\n public:\n  void f() {",
        "namespace a::b {\nstruct B {\n  bool operator()(int) {", "extern \"C\" {\nint main() {",
        "enum class E { kOne };\nint x{1};\nvoid f(int y = 0) {"}) {
    EXPECT_NE(broken_by(function_length, head + "\n" + lines(69) + "}\n"), "") << head;
    EXPECT_EQ(broken_by(function_length, head + "\n" + lines(68) + "}\n"), "") << head;
  }
}

TEST(Shape, WhatIsLongButNoFunctionIsLeftAlone) {
  const std::string rows = lines(100);

  EXPECT_EQ(broken_by(function_length, "namespace a {\n" + rows + "}\n"), "");
  EXPECT_EQ(broken_by(function_length, "class A {\n" + rows + "};\n"), "");
  EXPECT_EQ(broken_by(function_length, "template <class T>\nstruct A {\n" + rows + "};\n"), "");
  EXPECT_EQ(broken_by(function_length, "const std::vector<Row> kRows = {\n" + rows + "};\n"), "");
}

TEST(Shape, AFunctionIsNamedByWhatStandsBeforeItsParameters) {
  const auto found = functions_of(source_file(
      "x.cc",
      "namespace a {\nvoid Core::f(int) {\n  if (x) {\n  }\n}\n\nint g() { return 1; }\n}\n"));

  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "Core::f");
  EXPECT_EQ(found[0].first_line, 2u);
  EXPECT_EQ(found[0].lines, 4u);
  EXPECT_EQ(found[1].name, "g");
}

TEST(Shape, FilesAreSplitBeforeTheyAreLong) {
  EXPECT_EQ(broken(file_length, sources()), "");
  EXPECT_EQ(broken_by(file_length, lines(600)), "");
  EXPECT_NE(broken_by(file_length, lines(601)), "");
}

TEST(Headers, EachIsIncludedOnceAndSaysWhatItIs) {
  EXPECT_EQ(broken(header_opening, sources()), "");
  EXPECT_EQ(broken_by(header_opening, "#pragma once\n\n// What it is.\n", "deps/good.h"), "");
  EXPECT_NE(broken_by(header_opening, "// What it is.\n", "deps/bad.h"), "");
  EXPECT_NE(broken_by(header_opening, "#pragma once\n\n#include <span>\n", "deps/bad.h"), "");
}

TEST(Habits, TheCodeKeepsToItsOwnMeans) {
  EXPECT_EQ(broken(banned_code, sources()), "");
  for (const std::string bad :
       {"using namespace std;", "#define kMax 3", "assert(x);", "#include <cassert>",
        "std::shared_ptr<int> p;", "TEST(Suite, with_underscore) {\n}"}) {
    EXPECT_NE(broken_by(banned_code, bad + "\n"), "") << bad;
  }
  EXPECT_EQ(broken_by(banned_code, "static_assert(x);\nTEST(Suite, Name) {\n}\n"), "");
}

TEST(Habits, TheRepositorySpeaksOfTheProjectAlone) {
  EXPECT_EQ(broken(banned_words, readable_files()), "");
  for (const std::string bad : {"TO"
                                "DO",
                                "FIX"
                                "ME: x",
                                "/wo"
                                "rk/main",
                                "../sha"
                                "red/docs"}) {
    EXPECT_NE(broken_by(banned_words, "// " + bad + "\n"), "") << bad;
  }
}

TEST(Exceptions, EachStillExcusesSomethingAndSaysWhy) {
  EXPECT_EQ(idle_exceptions(sources()), "");
}

TEST(Exceptions, AnExceptionExcusesItsFunctionAndNoOther) {
  const std::string body = "() {\n" + lines(100) + "}\n";
  const std::vector<SourceFile> files = {
      source_file("deps/x.cc", "void f" + body + "void g" + body)};
  const std::vector<Exception> exceptions = {
      {function_length, "deps/x.cc", "f", "a table that reads best in one piece"}};

  EXPECT_EQ(broken(function_length, files, exceptions), "deps/x.cc:103: g: 102 lines\n");
  EXPECT_EQ(idle_exceptions(files, exceptions), "");
}

TEST(Exceptions, OneThatIsIdleOrGivesNoReasonIsFound) {
  const std::vector<SourceFile> files = {source_file("deps/x.cc", "void f() {\n}\n")};

  const std::string report = idle_exceptions(files, {{function_length, "deps/x.cc", "f", "why?"}});

  EXPECT_EQ(report,
            "deps/x.cc: f: without a reason\n"
            "deps/x.cc: f: excuses nothing any more\n");
}

TEST(SourceTree, TheRulesReadTheWholeRepository) {
  const auto has = [](const std::vector<SourceFile>& files, std::string_view path) {
    for (const SourceFile& file : files) {
      if (file.path == path && !file.text.empty()) return true;
    }
    return false;
  };

  for (const char* path : {"deps/types/ids.h", "executor/state_machine.h", "net/bundle.h",
                           "epaxos/contract/core.h", "tests/tidy/code_rules_test.cc"}) {
    EXPECT_TRUE(has(sources(), path)) << path;
  }
  for (const char* path : {"CMakeLists.txt", "tests/run.sh", ".ci/run", ".ci/setup.sh"}) {
    EXPECT_TRUE(has(readable_files(), path)) << path;
  }
}

TEST(SourceTree, PatternsMatchAnythingAtTheirStars) {
  EXPECT_TRUE(fits("epaxos/storage/lmdb_store.cc", "epaxos/storage/lmdb*"));
  EXPECT_TRUE(fits("epaxos/protocol/message_codec.cc", "*codec*"));
  EXPECT_TRUE(fits("deps/ids.h", "deps/ids.h"));
  EXPECT_FALSE(fits("deps/ids.h", "deps/ids"));
  EXPECT_FALSE(fits("dependency.h", "deps/*"));
}

}  // namespace
}  // namespace epaxos::tidy
