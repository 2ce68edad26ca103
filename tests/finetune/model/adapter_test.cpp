#include "finetune/model/adapter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finetune/formats/safetensors.h"
#include "finetune/model/singular_values.h"
#include "finetune/model/transformer.h"
#include "platform/base/file.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;

class AdapterOfATinyModel : public ::testing::Test {
 protected:
  AdapterOfATinyModel() {
    support::write_tiny_base(folder_.path());
    config_ = read_model_config(folder_.path());
    weights_ = load(WeightPrecision::kFloat32);
  }
  ModelWeights load(WeightPrecision precision) const { return load_weights(folder_.path(), config_, precision); }
  Adapter start(const PeftConfig& peft, bool moved = false) {
    kernels::Random random(9);
    Adapter adapter(config_, weights_, peft, random);
    if (!moved) return adapter;
    adapter.for_each([&](Weight& weight) {
      for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.05f;
    });
    return adapter;
  }
  Tensor logits(ModelWeights& weights, Adapter* adapter) {
    const std::vector<std::int32_t> ids{5, 9, 200, 17, 33, 8, 3, 4};
    const std::span<const std::int32_t> document(ids);
    Transformer transformer(config_, weights, adapter);
    const Tensor& hidden =
        transformer.forward(context_, pack_documents({&document, 1}), nullptr, ActivationMode::kNone);
    Tensor values({hidden.size(0), config_.vocab_size});
    transformer.logits(context_, hidden, values);
    return values;
  }
  static PeftConfig linears() {
    PeftConfig peft;
    peft.r = 4;
    peft.lora_alpha = 8;
    peft.target_pattern = "all-linear";
    return peft;
  }
  std::string refusal(const PeftConfig& peft) {
    try {
      start(peft);
    } catch (const platform::Error& error) {
      return error.what();
    }
    return "(accepted)";
  }

  platform::TemporaryFolder folder_;
  ModelConfig config_;
  ModelWeights weights_;
  kernels::Context context_ = kernels::Context::cpu(1);
};

const char* const kPissas[] = {"pissa", "pissa_niter_30"};

TEST_F(AdapterOfATinyModel, StartsAsTheBaseWhateverItsKind) {
  std::vector<PeftConfig> kinds(7, linears());
  kinds[1].init_lora_weights = "gaussian";
  kinds[2].init_lora_weights = "pissa";
  kinds[3].use_dora = true;
  kinds[4] = PeftConfig{.type = PeftType::kIa3};
  kinds[5] = PeftConfig{.type = PeftType::kBottleneck};
  kinds[6].target_pattern.clear();
  kinds[6].target_modules = {"embed_tokens", "lm_head", "q_proj"};
  PeftConfig whole = linears();
  whole.modules_to_save = {"norm", "lm_head"};
  kinds.push_back(whole);
  PeftConfig rows = linears();
  rows.trainable_token_indices = {9, 200};
  kinds.push_back(rows);
  const Tensor base = logits(weights_, nullptr);
  for (const PeftConfig& kind : kinds) {
    Adapter adapter = start(kind);
    const Tensor adapted = logits(weights_, &adapter);
    EXPECT_LE(relative_distance(adapted, base), 1e-5) << to_string(kind.type) << " " << kind.init_lora_weights;
  }
}

TEST_F(AdapterOfATinyModel, StartsGaussianWithADeviationOfOneOverTheRank) {
  PeftConfig peft = linears();
  peft.r = 16;
  peft.init_lora_weights = "gaussian";
  Adapter adapter = start(peft);
  double squares = 0;
  std::int64_t count = 0;
  adapter.for_each([&](Weight& weight) {
    for (const float value : weight.value.values<float>()) {
      if (weight.name.ends_with(".lora_B")) {
        ASSERT_EQ(value, 0.0f);
        continue;
      }
      squares += static_cast<double>(value) * static_cast<double>(value);
      ++count;
    }
  });
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(count)), 1.0 / 16, 0.003);
}

TEST_F(AdapterOfATinyModel, APissaStartHoldsTheLeadingDirectionsOfTheWeight) {
  for (const char* name : kPissas) {
    PeftConfig peft = linears();
    peft.init_lora_weights = name;
    Adapter adapter = start(peft);
    for (const LinearKind kind : kLinearKinds) {
      const LinearAdapter& pair = *adapter.linears()[1][index_of(kind)];
      const Matrix weight = Matrix::from(weights_.layers[1].linears[index_of(kind)].value);
      const std::vector<double> values = singular_values(weight).values;
      const Matrix held = product(Matrix::from(pair.b.value), Matrix::from(pair.a.value));
      Matrix rest = weight;
      for (std::size_t i = 0; i < rest.values.size(); ++i)
        rest.values[i] -= static_cast<double>(pair.scaling) * held.values[i];
      const std::vector<double> left = singular_values(rest).values;
      // What is left starts with the fifth direction.
      for (std::size_t k = 0; k + 4 < values.size(); ++k) EXPECT_NEAR(left[k], values[k + 4], 2e-4 * values[0]) << name;
    }
  }
}

