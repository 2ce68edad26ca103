#include "finetune/train/setting_rules.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"

namespace finetune {
namespace {

TrainConfig config_of(const std::string& text) {
  return train_config_from_json(platform::parse_json(text, "settings"));
}

void expect_refused(const std::string& document, const std::string& key, const std::string& words) {
  try {
    config_of(document);
    ADD_FAILURE() << "accepted: " << document;
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.path(), key) << error.what();
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(SettingRules, AWholeNumberBeyondItsRangeIsRefusedAndNotWrapped) {
  const std::pair<const char*, const char*> cases[] = {{"r", "4294967304"},
                                                       {"patience", "-4294967293"},
                                                       {"evaluations", "4294967298"},
                                                       {"batch_examples", "9223372036854775807"},
                                                       {"bottleneck_size", "4294967360"},
                                                       {"max_steps", "-1"},
                                                       {"min_steps", "9223372036854775807"},
                                                       {"micro_batch_tokens", "0"},
                                                       {"max_example_tokens", "1"},
                                                       {"patch_size", "4097"},
                                                       {"remembered_answers", "10001"},
                                                       {"side_trees", "1001"},
                                                       {"text_features", "65537"}};
  for (const auto& [key, value] : cases)
    expect_refused(std::string("{\"") + key + "\": " + value + "}", key, std::string("not ") + value);
  expect_refused(R"({"batch_examples": 0})", "batch_examples", "between 1 and 1000000, not 0");
  expect_refused(R"({"max_steps": -5})", "max_steps", "between 0 (no limit) and 1000000000, not -5");
  expect_refused(R"({"r": 2.5})", "r", "");
  TrainConfig wrapped;
  wrapped.r = 0;
  EXPECT_THROW(wrapped.validate(), platform::Error) << "of a program too";
}

TEST(SettingRules, ASettingThatAnotherLeavesWithoutEffectIsRefused) {
  expect_refused(R"({"peft_type": "IA3", "r": 8})", "r", "for peft_type LORA, not IA3");
  expect_refused(R"({"peft_type": "IA3", "alpha": 8})", "alpha", "for peft_type LORA, not IA3");
  expect_refused(R"({"peft_type": "BOTTLENECK", "rank_pattern": {"q_proj": 2}})", "rank_pattern", "not BOTTLENECK");
  expect_refused(R"({"peft_type": "BOTTLENECK", "alpha_pattern": {"q_proj": 2}})", "alpha_pattern", "not BOTTLENECK");
  expect_refused(R"({"peft_type": "IA3", "loraplus_lr_ratio": 4})", "loraplus_lr_ratio", "not IA3");
  expect_refused(R"({"bottleneck_size": 8})", "bottleneck_size", "for peft_type BOTTLENECK, not LORA");
  expect_refused(R"({"non_linearity": "gelu_new"})", "non_linearity", "for peft_type BOTTLENECK, not LORA");
  expect_refused(R"({"feedforward_modules": ["down_proj"]})", "feedforward_modules", "for peft_type IA3, not LORA");
  expect_refused(R"({"side_network": false, "side_trees": 50})", "side_trees", "side_network is false");
  expect_refused(R"({"side_network": false, "text_features": 50})", "text_features", "side_network is false");
  expect_refused(R"({"beta": 0.2})", "beta", "neither dpo nor orpo");
  expect_refused(R"({"objective": "distillation", "beta": 0.2})", "beta", "neither dpo nor orpo");
  expect_refused(R"({"objective": "dpo", "kd_ratio": 0.2})", "kd_ratio", "not distillation");
  expect_refused(R"({"kd_temperature": 2})", "kd_temperature", "not distillation");
}

TEST(SettingRules, WhatStandsAtItsDefaultOrAgreesIsAccepted) {
  for (const char* document : {R"({"peft_type": "IA3", "r": 16, "alpha": 32, "feedforward_modules": ["down_proj"]})",
                               R"({"peft_type": "BOTTLENECK", "bottleneck_size": 8, "non_linearity": "gelu_new"})",
                               R"({"side_network": false, "side_trees": 0, "text_features": 32768})",
                               R"({"objective": "orpo", "beta": 0.2, "kd_ratio": 0.5})"})
    EXPECT_NO_THROW(config_of(document)) << document;
}

}  // namespace
}  // namespace finetune
