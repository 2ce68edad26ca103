#include "finetune/train/token_counts.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

platform::Example writing(std::string prompt, std::string completion) {
  platform::Example example;
  example.id = prompt;
  example.prompt = std::move(prompt);
  example.completion = std::move(completion);
  return example;
}

TEST(TokenCounts, OfTextsAreThoseOfTheAnswerAndItsEnd) {
  const platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path());
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  const auto length = [&](const std::string& text) { return static_cast<std::int64_t>(tokenizer.encode(text).size()); };
  const std::string shorter = "hot", longer = "bearing hot, bearing cold";
  const auto counts =
      token_counts(tokenizer, {}, Task::kLanguageModel, {writing("spindle", shorter), writing("torque 12 Nm", longer)});
  EXPECT_EQ(counts.at("supervised_tokens").at("maximum").to_number<std::int64_t>(), length(longer) + 1);
  EXPECT_EQ(counts.at("supervised_tokens").at("minimum").to_number<std::int64_t>(), length(shorter) + 1);
  EXPECT_GT(counts.at("tokens").at("minimum").to_number<std::int64_t>(), length(shorter));
}

TEST(TokenCounts, OfClassesAreOneEach) {
  const platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path());
  platform::Example example = writing("spindle load high", "");
  example.label = "bad";
  const auto counts = token_counts(Tokenizer::load(folder.path()), {}, Task::kClassify, {example});
  EXPECT_EQ(counts.at("supervised_tokens").at("mean"), platform::json::value(1.0));
}

TEST(TokenCounts, OfAPairAreThoseOfBothAnswers) {
  const platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path());
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  platform::Example pair = writing("spindle", ""), good = writing("spindle", "hot"), bad = writing("spindle", "cold");
  pair.chosen = "hot";
  pair.rejected = "cold";
  const auto both = token_counts(tokenizer, {}, Task::kLanguageModel, {good, bad});
  const auto counts = token_counts(tokenizer, {}, Task::kLanguageModel, {pair});
  for (const char* what : {"tokens", "supervised_tokens"})
    EXPECT_EQ(counts.at(what).at("mean").to_number<double>(), 2 * both.at(what).at("mean").to_number<double>()) << what;
}

TEST(TokenCounts, OfNothingAreNothing) {
  const platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path());
  EXPECT_TRUE(token_counts(Tokenizer::load(folder.path()), {}, Task::kClassify, {}).empty());
}

}  // namespace
}  // namespace finetune