TEST_F(AdapterOfATinyModel, RefusesNamesAndLayersThatNothingOfTheModelAnswersTo) {
  const auto said = [&](const auto& change) {
    PeftConfig peft = linears();
    change(peft);
    return refusal(peft);
  };
  const auto targets = [](PeftConfig& peft, std::vector<std::string> names) {
    peft.target_pattern.clear();
    peft.target_modules = std::move(names);
  };
  const std::pair<std::string, const char*> cases[] = {
      {said([](PeftConfig& peft) { peft.exclude_modules = {"down_prj"}; }), "exclude_modules has \"down_prj\""},
      {said([&](PeftConfig& peft) {
         targets(peft, {"q_proj", "v_prj"});
       }),
       "target_modules has \"v_prj\""},
      {said([](PeftConfig& peft) {
         peft.rank_pattern = {{"k_prj", 2}};
       }),
       "rank_pattern has \"k_prj\""},
      {said([&](PeftConfig& peft) {
         targets(peft, {"q_proj"});
         peft.alpha_pattern = {{"down_proj", 2}};
       }),
       "alpha_pattern has \"down_proj\", which names no layer that is adapted"},
      {said([&](PeftConfig& peft) {
         peft.type = PeftType::kIa3;
         targets(peft, {"q_proj"});
         peft.feedforward_modules = {"down_proj"};
       }),
       "feedforward_modules has \"down_proj\""},
      {said([](PeftConfig& peft) {
         peft.layers_to_transform = {0, 2};
       }),
       "has the layer 2, the model has the layers 0"}};
  for (const auto& [message, words] : cases) EXPECT_NE(message.find(words), std::string::npos) << message;
  EXPECT_EQ(said([](PeftConfig& peft) {
              peft.exclude_modules = {"lm_head", "layers.1.self_attn.q_proj"};
              peft.rank_pattern = {{"layers.0.*_proj", 2}};
            }),
            "(accepted)");
}

TEST_F(AdapterOfATinyModel, APissaAdapterIsStoredAsAPlainOneOfTwiceTheRankThatMeansTheSame) {
  for (const char* name : kPissas) {
    for (const bool rslora : {false, true}) {
      PeftConfig peft = linears();
      peft.init_lora_weights = name;
      peft.use_rslora = rslora;
      peft.rank_pattern = {{"layers.0.self_attn.k_proj", 2}};
      Adapter adapter = start(peft, true);
      const platform::TemporaryFolder stored;
      adapter.save(stored.path());
      Adapter again = Adapter::load(stored.path(), config_, weights_);
      EXPECT_EQ(again.config().r, 8);
      EXPECT_EQ(again.config().init_lora_weights, "true");
      EXPECT_EQ(again.linears()[0][index_of(LinearKind::kKey)]->a.value.size(0), 4);
      EXPECT_LE(relative_distance(logits(weights_, &again), logits(weights_, &adapter)), 1e-5);
      EXPECT_GT(relative_distance(logits(weights_, &again), logits(weights_, nullptr)), 1e-2);
    }
  }
}

TEST_F(AdapterOfATinyModel, MergedWeightsComputeTheSameAndUnmergedOnesAreTheBase) {
  std::vector<PeftConfig> kinds(5, linears());
  kinds[1].use_dora = true;
  kinds[2] = PeftConfig{.type = PeftType::kIa3};
  kinds[3].target_pattern.clear();
  kinds[3].target_modules = {"embed_tokens", "lm_head", "q_proj"};
  kinds[4].target_pattern.clear();
  kinds[4].target_modules = {"q_proj"};
  kinds[4].modules_to_save = {"norm", "embed_tokens", "up_proj"};
  PeftConfig rows = linears();
  rows.trainable_token_indices = {9, 200};
  kinds.push_back(rows);
  const Tensor base = logits(weights_, nullptr);
  int undone = 0;
  for (const PeftConfig& kind : kinds) {
    Adapter adapter = start(kind, true);
    const Tensor adapted = logits(weights_, &adapter);
    ModelWeights merged = load(WeightPrecision::kFloat32);
    const MergedWeights report = adapter.merge_into(context_, merged);
    EXPECT_EQ(report.largest_error, 0.0);
    EXPECT_EQ(report.untied, !kind.modules_to_save.empty() || kind.target_modules.size() == 3);
    EXPECT_LE(relative_distance(logits(merged, nullptr), adapted), 2e-5);
    EXPECT_GT(relative_distance(adapted, base), 1e-2);
    const bool replaced = kind.use_dora || !kind.modules_to_save.empty() || !kind.trainable_token_indices.empty();
    if (replaced) {
      EXPECT_THROW(adapter.unmerge_from(context_, merged), platform::Error);
      continue;
    }
    adapter.unmerge_from(context_, merged);
    EXPECT_LE(relative_distance(logits(merged, nullptr), base), 2e-5);
    ++undone;
  }
  EXPECT_EQ(undone, 3);
}

