#include "finetune/generate/generate_options.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "platform/base/error.h"

namespace finetune {
namespace {

TEST(GenerateOptions, TheDefaultsAndTheEndsOfEachRangeAreAllowed) {
  GenerateOptions().validate();
  GenerateOptions{.max_tokens = 1,
                  .temperature = 2.0f,
                  .top_k = 1'000'000,
                  .min_p = 1.0f,
                  .repetition_penalty = 2.0f,
                  .no_repeat_ngram_size = 64,
                  .logprobs = 20}
      .validate();
}

TEST(GenerateOptions, WhatIsOutOfItsRangeIsRefusedByName) {
  const std::vector<std::pair<std::string, std::function<void(GenerateOptions&)>>> wrong{
      {"max_tokens", [](auto& o) { o.max_tokens = 0; }},
      {"temperature", [](auto& o) { o.temperature = -0.1f; }},
      {"temperature", [](auto& o) { o.temperature = NAN; }},
      {"temperature", [](auto& o) { o.temperature = 2.1f; }},
      {"top_k", [](auto& o) { o.top_k = -1; }},
      {"top_p", [](auto& o) { o.top_p = 0.0f; }},
      {"top_p", [](auto& o) { o.top_p = NAN; }},
      {"min_p", [](auto& o) { o.min_p = 1.5f; }},
      {"typical_p", [](auto& o) { o.typical_p = 0.0f; }},
      {"repetition_penalty", [](auto& o) { o.repetition_penalty = 0.0f; }},
      {"no_repeat_ngram_size", [](auto& o) { o.no_repeat_ngram_size = 65; }},
      {"logprobs", [](auto& o) { o.logprobs = 21; }},
      {"logprobs", [](auto& o) { o.logprobs = -1; }}};
  for (const auto& [name, spoil] : wrong) {
    GenerateOptions options;
    spoil(options);
    try {
      options.validate();
      ADD_FAILURE() << name << " was taken";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
      EXPECT_EQ(error.path(), name);
      EXPECT_NE(std::string(error.what()).find("it must be"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace finetune
