#include "tests/tidy/citations.h"

#include <gmock/gmock.h>

#include <gtest/gtest.h>

namespace epaxos::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Split, so that this file itself cites nothing.
const std::string kPage = std::string("law") + ".md";

std::vector<std::string> numbers(const std::string& text) {
  std::vector<std::string> found;
  for (const Citation& cited : citations_of(text)) found.push_back(cited.section);
  return found;
}

TEST(Citations, EveryPageAndSectionThatIsCitedExists) {
  std::vector<SourceFile> pages;
  for (const SourceFile& file : readable_files()) {
    if (file.path.ends_with(std::string(".m") + "d")) pages.push_back(file);
  }
  EXPECT_EQ(dangling(readable_files(), pages), "");
}

TEST(Citations, SectionsAreHeadingsAndNumberedParagraphs) {
  EXPECT_THAT(sections_of("# Law\n## 1. One\n### 1.2 Two\n**8.3 Three.** x\n* **18.1** y\n"),
              ElementsAre("1", "1.2", "8.3", "18.1"));
  EXPECT_THAT(sections_of("1. an item\n7.1 in a sentence\n| 2 | a table |\n"), IsEmpty());
}

TEST(Citations, NumbersAreReadInEveryForm) {
  EXPECT_THAT(numbers("// Source: " + kPage + " 4.2 and 13.1.\n"), ElementsAre("4.2", "13.1"));
  EXPECT_THAT(numbers("// " + kPage + " 4-6, 7.1 (1)-(2), 10, 14.6. Recovery\n"),
              ElementsAre("4", "6", "7.1", "10", "14.6"));
  EXPECT_THAT(numbers("// " + kPage + "\n// 6.4, 6.5.\n"), ElementsAre("6.4", "6.5"));
  EXPECT_THAT(numbers("// " + kPage + " 6.1 to 6.3\n"), ElementsAre("6.1", "6.3"));
  EXPECT_THAT(numbers("`docs/" + kPage + "` 3."), ElementsAre("3"));
  EXPECT_THAT(numbers("see " + kPage + ", and 3 more"), ElementsAre(""));
}

TEST(Citations, WhatLeadsNowhereIsNamed) {
  const std::vector<SourceFile> pages{source_file("docs/" + kPage, "## 1. One\n")};
  const auto of = [&](const std::string& text) {
    return dangling({source_file("a.cc", text)}, pages);
  };

  EXPECT_EQ(of("// docs/" + kPage + " 1.\n"), "");
  EXPECT_EQ(of("\n// " + kPage + " 1.1.\n"), "a.cc:2: " + kPage + " 1.1\n");
  EXPECT_EQ(of("// docs/other/" + kPage + "\n"), "a.cc:1: other/" + kPage + " \n");
}

}  // namespace
}  // namespace epaxos::tidy
