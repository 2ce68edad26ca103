#include "finetune/train/train_config.h"

#include <gtest/gtest.h>

#include "platform/base/error.h"

namespace finetune {
namespace {

TrainConfig config_of(const char* text) { return train_config_from_json(platform::parse_json(text, "settings")); }

// The key at fault and the message.
std::pair<std::string, std::string> refusal(const char* text) {
  try {
    config_of(text);
  } catch (const platform::Error& error) {
    return {error.path(), error.what()};
  }
  return {"", "(accepted)"};
}

TEST(TrainConfig, TheSettingsOfAnAdapterComeBackAsTheyWere) {
  const char* const documents[] = {
      R"({"peft_type": "IA3", "target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]})",
      R"({"peft_type": "IA3"})",
      R"({"peft_type": "BOTTLENECK", "bottleneck_size": 12, "non_linearity": "gelu_new", "modules_to_save": ["norm"]})",
      R"({"trainable_token_indices": [4, 2], "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 2.5}})",
      R"({"init_lora_weights": "pissa_niter_4", "use_rslora": true})",
      R"({"init_lora_weights": true, "use_dora": true, "dropout": 0.25})"};
  for (const char* document : documents) {
    const TrainConfig config = config_of(document);
    const platform::json::value first = to_json(config);
    // A list that stands for "the usual layers" has no form of its own.
    platform::json::object again = first.as_object();
    if (config.target_modules.empty() && config.target_pattern.empty()) again.erase("target_modules");
    EXPECT_EQ(platform::canonical_json(to_json(train_config_from_json(again))), platform::canonical_json(first))
        << document;
  }
}

TEST(TrainConfig, TheSettingsOfAnObjectiveComeBackAsTheyWere) {
  for (const char* document : {R"({"objective": "dpo", "beta": 0.25, "label_smoothing": 0.125, "rpo_alpha": 1.5})",
                               R"({"objective": "orpo", "beta": 0.5, "metric": "reward_accuracy"})",
                               R"({"objective": "distillation", "kd_ratio": 0.75, "kd_temperature": 2.5})"}) {
    const platform::json::value read = to_json(config_of(document));
    EXPECT_EQ(platform::canonical_json(to_json(train_config_from_json(read))), platform::canonical_json(read));
    const platform::json::value asked = platform::parse_json(document, "settings");
    for (const auto& [key, value] : asked.as_object())
      EXPECT_EQ(platform::canonical_json(read.at(key)), platform::canonical_json(value)) << document;
  }
}

TEST(TrainConfig, AnObjectiveThatCannotBeIsRefusedWithItsKey) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"({"objective": "ppo"})", "objective", "sft, dpo, orpo or distillation"},
      {R"({"objective": "dpo", "beta": 0})", "beta", "above 0"},
      {R"({"objective": "dpo", "label_smoothing": 0.5})", "label_smoothing", "below 0.5"},
      {R"({"objective": "orpo", "label_smoothing": 0.1})", "label_smoothing", "not dpo"},
      {R"({"rpo_alpha": 1})", "rpo_alpha", "not dpo"},
      {R"({"objective": "distillation", "kd_ratio": 1.5})", "kd_ratio", "between 0 and 1"},
      {R"({"objective": "distillation", "kd_temperature": 0})", "kd_temperature", "0.1 and 100"}};
  for (const auto& [document, key, words] : cases) {
    const auto [path, message] = refusal(document);
    EXPECT_EQ(path, key) << document << ": " << message;
    EXPECT_NE(message.find(words), std::string::npos) << document << ": " << message;
  }
}

TEST(TrainConfig, OneNameStandsForAListOfOne) {
  const TrainConfig config = config_of(R"({"target_modules": "q_proj", "modules_to_save": "lm_head"})");
  EXPECT_EQ(config.target_modules, (std::vector<std::string>{"q_proj"}));
  EXPECT_EQ(config.modules_to_save, (std::vector<std::string>{"lm_head"}));
}

TEST(TrainConfig, AnAdapterThatCannotBeIsRefusedWithItsKey) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"({"peft_type": "LOHA"})", "peft_type", "BOTTLENECK, IA3 and LORA"},
      {R"({"peft_type": "IA3", "use_dora": true})", "peft_type", "none of use_dora"},
      {R"({"peft_type": "BOTTLENECK", "dropout": 0.1})", "peft_type", "lora_dropout"},
      {R"({"peft_type": "BOTTLENECK", "bottleneck_size": 0})", "bottleneck_size", "between 1 and 4096, not 0"},
      {R"({"peft_type": "BOTTLENECK", "non_linearity": "relu"})", "non_linearity", "silu or gelu_new"},
      {R"({"init_lora_weights": "olora"})", "init_lora_weights", "pissa_niter_K"},
      {R"({"init_lora_weights": false})", "init_lora_weights", "pissa_niter_K"},
      {R"({"init_lora_weights": "pissa_niter_"})", "init_lora_weights", "pissa_niter_K"},
      {R"({"init_lora_weights": "pissa", "use_dora": true})", "init_lora_weights", "choose one"},
      {R"({"trainable_token_indices": [-1]})", "trainable_token_indices", "from 0"},
      {R"({"trainable_token_indices": [3, 3]})", "trainable_token_indices", "different"},
      {R"({"peft_type": "IA3", "trainable_token_indices": [3]})", "trainable_token_indices", "LORA only"},
      {R"({"rank_pattern": {"q_proj": 0}})", "r", "1 to 4096"},
      {R"({"alpha_pattern": {"q_proj": 0}})", "alpha_pattern", "above 0"},
      {R"({"alpha": 0})", "alpha", "positive"},
      {R"({"modules_to_sav": ["lm_head"]})", "modules_to_sav", "modules_to_save"}};
  for (const auto& [document, key, words] : cases) {
    const auto [path, message] = refusal(document);
    EXPECT_EQ(path, key) << document << ": " << message;
    EXPECT_NE(message.find(words), std::string::npos) << document << ": " << message;
  }
}

}  // namespace
}  // namespace finetune