TEST_F(AdapterOfATinyModel, MergesIntoAQuantisedBaseWithinTheErrorThatItTells) {
  Adapter adapter = start(linears(), true);
  const std::pair<WeightPrecision, double> kinds[] = {
      {WeightPrecision::kInt8, 0.02}, {WeightPrecision::kNf4, 0.15}, {WeightPrecision::kNf4Nested, 0.15}};
  for (const auto& [precision, allowed] : kinds) {
    ModelWeights held = load(precision), merged = load(precision);
    const MergedWeights report = adapter.merge_into(context_, merged);
    EXPECT_TRUE(merged.quantised());
    EXPECT_GT(report.largest_error, 0.0);
    EXPECT_LT(report.largest_error, allowed);
    // Each layer: the restored sum beside the restored weight and the product, in double.
    double largest = 0;
    for (std::size_t layer = 0; layer < held.layers.size(); ++layer) {
      for (const LinearKind kind : kLinearKinds) {
        const LinearAdapter& pair = *adapter.linears()[layer][index_of(kind)];
        const Matrix product_of = product(Matrix::from(pair.b.value), Matrix::from(pair.a.value));
        const Matrix before = Matrix::from(held.layers[layer].linears[index_of(kind)].dense(context_));
        const Matrix after = Matrix::from(merged.layers[layer].linears[index_of(kind)].dense(context_));
        double difference = 0, size = 0;
        for (std::size_t i = 0; i < after.values.size(); ++i) {
          const double exact = before.values[i] + static_cast<double>(pair.scaling) * product_of.values[i];
          difference += (after.values[i] - exact) * (after.values[i] - exact);
          size += exact * exact;
        }
        largest = std::max(largest, std::sqrt(difference / size));
      }
    }
    EXPECT_NEAR(report.largest_error, largest, 1e-5);
  }
}

TEST_F(AdapterOfATinyModel, RefusesWhatHasNoMeaningAndNamesTheSetting) {
  const auto with = [](const std::function<void(PeftConfig&)>& change) {
    PeftConfig peft = linears();
    change(peft);
    return peft;
  };
  EXPECT_NE(refusal(with([](PeftConfig& c) { c.modules_to_save = {"score"}; })).find("\"score\""), std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) { c.modules_to_save = {"q_proj"}; })).find("both in target_modules"),
            std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) { c.trainable_token_indices = {300}; })).find("the model has 300"),
            std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) {
              c.trainable_token_indices = {3};
              c.modules_to_save = {"lm_head"};
            })).find("adapted or saved itself"),
            std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) {
              c.target_pattern = ".*";
              c.use_dora = true;
            })).find("leave embed_tokens out"),
            std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) {
              c.target_pattern.clear();
              c.target_modules = {"lm_head"};
              c.lora_dropout = 0.1;
            })).find("leave lm_head out"),
            std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) {
              c.r = 64;
              c.init_lora_weights = "pissa";
            })).find("at most the rank"),
            std::string::npos);
  EXPECT_NE(refusal(with([](PeftConfig& c) { c.init_lora_weights = "olora"; })).find("pissa_niter_K"),
            std::string::npos);
  Adapter bottleneck = start(PeftConfig{.type = PeftType::kBottleneck});
  EXPECT_THROW(bottleneck.merge_into(context_, weights_), platform::Error);
}

TEST_F(AdapterOfATinyModel, RefusesAnAdapterWhoseCopyOfTheEmbeddingIsAnother) {
  PeftConfig peft = linears();
  peft.target_pattern.clear();
  peft.target_modules = {"embed_tokens"};
  const platform::TemporaryFolder folder;
  start(peft, true).save(folder.path());
  const std::filesystem::path file = folder.path() / "adapter_model.safetensors";
  const std::string copy_name = "base_model.model.model.embed_tokens.base_layer.weight";
  const auto write_copy = [&](float change) {
    const SafetensorsFile stored(file);
    std::map<std::string, Tensor> tensors;
    for (const std::string& name : stored.names()) tensors[name] = stored.read(name);
    tensors[copy_name] = weights_.embedding.value.clone();
    tensors[copy_name].data<float>()[5] += change;
    std::map<std::string, const Tensor*> views;
    for (const auto& [name, tensor] : tensors) views[name] = &tensor;
    write_safetensors(file, views);
  };
  write_copy(0.0f);
  EXPECT_NO_THROW(Adapter::load(folder.path(), config_, weights_));
  write_copy(0.5f);
  EXPECT_THROW(Adapter::load(folder.path(), config_, weights_), platform::Error);
}

}  // namespace
}  // namespace finetune
