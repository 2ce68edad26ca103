// A frozen base in 4 or 8 bits beside the same base with its weights restored to float32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "finetune/model/adapter.h"
#include "finetune/model/transformer.h"
#include "finetune/train/training_job.h"
#include "kernels/ops/cross_entropy.h"
#include "platform/dataset/example.h"
#include "tests/support/child_process.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

struct Kind {
  WeightPrecision precision;
  kernels::QuantisedType type;
};
constexpr Kind kKinds[] = {{WeightPrecision::kInt8, kernels::QuantisedType::kInt8},
                           {WeightPrecision::kNf4, kernels::QuantisedType::kNf4},
                           {WeightPrecision::kNf4Nested, kernels::QuantisedType::kNf4Nested}};

class QuantisedBase : public testing::Test {
 protected:
  void SetUp() override { support::write_tiny_base(folder_.path()); }
  ModelWeights load(WeightPrecision precision) const {
    return load_weights(folder_.path(), read_model_config(folder_.path()), precision);
  }
  // In float32, each linear layer replaced by what its codes stand for.
  ModelWeights restored(kernels::QuantisedType type) {
    ModelWeights weights = load(WeightPrecision::kFloat32);
    for (LayerWeights& layer : weights.layers) {
      for (LinearWeight& linear : layer.linears) {
        const kernels::QuantisedWeight codes = kernels::quantise(context_, linear.value, type);
        kernels::dequantise(context_, codes, linear.value);
      }
    }
    weights.refresh();
    return weights;
  }

  // Loss and gradients of a DoRA adapter, one list.
  std::vector<float> step(ModelWeights& weights) {
    const ModelConfig config = read_model_config(folder_.path());
    kernels::Random random(5);
    PeftConfig settings;
    settings.r = 3;
    settings.target_pattern = "all-linear";
    settings.use_dora = true;
    Adapter lora(config, weights, settings, random);
    lora.make_trainable();
    lora.for_each([&](Weight& weight) {
      if (!weight.name.ends_with("lora_B")) return;
      for (float& value : weight.value.values<float>()) value = static_cast<float>(random.normal()) * 0.1f;
    });
    Transformer transformer(config, weights, &lora);
    const std::vector<std::int32_t> ids{5, 9, 200, 17, 33, 8};
    const std::vector<std::int32_t> targets{9, 200, 17, 33, 8, kernels::kIgnoredTarget};
    const std::span<const std::int32_t> document(ids);
    const PackedBatch batch = pack_documents({&document, 1});
    const Tensor& hidden = transformer.forward(context_, batch, nullptr, ActivationMode::kKeep);
    Tensor dhidden(hidden.shape());
    const kernels::LossSum loss = kernels::linear_cross_entropy(context_, hidden, weights.output_head().packed,
                                                                Tensor::from(targets), nullptr, {}, &dhidden, nullptr);
    transformer.backward(context_, batch, dhidden, nullptr);
    std::vector<float> numbers{static_cast<float>(loss.loss)};
    lora.for_each([&](Weight& weight) {
      const auto values = weight.gradient.values<float>();
      numbers.insert(numbers.end(), values.begin(), values.end());
    });
    return numbers;
  }

  platform::TemporaryFolder folder_;
  Context context_ = Context::cpu(1);
};

TEST_F(QuantisedBase, TrainsAnAdapterAsItsRestoredCopyDoes) {
  for (const Kind& kind : kKinds) {
    ModelWeights held = load(kind.precision), wide = restored(kind.type);
    const std::vector<float> got = step(held), wanted = step(wide);
    ASSERT_EQ(got.size(), wanted.size());
    float largest = 0;
    for (const float value : wanted) largest = std::max(largest, std::fabs(value));
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], wanted[i], 1e-5f * largest) << i;
  }
}

TEST_F(QuantisedBase, HoldsCodesInPlaceOfItsLinearLayersAndNothingElse) {
  const ModelWeights weights = load(WeightPrecision::kNf4);
  EXPECT_TRUE(weights.quantised());
  EXPECT_FALSE(load(WeightPrecision::kBFloat16).quantised());
  EXPECT_EQ(weights.embedding.value.type(), kernels::DataType::kBFloat16);
  for (const LayerWeights& layer : weights.layers) {
    EXPECT_TRUE(layer.attention_norm.present());
    for (const LinearWeight& linear : layer.linears) {
      EXPECT_TRUE(linear.packed.is_quantised());
      EXPECT_FALSE(linear.present());
    }
  }
}

TEST_F(QuantisedBase, IsNeitherSavedNorTrainedWhole) {
  ModelWeights weights = load(WeightPrecision::kInt8);
  const ModelConfig config = read_model_config(folder_.path());
  EXPECT_THROW(save_model(folder_.path() / "copy", config, weights, kernels::DataType::kBFloat16), platform::Error);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "copy"));
  EXPECT_THROW(weights.make_trainable(), platform::Error);
}

// 44 million weights: 175 MiB in float32.
void write_larger_base(const std::filesystem::path& folder) {
  support::write_tiny_base(folder);
  ModelConfig config = support::tiny_config();
  platform::json::object document = config.source;
  for (const auto& [key, size] : std::vector<std::pair<const char*, int>>{{"hidden_size", 768},
                                                                          {"intermediate_size", 2048},
                                                                          {"num_hidden_layers", 6},
                                                                          {"num_attention_heads", 12},
                                                                          {"num_key_value_heads", 12},
                                                                          {"head_dim", 64}})
    document[key] = size;
  config = model_config_from_json(document);
  kernels::Random random(3);
  save_model(folder, config, random_weights(config, random), kernels::DataType::kBFloat16);
  support::write_text_examples(folder / "data.jsonl", 8);
}

void train_beside(const std::filesystem::path& base, const std::string& form) {
  TrainRequest request;
  request.base_folder = base;
  request.dataset = base / "data.jsonl";
  request.task = Task::kLanguageModel;
  request.config.base_dtype = form;
  request.config.r = 2;
  request.config.max_steps = 2;
  request.config.min_steps = 2;
  request.config.learning_rate = 1e-2;
  request.output_folder = base / form;
  request.threads = 1;
  TrainObserver observer;
  train_adapter(request, observer);
}

TEST(BaseMemory, ATrainingTakesLessTheFewerBitsTheBaseHas) {
  if (const char* argument = support::child_argument()) {
    const std::string_view words(argument);
    const auto space = words.find(' ');
    return train_beside(words.substr(space + 1), std::string(words.substr(0, space)));
  }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps what was freed for a while";
#endif
  const platform::TemporaryFolder folder;
  write_larger_base(folder.path() / "base");
  std::map<std::string, long> peak;
  for (const char* form : {"float32", "bfloat16", "float16", "int8", "nf4", "nf4_double"}) {
    peak[form] = support::peak_memory_of_child(std::string(form) + " " + (folder.path() / "base").string()) / 1024;
    ASSERT_GT(peak[form], 0);
    std::cout << form << ": " << peak[form] << " MiB at most\n";
  }
  // Beside the weights (170, 85, 43 and 24 MiB) come the program, one widened block, LoRA and activations.
  EXPECT_LT(peak["bfloat16"] + 60, peak["float32"]);
  EXPECT_LT(peak["float16"] + 60, peak["float32"]);
  EXPECT_LT(peak["int8"] + 25, peak["bfloat16"]);
  EXPECT_LT(peak["nf4"] + 8, peak["int8"]);
  EXPECT_LT(peak["nf4_double"], peak["nf4"] + 2);
}

}  // namespace
}  // namespace finetune
