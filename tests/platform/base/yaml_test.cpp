#include "platform/base/yaml.h"

#include <gtest/gtest.h>

#include <random>

namespace platform {
namespace {

std::string mistakes_in(std::string_view text) {
  std::vector<Mistake> mistakes;
  parse_yaml(text, "f.yaml", mistakes);
  std::string all;
  for (const Mistake& mistake : mistakes) all += mistake.str() + "\n";
  return all;
}

TEST(Yaml, KnowsTypesAndPositions) {
  std::vector<Mistake> mistakes;
  const auto node = parse_yaml("a: 1\nb: [x, \"2\", 2.5, ~, true]\nc:\n  d: 010\n", "f.yaml", mistakes);
  ASSERT_TRUE(node);
  EXPECT_EQ(canonical_json(to_json(*node)), R"({"a":1,"b":["x","2",2.5,null,true],"c":{"d":10}})");
  EXPECT_EQ(node->find("c")->find("d")->line, 4);
  EXPECT_EQ(node->find("c")->find("d")->column, 6);
}

TEST(Yaml, FindsEveryDuplicateKeyAndAliasNotTheFirstOne) {
  const std::string all = mistakes_in("a: 1\na: 2\nb: &x [1]\nc: *x\nd: {e: 1, e: 2}\n");
  EXPECT_NE(all.find("f.yaml:2:1: the key 'a' stands twice; the first is on line 1"), std::string::npos) << all;
  EXPECT_NE(all.find("f.yaml:3"), std::string::npos) << all;
  EXPECT_NE(all.find("f.yaml:4:4: aliases"), std::string::npos) << all;
  EXPECT_NE(all.find("f.yaml:5:11: the key 'e' stands twice"), std::string::npos) << all;
}

TEST(Yaml, ADuplicateKeyDoesNotHideTheTree) {
  std::vector<Mistake> mistakes;
  const auto node = parse_yaml("a: 1\na: 2\nb: 3\n", "f.yaml", mistakes);
  ASSERT_TRUE(node);
  EXPECT_EQ(mistakes.size(), 1u);
  EXPECT_EQ(node->find("b")->scalar, "3");
}

TEST(Yaml, ASecondDocumentIsRefused) {
  EXPECT_EQ(mistakes_in("---\na: 1\n---\nb: 2\n"),
            "f.yaml:3:1: a second document (---) begins here; a file holds one\n");
  EXPECT_EQ(mistakes_in("---\na: 1\n...\n"), "");
}

TEST(Yaml, AnEscapedNulIsRefusedAtItsPlace) {
  for (const char* text : {R"(a: "b\0c")", R"(a: "\x00")", R"(a: "\u0000")"}) {
    std::vector<Mistake> mistakes;
    parse_yaml(text, "f.yaml", mistakes);
    ASSERT_EQ(mistakes.size(), 1u) << text;
    EXPECT_EQ(mistakes[0].str(), "f.yaml:1:4: a NUL character cannot be kept; leave it out");
  }
}

TEST(Yaml, ColumnsCountCharactersNotBytes) {
  EXPECT_NE(mistakes_in("설명: {한글: 1, 한글: 2}\n").find("f.yaml:1:13: the key '한글' stands twice"),
            std::string::npos)
      << mistakes_in("설명: {한글: 1, 한글: 2}\n");
  EXPECT_NE(mistakes_in("설명: \xff").find("f.yaml:1:5: the byte here"), std::string::npos);
}

TEST(Yaml, AMappingWithTooManyKeysIsRefused) {
  std::string many;
  for (int i = 0; i < 10'001; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_NE(mistakes_in(many).find("f.yaml:10001:1: more than 10000 keys in one mapping"), std::string::npos);
  EXPECT_EQ(mistakes_in(many.substr(0, many.rfind("k10000"))), "");
}

TEST(Yaml, AnswersHostileDocumentsAtOnce) {
  std::string keys;
  for (int i = 0; i < 90'000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  EXPECT_NE(mistakes_in(keys), "");
  EXPECT_NE(mistakes_in(std::string(900'000, '[')), "");
  EXPECT_NE(mistakes_in(std::string(10'000'000, '[')), "");
  EXPECT_NE(mistakes_in("a: \xff\xfe"), "");
  EXPECT_NE(mistakes_in("a:\n\t- b\n"), "");
  EXPECT_NE(mistakes_in("a: !!python/object x"), "");
  std::string deep;
  for (int i = 0; i < 60; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "k:\n";
  EXPECT_NE(mistakes_in(deep).find("nested deeper"), std::string::npos);
}

TEST(Yaml, FieldsCollectWhatIsWrong) {
  std::vector<Mistake> mistakes;
  const auto node = parse_yaml("rank: many\nneed: [a]\nrate: 0.5\n", "f.yaml", mistakes);
  ASSERT_TRUE(node);
  YamlFields fields(*node, "step 'tune'", "f.yaml", mistakes);
  EXPECT_EQ(fields.integer("rank", 16), 16);
  EXPECT_EQ(fields.number("rate", 1), 0.5);
  fields.require("uses");
  fields.strings("needs");
  fields.refuse_others();
  ASSERT_EQ(mistakes.size(), 3u);
  EXPECT_EQ(mistakes[0].str(), "f.yaml:1:7: 'rank' must be a whole number, not 'many'");
  EXPECT_EQ(mistakes[1].str(), "f.yaml:1:1: step 'tune' needs the key 'uses'");
  EXPECT_EQ(mistakes[2].str(), "f.yaml:2:1: unknown key 'need' in step 'tune' (did you mean 'needs'?)");
}

TEST(YamlFuzz, MutatedDocumentsNeverCrash) {
  const std::uint64_t seed = 20260301;
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  const std::string good =
      "name: flow\ninputs:\n  rank: {type: integer, default: 16}\nsteps:\n  a: {uses: x, with: {y: \"${{ inputs.rank "
      "}}\"}}\n  b:\n    - 1\n    - |\n      text\n";
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    for (int k = 0; k < 3; ++k) bad[random() % bad.size()] = static_cast<char>(random());
    mistakes_in(bad);
  }
}

}  // namespace
}  // namespace platform
