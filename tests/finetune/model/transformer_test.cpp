#include "finetune/model/transformer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finetune/formats/safetensors.h"
#include "finetune/model/base_digest.h"
#include "kernels/ops/cross_entropy.h"
#include "tests/support/tiny_base.h"
#include "tests/support/tiny_families.h"

namespace finetune {
namespace {

using kernels::Context;
using kernels::Tensor;

using Documents = std::vector<std::vector<std::int32_t>>;

PackedBatch packed(const Documents& documents) {
  std::vector<std::span<const std::int32_t>> spans(documents.begin(), documents.end());
  return pack_documents(spans);
}

Tensor next_tokens(const Documents& documents) {
  std::vector<std::int32_t> targets;
  for (const auto& document : documents) {
    targets.insert(targets.end(), document.begin() + 1, document.end());
    targets.push_back(kernels::kIgnoredTarget);
  }
  return Tensor::from(targets);
}

void expect_refused_config(const std::string& changes, const std::string& path) {
  platform::json::value config = to_json(support::tiny_config());
  const platform::json::value changed = platform::parse_json(changes, "changes");
  for (const auto& pair : changed.as_object()) config.as_object()[pair.key()] = pair.value();
  try {
    model_config_from_json(config);
    FAIL() << "accepted: " << changes;
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << error.what();
    EXPECT_EQ(error.path(), path) << error.what();
  }
}

ModelConfig with_tied_head(bool tied) {
  ModelConfig config = support::tiny_config(40);
  config.tie_word_embeddings = tied;
  return config;
}

struct TinyModel {
  ModelConfig config;
  ModelWeights weights;
  Context context = Context::cpu(1);

  explicit TinyModel(bool tied = true) : TinyModel(with_tied_head(tied)) {}
  explicit TinyModel(ModelConfig family) : config(std::move(family)), weights(support::lively_weights(config)) {}

