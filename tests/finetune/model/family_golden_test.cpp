// Every family against other engines: logits, hidden states, greedy tokens and gradients of tiny models.
#include "finetune/model/transformer.h"
#include "kernels/ops/matmul.h"
#include "tests/support/full_gradients.h"
#include "tests/support/golden_models.h"

namespace finetune {
namespace {

using kernels::Tensor;
using support::golden_models;
using support::GoldenModel;
using support::peer_error;
using support::relative_error;

PackedBatch packed(const std::vector<EncodedExample>& examples) {
  std::vector<std::span<const std::int32_t>> documents;
  for (const EncodedExample& example : examples) documents.emplace_back(example.ids);
  return pack_documents(documents);
}

Tensor targets_of(const std::vector<EncodedExample>& examples) {
  std::vector<std::int32_t> targets;
  for (const EncodedExample& example : examples)
    targets.insert(targets.end(), example.targets.begin(), example.targets.end());
  return Tensor::from(targets);
}

Tensor logits_of(GoldenModel& model, Transformer& transformer, const std::vector<EncodedExample>& examples) {
  kernels::Context context = kernels::Context::cpu(1);
  const Tensor& hidden = transformer.forward(context, packed(examples), nullptr, ActivationMode::kNone);
  Tensor logits({hidden.size(0), model.base.config.vocab_size});
  transformer.logits(context, hidden, logits);
  return logits;
}

// The largest error, packed or one by one.
double expect_logits(const std::filesystem::path& folder, WeightPrecision precision, std::string_view name) {
  GoldenModel model(folder, precision);
  Transformer transformer(model.base.config, model.base.weights, nullptr);
  const Tensor wanted = model.expected.read_as("logits", kernels::DataType::kFloat32);
  const double allowed = 2 * peer_error(model.about, name, "logits") + 1e-6;
  const auto documents = model.batch(0);
  double most = relative_error(logits_of(model, transformer, documents), wanted);
  EXPECT_LE(most, allowed) << folder << " packed, " << name;
  std::int64_t row = 0;
  for (const EncodedExample& document : documents) {
    std::vector<EncodedExample> alone{document};
    const auto count = static_cast<std::int64_t>(document.ids.size());
    const Tensor logits = logits_of(model, transformer, alone);
    double largest = 0, difference = 0;
    for (const float value : wanted.values<float>()) largest = std::max(largest, std::fabs(static_cast<double>(value)));
    const Tensor rows = wanted.slice_rows(row, row + count);
    for (std::int64_t i = 0; i < rows.count(); ++i)
      difference =
          std::max(difference, std::fabs(static_cast<double>(rows.data<float>()[i] - logits.data<float>()[i])));
    EXPECT_LE(difference / largest, allowed) << folder << " one by one, " << name;
    most = std::max(most, difference / largest);
    row += count;
  }
  return most;
}

void print_error(const std::filesystem::path& folder, const char* what, double error, double peers) {
  std::printf("%s: %s %.1e (%.1e)\n", folder.filename().c_str(), what, error, peers);
}

TEST(FamilyGolden, LogitsAreThoseOfTransformersPackedAndOneByOne) {
  SKIP_WITHOUT_GOLDEN("models");
  for (const auto& folder : golden_models()) {
    const double error = expect_logits(folder, WeightPrecision::kFloat32, "float32");
    print_error(folder, "logits", error,
                peer_error(platform::read_json_file(folder / "case.json"), "float32", "logits"));
    expect_logits(folder, WeightPrecision::kBFloat16, "bfloat16");
  }
  std::printf("cases checked: %zu\n", golden_models().size());
}

TEST(FamilyGolden, TheLossIsThatOfTransformers) {
  SKIP_WITHOUT_GOLDEN("models");
  for (const auto& folder : golden_models()) {
    GoldenModel model(folder);
    Transformer transformer(model.base.config, model.base.weights, nullptr);
    kernels::Context context = kernels::Context::cpu(1);
    const auto documents = model.batch(0);
    const Tensor& hidden = transformer.forward(context, packed(documents), nullptr, ActivationMode::kNone);
    const kernels::LossSum sum =
        kernels::linear_cross_entropy(context, hidden, model.base.weights.output_head().packed, targets_of(documents),
                                      nullptr, model.base.config.head_options(), nullptr, nullptr);
    const double wanted = model.about.at("loss").to_number<double>();
    EXPECT_NEAR(sum.loss / sum.weight, wanted, wanted * (2 * peer_error(model.about, "float32", "loss") + 1e-6))
        << folder;
  }
  std::printf("cases checked: %zu\n", golden_models().size());
}

TEST(FamilyGolden, HiddenStatesBeforeEachLayerAreThoseOfTransformers) {
  SKIP_WITHOUT_GOLDEN("models");
  for (const auto& folder : golden_models()) {
    GoldenModel model(folder);
    Transformer transformer(model.base.config, model.base.weights, nullptr);
    kernels::Context context = kernels::Context::cpu(1);
    const std::vector<EncodedExample> first{model.batch(0).front()};
    const Tensor& last = transformer.forward(context, packed(first), nullptr, ActivationMode::kKeep);
    const Tensor wanted = model.expected.read_as("hidden_states", kernels::DataType::kFloat32);
    const std::int64_t tokens = last.size(0), size = last.size(1);
    const Tensor states = wanted.view({wanted.size(0), tokens * size});
    const double allowed = 2 * peer_error(model.about, "float32", "logits") + 1e-6;
    for (std::int64_t layer = 0; layer < states.size(0); ++layer) {
      const bool end = layer + 1 == states.size(0);
      const Tensor& got = end ? last : transformer.layer_input(static_cast<std::size_t>(layer));
      EXPECT_LE(relative_error(got, states.slice_rows(layer, layer + 1)), allowed) << folder << " before " << layer;
    }
  }
  std::printf("cases checked: %zu\n", golden_models().size());
}

TEST(FamilyGolden, BothStylesOfConfigAreTheSameModel) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& folder : golden_models()) {
    if (!std::filesystem::exists(folder / "config.v4.json")) continue;
    GoldenModel model(folder);
    Transformer newer(model.base.config, model.base.weights, nullptr);
    const ModelConfig old = model_config_from_json(platform::read_json_file(folder / "config.v4.json"));
    Transformer older(old, model.base.weights, nullptr);
    const auto documents = model.batch(0);
    EXPECT_EQ(relative_error(logits_of(model, older, documents), logits_of(model, newer, documents)), 0.0) << folder;
    ++checked;
  }
  std::printf("cases checked: %d\n", checked);
  EXPECT_GT(checked, 0);
}

