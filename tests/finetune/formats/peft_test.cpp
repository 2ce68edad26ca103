#include "finetune/formats/peft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <iostream>

#include "finetune/formats/safetensors.h"
#include "platform/base/error.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

using kernels::Tensor;

const char* const kModule = "model.layers.0.self_attn.q_proj";

PeftAdapter small_adapter() {
  PeftAdapter adapter;
  adapter.config.r = 2;
  adapter.config.lora_alpha = 4;
  adapter.config.target_modules = {"q_proj"};
  adapter.modules[kModule] = {Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3}),
                              Tensor::from<float>({1, 0, 0, 1}, {2, 2})};
  return adapter;
}

std::string refusal(const std::string& text) {
  try {
    lora_config_from_json(platform::parse_json(text, "adapter_config.json"));
  } catch (const platform::Error& error) {
    return error.what();
  }
  return "(accepted)";
}

TEST(PeftAdapterFolder, ReadsBackWhatItWroteAndWritesTheSameBytesAgain) {
  const platform::TemporaryFolder first;
  const platform::TemporaryFolder second;
  write_peft_adapter(first.path(), small_adapter());
  const PeftAdapter adapter = read_peft_adapter(first.path());
  EXPECT_EQ(adapter.config.r, 2);
  EXPECT_DOUBLE_EQ(adapter.config.scaling_of(kModule), 2);
  EXPECT_EQ(adapter.modules.at(kModule).a.data<float>()[5], 6);
  write_peft_adapter(second.path(), adapter);
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
    EXPECT_EQ(platform::read_file(first.path() / name), platform::read_file(second.path() / name)) << name;
  }
  EXPECT_TRUE(SafetensorsFile(first.path() / "adapter_model.safetensors")
                  .contains(std::string("base_model.model.") + kModule + ".lora_A.weight"));
}

TEST(PeftAdapterFolder, RefusesAMatrixWithoutItsPartner) {
  const platform::TemporaryFolder folder;
  write_peft_adapter(folder.path(), small_adapter());
  const Tensor a = Tensor::zeros({2, 3});
  write_safetensors(folder.path() / "adapter_model.safetensors",
                    {{std::string("base_model.model.") + kModule + ".lora_A.weight", &a}});
  EXPECT_THROW(read_peft_adapter(folder.path()), platform::Error);
}

TEST(PeftConfig, NamesEveryFeatureThatItDoesNotSupport) {
  EXPECT_EQ(refusal(R"({"peft_type":"LORA","r":8,"target_modules":["q_proj"],"use_dora":false,"new_key":null})"),
            "(accepted)");
  EXPECT_EQ(refusal(R"({"peft_type":"LORA","use_dora":true,"target_modules":["q_proj"]})"), "(accepted)");
  EXPECT_NE(refusal(R"({"peft_type":"LORA","use_qalora":true,"modules_to_save":["lm_head"]})")
                .find("use_qalora = true, modules_to_save = [\"lm_head\"]"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","use_dora":true,"lora_dropout":0.1})").find("lora_dropout"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","use_dora":true,"lora_bias":true})").find("lora_bias"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","mystery":3})").find("mystery = 3"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"IA3"})").find("IA3"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","init_lora_weights":"pissa_niter_4"})").find("pissa"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","r":0})").find("rank"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","target_modules":"(q"})").find("regular expression"), std::string::npos);
}

TEST(PeftConfig, MatchesModulesAsPeftDoes) {
  LoraConfig config;
  config.target_modules = {"q_proj", "mlp.up_proj"};
  config.layers_to_transform = {1};
  EXPECT_TRUE(config.targets("model.layers.1.self_attn.q_proj"));
  EXPECT_TRUE(config.targets("model.layers.1.mlp.up_proj"));
  EXPECT_FALSE(config.targets("model.layers.0.self_attn.q_proj"));
  EXPECT_FALSE(config.targets("model.layers.1.self_attn.xq_proj"));
  config.target_modules.clear();
  config.layers_to_transform.clear();
  config.target_pattern = R"(.*\.layers\.[02]\..*(q|v)_proj)";
  EXPECT_TRUE(config.targets("model.layers.2.self_attn.v_proj"));
  EXPECT_FALSE(config.targets("model.layers.1.self_attn.v_proj"));
  config.target_pattern = "all-linear";
  EXPECT_TRUE(config.targets("model.layers.1.mlp.down_proj"));
  EXPECT_FALSE(config.targets("lm_head"));
  config.rank_pattern = {{"layers.1.self_attn.q_proj", 4}};
  config.use_rslora = true;
  EXPECT_EQ(config.rank_of("model.layers.1.self_attn.q_proj"), 4);
  EXPECT_DOUBLE_EQ(config.scaling_of("model.layers.1.self_attn.q_proj"), 8 / std::sqrt(4.0));
}

TEST(PeftGolden, ReadsEveryPlainAdapterAndRefusesTheOthersByName) {
  const char* root = std::getenv("ANNEAL_GOLDEN");
  const std::filesystem::path models = std::filesystem::path(root ? root : "../shared/golden") / "models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << "no golden data at " << models;
  int checked = 0;
  for (const auto& model : std::filesystem::directory_iterator(models)) {
    if (!std::filesystem::exists(model.path() / "adapters")) continue;
    for (const auto& entry : std::filesystem::directory_iterator(model.path() / "adapters")) {
      const std::string kind = entry.path().filename().string();
      try {
        EXPECT_FALSE(read_peft_adapter(entry.path()).modules.empty()) << entry.path();
        ++checked;
      } catch (const platform::Error& error) {
        EXPECT_FALSE(kind == "lora" || kind == "rslora" || kind == "regex" || kind == "some_layers" ||
                     kind == "patterns" || kind == "lora_plus")
            << entry.path() << ": " << error.what();
        std::cout << "not covered: " << model.path().filename().string() << "/" << kind << ": " << error.what() << "\n";
      }
    }
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0);
}

TEST(SafetensorsGolden, WritesTheLibrarysOwnBytes) {
  const char* root = std::getenv("ANNEAL_GOLDEN");
  const std::filesystem::path models = std::filesystem::path(root ? root : "../shared/golden") / "models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << "no golden data at " << models;
  int checked = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(models)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("model") && name != "adapter_model.safetensors") continue;
    if (entry.path().extension() != ".safetensors") continue;
    const SafetensorsFile file(entry.path());
    std::map<std::string, Tensor> tensors;
    for (const std::string& tensor : file.names()) tensors.emplace(tensor, file.read(tensor));
    std::map<std::string, const Tensor*> views;
    for (const auto& [tensor, value] : tensors) views.emplace(tensor, &value);
    EXPECT_TRUE(safetensors_bytes(views, file.metadata()) == platform::read_file(entry.path())) << entry.path();
    ++checked;
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace finetune