  double loss(Transformer& transformer, const Documents& documents, ActivationMode mode, bool backward) {
    const PackedBatch batch = packed(documents);
    const Tensor& hidden = transformer.forward(context, batch, nullptr, mode);
    Tensor dhidden(hidden.shape());
    LinearWeight& head = weights.output_head();
    const kernels::LossSum sum = kernels::linear_cross_entropy(context, hidden, head.packed, next_tokens(documents),
                                                               nullptr, {}, backward ? &dhidden : nullptr,
                                                               backward && head.trained() ? &head.gradient : nullptr);
    if (backward) transformer.backward(context, batch, dhidden, nullptr);
    return sum.loss;
  }
};

const Documents kDocuments = {{1, 5, 9, 33, 2, 7}, {4, 4, 8}, {11, 12, 13, 14, 15, 16, 17, 18, 39}};

// Along a direction d, the loss must rise by g . d.
void check_direction(TinyModel& model, Transformer& transformer, Weight& weight, const std::vector<float>& direction,
                     const char* what) {
  double expected = 0;
  std::span<const float> gradient = weight.gradient.values<float>();
  for (std::size_t i = 0; i < direction.size(); ++i)
    expected += static_cast<double>(gradient[i]) * static_cast<double>(direction[i]);
  const auto moved = [&](float by) {
    Tensor before = weight.value.clone();
    std::span<float> values = weight.value.values<float>();
    for (std::size_t i = 0; i < direction.size(); ++i) values[i] += by * direction[i];
    model.weights.refresh();
    const double loss = model.loss(transformer, kDocuments, ActivationMode::kNone, false);
    weight.value.copy_from(before);
    model.weights.refresh();
    return loss;
  };
  const float step = 4e-3f;
  const double measured = (moved(step) - moved(-step)) / (2.0 * static_cast<double>(step));
  EXPECT_NEAR(measured, expected, 0.02 * std::fabs(expected) + 0.02) << weight.name << " " << what;
}

void check_gradients(TinyModel& model) {
  model.weights.make_trainable();
  Transformer transformer(model.config, model.weights, nullptr);
  model.loss(transformer, kDocuments, ActivationMode::kKeep, true);
  kernels::Random random(5);
  model.weights.for_each([&](Weight& weight) {
    std::vector<float> along(weight.gradient.values<float>().begin(), weight.gradient.values<float>().end());
    double norm = 0;
    for (const float value : along) norm += static_cast<double>(value) * static_cast<double>(value);
    for (float& value : along) value /= static_cast<float>(std::sqrt(norm) + 1e-12);
    check_direction(model, transformer, weight, along, "along the gradient");
    std::vector<float> anywhere(along.size());
    for (float& value : anywhere)
      value = static_cast<float>(random.normal() / std::sqrt(static_cast<double>(along.size())));
    check_direction(model, transformer, weight, anywhere, "anywhere");
  });
}

TEST(Transformer, GradientOfEveryWeightIsTheSlopeOfTheLoss) {
  for (const bool tied : {true, false}) {
    TinyModel model(tied);
    check_gradients(model);
  }
}

class TransformerOfFamily : public ::testing::TestWithParam<support::TinyFamily> {};
INSTANTIATE_TEST_SUITE_P(All, TransformerOfFamily, ::testing::ValuesIn(support::kTinyFamilies),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(TransformerOfFamily, GradientOfEveryWeightIsTheSlopeOfTheLoss) {
  TinyModel model(support::family_config(GetParam()));
  check_gradients(model);
}

TEST_P(TransformerOfFamily, PackedDocumentsDoNotSeeEachOther) {
  TinyModel model(support::family_config(GetParam()));
  Transformer transformer(model.config, model.weights, nullptr);
  double apart = 0;
  for (const auto& document : kDocuments) apart += model.loss(transformer, {document}, ActivationMode::kNone, false);
  EXPECT_NEAR(model.loss(transformer, kDocuments, ActivationMode::kNone, false), apart, 1e-4);
}

TEST_P(TransformerOfFamily, ContinuingTokenByTokenEqualsTheWholeSequence) {
  TinyModel model(support::family_config(GetParam()));
  Transformer whole(model.config, model.weights, nullptr), continued(model.config, model.weights, nullptr);
  const std::vector<std::int32_t>& document = kDocuments.back();
  KeyValueCache cache(model.config, static_cast<std::int64_t>(document.size()));
  for (std::size_t i = 0; i < document.size(); ++i) {
    const std::span<const std::int32_t> next(document.data() + i, 1), all(document.data(), i + 1);
    const Tensor& step = continued.forward_cached(model.context, pack_documents({&next, 1}), nullptr, cache);
    const Tensor& from_scratch =
        whole.forward(model.context, pack_documents({&all, 1}), nullptr, ActivationMode::kNone);
    const Tensor got = step.slice_rows(step.size(0) - 1, step.size(0)).clone();
    const auto row = static_cast<std::int64_t>(i);
    const Tensor wanted = from_scratch.slice_rows(row, row + 1).clone();
    for (std::int64_t c = 0; c < model.config.hidden_size; ++c)
      EXPECT_NEAR(got.data<float>()[c], wanted.data<float>()[c], 2e-4) << "token " << i;
  }
}

TEST(ModelConfig, RefusesASwitchThatTheFamilyDoesNotHave) {
  expect_refused_config(R"({"sliding_window": 64})", "sliding_window");
  expect_refused_config(R"({"num_local_experts": 8})", "num_local_experts");
  expect_refused_config(R"({"quantization_config": {"quant_method": "gptq"}})", "quantization_config");
  expect_refused_config(R"({"hidden_act": "gelu"})", "hidden_act");
  expect_refused_config(R"({"layer_types": ["full_attention", "linear_attention"]})", "layer_types");
  // Off is off, whatever the key.
  platform::json::value document = to_json(support::tiny_config());
  document.as_object()["num_local_experts"] = 0;
  document.as_object()["sliding_window"] = nullptr;
  model_config_from_json(document);
}

TEST(Transformer, PackedDocumentsDoNotSeeEachOther) {
  TinyModel model;
  Transformer transformer(model.config, model.weights, nullptr);
  double apart = 0;
  for (const auto& document : kDocuments) apart += model.loss(transformer, {document}, ActivationMode::kNone, false);
  EXPECT_NEAR(model.loss(transformer, kDocuments, ActivationMode::kNone, false), apart, 1e-4);
}

TEST(Transformer, RecomputedActivationsGiveTheSameGradients) {
  TinyModel kept, recomputed;
  for (TinyModel* model : {&kept, &recomputed}) {
    model->weights.make_trainable();
    Transformer transformer(model->config, model->weights, nullptr);
    model->loss(transformer, kDocuments, model == &kept ? ActivationMode::kKeep : ActivationMode::kRecompute, true);
  }
  std::vector<const Tensor*> gradients;
  kept.weights.for_each([&](Weight& weight) { gradients.push_back(&weight.gradient); });
  std::size_t at = 0;
  recomputed.weights.for_each([&](Weight& weight) {
    const std::span<const float> a = gradients[at++]->values<float>();
    const std::span<const float> b = static_cast<const Tensor&>(weight.gradient).values<float>();
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin())) << weight.name;
  });
}

TEST(Transformer, CachedTokensGiveTheSameHiddenStates) {
  TinyModel model;
  Transformer transformer(model.config, model.weights, nullptr);
  const std::vector<std::int32_t>& document = kDocuments[2];
  const Tensor whole = transformer.forward(model.context, packed({document}), nullptr, ActivationMode::kNone).clone();
  KeyValueCache cache(model.config, 16);
  std::vector<float> rows;
  for (const std::vector<std::int32_t>& piece :
       {std::vector<std::int32_t>(document.begin(), document.begin() + 4), std::vector<std::int32_t>{document[4]},
        std::vector<std::int32_t>(document.begin() + 5, document.end())}) {
    const Tensor& hidden = transformer.forward_cached(model.context, packed({piece}), nullptr, cache);
    rows.insert(rows.end(), hidden.values<float>().begin(), hidden.values<float>().end());
  }
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(rows[i], whole.values<float>()[i], 1e-4f) << i;
}

TEST(ModelConfig, RefusesAnUnknownFamilyAndListsTheKnown) {
  platform::json::value config = to_json(support::tiny_config());
  config.as_object()["model_type"] = "mamba";
  try {
    model_config_from_json(config);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
    EXPECT_NE(
        std::string(error.what())
            .find(
                "supported: exaone, exaone4, gemma2, gemma3_text, hyperclovax, llama, mistral, qwen2, qwen3, smollm3"),
        std::string::npos);
  }
}

TEST(ModelConfig, RefusesWhatItWouldOtherwiseComputeApproximately) {
  expect_refused_config(R"({"partial_rotary_factor": 0.5})", "partial_rotary_factor");
  expect_refused_config(R"({"rope_theta": 0})", "rope_theta");
  expect_refused_config(R"({"rms_norm_eps": -1e-6})", "rms_norm_eps");
  expect_refused_config(R"({"rope_scaling": {"rope_type": "linear"}})", "rope_scaling.factor");
  expect_refused_config(R"({"rope_scaling": {"rope_type": "linear", "factor": 0}})", "rope_scaling.factor");
  expect_refused_config(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
      "high_freq_factor": 4, "original_max_position_embeddings": 64}})",
                        "rope_scaling.low_freq_factor");
  expect_refused_config(R"({"eos_token_id": "</s>"})", "eos_token_id");
  expect_refused_config(R"({"eos_token_id": [2, -1]})", "eos_token_id");
}

TEST(BaseDigest, CoversTheFilesThatAreReadAndNoOther) {
  const platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path());
  const std::string digest = base_folder_digest(folder.path());
  platform::write_file_atomically(folder.path() / "another.safetensors", "not read");
  EXPECT_EQ(base_folder_digest(folder.path()), digest);
  std::filesystem::rename(folder.path() / "model.safetensors", folder.path() / "model-1.safetensors");
  platform::json::object map;
  for (const std::string& name : SafetensorsFile(folder.path() / "model-1.safetensors").names())
    map[name] = "model-1.safetensors";
  platform::write_json_file(folder.path() / "model.safetensors.index.json",
                            platform::json::object{{"weight_map", map}});
  const std::string sharded = base_folder_digest(folder.path());
  std::filesystem::remove(folder.path() / "another.safetensors");
  EXPECT_EQ(base_folder_digest(folder.path()), sharded);
  EXPECT_NE(sharded, digest);
}

TEST(ModelConfig, SurvivesItsOwnConfigJson) {
  const ModelConfig config = support::tiny_config();
  EXPECT_EQ(platform::canonical_json(to_json(model_config_from_json(to_json(config)))),
            platform::canonical_json(to_json(config)));
}

}  // namespace
}  // namespace finetune
