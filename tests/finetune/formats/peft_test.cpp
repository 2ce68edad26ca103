#include "finetune/formats/peft.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>

#include "finetune/formats/safetensors.h"
#include "platform/base/error.h"
#include "platform/base/file.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

using kernels::Tensor;

const char* const kModule = "model.layers.0.self_attn.q_proj";

PeftAdapter small_adapter() {
  PeftAdapter adapter;
  adapter.config.r = 2;
  adapter.config.lora_alpha = 4;
  adapter.config.target_modules = {"q_proj"};
  adapter.modules[kModule].a = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  adapter.modules[kModule].b = Tensor::from<float>({1, 0, 0, 1}, {2, 2});
  return adapter;
}

std::string refusal(const std::string& text) {
  try {
    peft_config_from_json(platform::parse_json(text, "adapter_config.json"));
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

TEST(PeftAdapterFolder, RefusesPartsThatDoNotBelongTogether) {
  const auto refused = [](const std::function<void(PeftAdapter&)>& change) {
    PeftAdapter adapter = small_adapter();
    change(adapter);
    const platform::TemporaryFolder folder;
    write_peft_adapter(folder.path(), adapter);
    EXPECT_THROW(read_peft_adapter(folder.path()), platform::Error);
  };
  refused([](PeftAdapter& adapter) { adapter.modules[kModule].factors = Tensor::zeros({2, 1}); });
  refused([](PeftAdapter& adapter) { adapter.modules[kModule].down_bias = Tensor::zeros({2}); });
  refused([](PeftAdapter& adapter) { adapter.modules[kModule].embedding_a = Tensor::zeros({2, 3}); });
  refused([](PeftAdapter& adapter) { adapter.modules["model.embed_tokens"].token_rows = Tensor::zeros({2, 3}); });
  refused(
      [](PeftAdapter& adapter) { adapter.config = PeftConfig{.type = PeftType::kIa3, .target_modules = {"q_proj"}}; });
  refused([](PeftAdapter& adapter) {
    adapter.config = PeftConfig{.type = PeftType::kBottleneck, .target_modules = {"q_proj"}};
  });
  refused([](PeftAdapter& adapter) { adapter.saved["lm_head.weight"] = Tensor::zeros({2, 3}); });
}

TEST(PeftConfig, NamesEveryFeatureThatItDoesNotSupport) {
  EXPECT_EQ(refusal(R"({"peft_type":"LORA","r":8,"target_modules":["q_proj"],"use_dora":false,"new_key":null})"),
            "(accepted)");
  EXPECT_EQ(refusal(R"({"peft_type":"LORA","use_dora":true,"target_modules":["q_proj"]})"), "(accepted)");
  EXPECT_NE(refusal(R"({"peft_type":"LORA","use_qalora":true,"target_parameters":["w"]})")
                .find("use_qalora = true, target_parameters = [\"w\"]"),
            std::string::npos);
  EXPECT_EQ(refusal(R"({"peft_type":"LORA","use_dora":true,"lora_dropout":0.1})"), "(accepted)");
  EXPECT_NE(refusal(R"({"peft_type":"IA3","r":4})").find("r = 4"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","trainable_token_indices":[3,3]})").find("different"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","trainable_token_indices":{"lm_head":[3]}})").find("embed_tokens"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","use_dora":true,"lora_bias":true})").find("lora_bias"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","mystery":3})").find("mystery = 3"), std::string::npos);
  EXPECT_EQ(refusal(R"({"peft_type":"IA3","target_modules":["k_proj"]})"), "(accepted)");
  EXPECT_NE(refusal(R"({"peft_type":"LOHA"})").find("BOTTLENECK, IA3 and LORA"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","init_lora_weights":"pissa_niter_4"})").find("pissa"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","r":0})").find("rank"), std::string::npos);
  EXPECT_NE(refusal(R"({"peft_type":"LORA","target_modules":"(q"})").find("regular expression"), std::string::npos);
}

TEST(PeftConfig, MatchesModulesAsPeftDoes) {
  PeftConfig config;
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

// Returns how many adapters the model has.
int check_adapters(const std::filesystem::path& model) {
  int checked = 0;
  if (!std::filesystem::exists(model / "adapters")) return checked;
  for (const auto& entry : std::filesystem::directory_iterator(model / "adapters")) {
    const platform::TemporaryFolder again;
    write_peft_adapter(again.path(), read_peft_adapter(entry.path()));
    const SafetensorsFile wanted(entry.path() / "adapter_model.safetensors");
    const SafetensorsFile got(again.path() / "adapter_model.safetensors");
    for (const std::string& name : wanted.names()) {
      if (name.ends_with(".base_layer.weight")) continue;  // the base's own table
      const Tensor a = wanted.read_as(name, kernels::DataType::kFloat32), b = got.read(name);
      EXPECT_EQ(a.shape(), b.shape()) << entry.path() << " " << name;
      EXPECT_TRUE(std::ranges::equal(a.values<float>(), b.values<float>())) << entry.path() << " " << name;
    }
    ++checked;
  }
  return checked;
}

TEST(PeftGolden, ReadsEveryAdapterAndWritesItsTensorsBack) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& model : support::golden_cases("models")) checked += check_adapters(model);
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0);
}

TEST(SafetensorsGolden, WritesTheLibrarysOwnBytes) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& model : support::golden_cases("models")) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(model)) {
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
  }
  std::cout << "cases checked: " << checked << "\n";
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace finetune