TEST(FamilyGolden, GreedyTokensAreThoseOfTransformers) {
  SKIP_WITHOUT_GOLDEN("models");
  for (const auto& folder : golden_models()) {
    GoldenModel model(folder);
    Transformer transformer(model.base.config, model.base.weights, nullptr);
    kernels::Context context = kernels::Context::cpu(1);
    std::vector<std::int32_t> ids = model.whole("greedy.prompt");
    const std::vector<std::int32_t> wanted = model.whole("greedy.tokens");
    KeyValueCache cache(model.base.config, static_cast<std::int64_t>(ids.size() + wanted.size()));
    std::vector<std::int32_t> got;
    while (got.size() < wanted.size()) {
      const std::span<const std::int32_t> document(ids);
      const Tensor& hidden = transformer.forward_cached(context, pack_documents({&document, 1}), nullptr, cache);
      Tensor logits({1, model.base.config.vocab_size});
      transformer.logits(context, hidden.slice_rows(hidden.size(0) - 1, hidden.size(0)), logits);
      const auto values = logits.values<float>();
      got.push_back(static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin()));
      ids = {got.back()};
    }
    EXPECT_EQ(got, wanted) << folder;
    std::printf("%s: %zu greedy tokens %s\n", folder.filename().c_str(), got.size(),
                got == wanted ? "equal" : "differ");
  }
  std::printf("cases checked: %zu\n", golden_models().size());
}

TEST(FamilyGolden, GradientsOfEveryWeightAreThoseOfTransformers) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& folder : golden_models()) {
    if (!std::filesystem::exists(folder / "gradients.safetensors")) continue;
    for (const ActivationMode mode : {ActivationMode::kKeep, ActivationMode::kRecompute}) {
      GoldenModel model(folder);
      support::compute_full_gradients(model.base, model.batch(0), mode);
      const SafetensorsFile wanted(folder / "gradients.safetensors");
      std::size_t compared = 0;
      double most = 0, whole = 0;
      for (const std::string& name : wanted.names())
        whole = std::max(whole, support::largest(wanted.read_as(name, kernels::DataType::kFloat32)));
      model.base.weights.for_each([&](Weight& weight) {
        ++compared;
        const double error =
            support::gradient_error(weight.gradient, wanted.read_as(weight.name, kernels::DataType::kFloat32), whole);
        EXPECT_LE(error, 2e-5) << folder << " " << weight.name;
        most = std::max(most, error);
      });
      EXPECT_EQ(compared, wanted.names().size()) << folder;
      std::printf("%s: gradients of all weights %.1e\n", folder.filename().c_str(), most);
    }
    ++checked;
  }
  std::printf("cases checked: %d\n", checked);
  EXPECT_GT(checked, 0);
}

TEST(FamilyGolden, FamiliesThatComeLaterAreRefusedByName) {
  if (golden_models(true).empty()) GTEST_SKIP() << "no golden outputs of such families";
  for (const auto& folder : golden_models(true)) {
    try {
      read_model_config(folder);
      ADD_FAILURE() << folder << " was accepted";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
      EXPECT_NE(std::string(error.what()).find("model_type is not supported"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("exaone4"), std::string::npos) << "the supported ones are listed";
    }
  }
  std::printf("cases checked: %zu\n", golden_models(true).size());
}

}  // namespace
}  // namespace finetune
