#include "finetune/adapter/adapted_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;

platform::Example example_of(Task task, int number) {
  platform::Example example;
  example.id = "e" + std::to_string(number);
  example.prompt = "torque {{ number:torque }} grade {{ category:grade }} {{ signal:vibration }} load";
  example.numbers["torque"] = number % 4 == 3 ? std::optional<double>() : 0.5 * number;
  example.categories["grade"] = number % 2 == 0 ? "H" : "L";
  example.signals["vibration"] = {100, "g", {0.1f * static_cast<float>(number), 0.2f, -0.3f, 0.7f, 1.0f}};
  if (has_one_label(task)) example.label = number % 3 == 0 ? "a" : number % 3 == 1 ? "b" : "c";
  if (task == Task::kMultilabel)
    example.labels = number % 2 == 0 ? std::vector<std::string>{"a", "c"} : std::vector<std::string>{};
  if (task == Task::kForecast) example.values = {0.3 * number, number == 2 ? std::optional<double>() : 0.1 * number};
  if (task == Task::kRegress) example.value = 3.0 * number;
  if (task == Task::kLanguageModel) example.completion = number % 2 == 0 ? " high" : " low";
  return example;
}

struct Setting {
  platform::TemporaryFolder folder;
  Base base;
  AdapterParts parts;
  kernels::Context context = kernels::Context::cpu(1);
  std::vector<EncodedExample> examples;

  static Base make_base(const std::filesystem::path& folder) {
    support::write_tiny_base(folder);
    return Base::load(folder);
  }

  static PeftConfig every_linear() {
    PeftConfig lora;
    lora.r = 3;
    lora.lora_alpha = 6;
    lora.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    return lora;
  }

  explicit Setting(Task task, int count = 5, const PeftConfig& config = every_linear(), std::int64_t side_members = 0)
      : base(make_base(folder.path())) {
    std::vector<platform::Example> raw;
    for (int i = 0; i < count; ++i) raw.push_back(example_of(task, i));
    std::vector<const platform::Example*> pointers;
    for (const auto& example : raw) pointers.push_back(&example);
    parts.task = task;
    if (has_labels(task)) parts.labels = {"a", "b", "c"};
    if (task == Task::kRegress) parts.target_deviation = 4.0;
    if (task == Task::kForecast) parts.form = {.continues = "vibration", .horizon = 2};
    parts.schema = learn_sensor_schema(pointers, 4);
    parts.side_size.members = side_members;
    parts.start(base, config, 11);
    // What starts at zero, or as the identity, moves away from it, so that every gradient is alive.
    kernels::Random random(12);
    parts.adapter.for_each([&](Weight& weight) {
      if (parts.adapter.saved().find(weight.name) != nullptr) return;
      for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.2f;
    });
    parts.make_trainable();
    const EncodingRules rules{.tokenizer = &base.tokenizer,
                              .schema = &parts.schema,
                              .task = task,
                              .labels = &parts.labels,
                              .form = &parts.form,
                              .side = side_members > 0};
    for (const auto& example : raw) examples.push_back(encode_example(rules, example, true));
  }

  std::vector<const EncodedExample*> batch() const {
    std::vector<const EncodedExample*> all;
    for (const auto& example : examples) all.push_back(&example);
    return all;
  }
};

class AdaptedModelOfTask : public ::testing::TestWithParam<Task> {};

TEST_P(AdaptedModelOfTask, GradientOfEveryTrainedWeightIsTheSlopeOfTheLoss) {
  Setting setting(GetParam());
  AdaptedModel model(setting.base, setting.parts);
  model.train(setting.context, setting.batch(), 1.0f, nullptr, ActivationMode::kKeep, 0);
  for (Weight* weight : setting.parts.weights()) {
    std::vector<float> along(weight->gradient.values<float>().begin(), weight->gradient.values<float>().end());
    double norm = 0;
    for (const float value : along) norm += static_cast<double>(value) * static_cast<double>(value);
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1e-6) << weight->name << " is not trained by this batch";
    const auto moved = [&](double by) {
      const Tensor before = weight->value.clone();
      std::span<float> values = weight->value.values<float>();
      for (std::size_t i = 0; i < along.size(); ++i)
        values[i] += static_cast<float>(by * static_cast<double>(along[i]) / norm);
      const double loss = model.loss(setting.context, setting.batch(), nullptr).loss;
      weight->value.copy_from(before);
      return loss;
    };
    const double step = 4e-3;
    EXPECT_NEAR((moved(step) - moved(-step)) / (2 * step), norm, 0.03 * norm + 0.01) << weight->name;
  }
}

TEST_P(AdaptedModelOfTask, SmallBatchesTogetherGiveTheGradientOfOneLarge) {
  Setting whole(GetParam(), 4), parts(GetParam(), 4);
  AdaptedModel one(whole.base, whole.parts), four(parts.base, parts.parts);
  one.train(whole.context, whole.batch(), 0.25f, nullptr, ActivationMode::kKeep, 0);
  for (const EncodedExample* example : parts.batch()) {
    four.train(parts.context, std::span<const EncodedExample* const>(&example, 1), 0.25f, nullptr,
               ActivationMode::kKeep, 0);
  }
  const auto a = whole.parts.weights(), b = parts.parts.weights();
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t k = 0; k < a[i]->gradient.count(); ++k) {
      ASSERT_NEAR(a[i]->gradient.data<float>()[k], b[i]->gradient.data<float>()[k], 2e-4f) << a[i]->name;
    }
  }
}

TEST_P(AdaptedModelOfTask, SavedPartsAnswerAsBefore) {
  Setting setting(GetParam());
  AdaptedModel model(setting.base, setting.parts);
  const auto before = model.outputs(setting.context, setting.batch());
  const platform::TemporaryFolder folder;
  setting.parts.save(folder.path());
  AdapterParts loaded;
  loaded.task = setting.parts.task;
  loaded.labels = setting.parts.labels;
  loaded.target_mean = setting.parts.target_mean;
  loaded.target_deviation = setting.parts.target_deviation;
  loaded.form = setting.parts.form;
  loaded.side_size = setting.parts.side_size;
  loaded.schema = sensor_schema_from_json(to_json(setting.parts.schema));
  loaded.load(folder.path(), setting.base);
  AdaptedModel again(setting.base, loaded);
  EXPECT_EQ(again.outputs(setting.context, setting.batch()), before);
}

INSTANTIATE_TEST_SUITE_P(Tasks, AdaptedModelOfTask,
                         ::testing::Values(Task::kLanguageModel, Task::kClassify, Task::kOrdinal, Task::kMultilabel,
                                           Task::kRegress, Task::kForecast),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(AdaptedModel, StartsFromTheAnswersOfTheSideNetworkAndDropsThemWithTheAdapter) {
  Setting setting(Task::kClassify, 5, Setting::every_linear(), 2);
  AdaptedModel model(setting.base, setting.parts);
  std::vector<const SideInput*> inputs;
  for (const EncodedExample* example : setting.batch()) inputs.push_back(&example->side);
  const Tensor& side = setting.parts.side->forward(setting.context, inputs);
  const auto rows = model.outputs(setting.context, setting.batch());
  double largest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(rows[i][k], side.values<float>()[i * 3 + k]);
      largest = std::max(largest, static_cast<double>(std::fabs(rows[i][k])));
    }
  }
  EXPECT_GT(largest, 1e-3);
  model.set_adapter_active(false);
  EXPECT_EQ(model.outputs(setting.context, setting.batch())[0], (std::vector<float>{0, 0, 0}));
}

TEST(AdaptedModel, AddsWhatTheTreesSayAndDropsThemWithTheAdapter) {
  Setting setting(Task::kClassify, 5, Setting::every_linear(), 2);
  AdaptedModel model(setting.base, setting.parts);
  const auto before = model.outputs(setting.context, setting.batch());
  setting.parts.side_trees.start = {0.5f, 0, -0.5f};
  const auto after = model.outputs(setting.context, setting.batch());
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(after[0][k], before[0][k] + setting.parts.side_trees.start[k], 1e-6);
  model.set_adapter_active(false);
  EXPECT_EQ(model.outputs(setting.context, setting.batch())[0], (std::vector<float>{0, 0, 0}));
}

TEST(AdaptedModel, SavesWhatStandsBesideTheBase) {
  Setting setting(Task::kForecast, 5, Setting::every_linear(), 2);
  setting.parts.side_trees.start.assign(static_cast<std::size_t>(setting.parts.side->shape().outputs), 0.25f);
  setting.parts.side_trees.trees.push_back({.output = 1, .nodes = {{0, 0.1f, 1, 2, 0}, {.value = 3}, {.value = -3}}});
  AdaptedModel model(setting.base, setting.parts);
  const auto before = model.outputs(setting.context, setting.batch());
  const platform::TemporaryFolder folder;
  setting.parts.save(folder.path());
  setting.parts.side->scale_outputs(setting.context, 3.0f);
  setting.parts.side_trees = {};
  EXPECT_NE(model.outputs(setting.context, setting.batch()), before);
  setting.parts.load(folder.path(), setting.base);
  AdaptedModel again(setting.base, setting.parts);
  EXPECT_EQ(again.outputs(setting.context, setting.batch()), before);
}

// Each kind of adapter on a language model's loss, with its dropout acting, since that is the code of training.
struct Kind {
  const char* name;
  void (*settle)(PeftConfig&);
};
const Kind kKinds[] = {{"Dora", [](PeftConfig& c) { c.use_dora = true; }},
                       {"DoraWithDropout",
                        [](PeftConfig& c) {
                          c.use_dora = true;
                          c.lora_dropout = 0.3;
                        }},
                       {"LoraBiasWithDropout",
                        [](PeftConfig& c) {
                          c.lora_bias = true;
                          c.lora_dropout = 0.3;
                        }},
                       {"Pissa", [](PeftConfig& c) { c.init_lora_weights = "pissa"; }},
                       {"EmbeddingAndHead",
                        [](PeftConfig& c) {
                          c.target_modules = {"embed_tokens", "lm_head", "q_proj"};
                        }},
                       {"SavedModules",
                        [](PeftConfig& c) {
                          c.target_modules = {"q_proj"};
                          c.modules_to_save = {"embed_tokens", "lm_head", "norm", "up_proj"};
                        }},
                       {"TokenRowsOfATiedHead",
                        [](PeftConfig& c) {
                          for (int token = 3; token < 290; ++token) c.trainable_token_indices.push_back(token);
                        }},
                       {"Ia3",
                        [](PeftConfig& c) {
                          c.type = PeftType::kIa3;
                          c.target_modules = {"k_proj", "v_proj", "o_proj", "up_proj", "down_proj"};
                          c.feedforward_modules = {"down_proj", "o_proj"};
                        }},
                       {"Bottleneck", [](PeftConfig& c) {
                          c.type = PeftType::kBottleneck;
                          c.target_modules = {"o_proj", "down_proj"};
                          c.bottleneck_size = 5;
                          c.non_linearity = "gelu_new";
                        }}};

class AdaptedModelOfKind : public ::testing::TestWithParam<Kind> {
 protected:
  static PeftConfig config() {
    PeftConfig config = Setting::every_linear();
    GetParam().settle(config);
    return config;
  }
};

TEST_P(AdaptedModelOfKind, GradientOfEveryTrainedWeightIsTheSlopeOfTheLoss) {
  Setting setting(Task::kLanguageModel, 5, config());
  AdaptedModel model(setting.base, setting.parts);
  const auto loss_and_gradients = [&](float scale) {
    return model.train(setting.context, setting.batch(), scale, nullptr, ActivationMode::kKeep, 77).loss;
  };
  loss_and_gradients(1.0f);
  for (Weight* weight : setting.parts.weights()) {
    std::vector<float> along(weight->gradient.values<float>().begin(), weight->gradient.values<float>().end());
    double norm = 0;
    for (const float value : along) norm += static_cast<double>(value) * static_cast<double>(value);
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1e-6) << weight->name << " is not trained by this batch";
    const auto moved = [&](double by) {
      const Tensor before = weight->value.clone();
      std::span<float> values = weight->value.values<float>();
      for (std::size_t i = 0; i < along.size(); ++i)
        values[i] += static_cast<float>(by * static_cast<double>(along[i]) / norm);
      const double loss = loss_and_gradients(0.0f);
      weight->value.copy_from(before);
      return loss;
    };
    // The norm of DoRA's rows has no gradient by definition, so that the slope along A and B is not theirs.
    const bool in_norm =
        setting.parts.adapter.config().use_dora && weight->name.find("lora_magnitude") == std::string::npos;
    if (in_norm && !weight->name.starts_with("sensor.")) continue;
    const double step = 4e-3;
    EXPECT_NEAR((moved(step) - moved(-step)) / (2 * step), norm, 0.03 * norm + 0.01) << weight->name;
  }
}

TEST_P(AdaptedModelOfKind, RecomputedActivationsGiveTheSameGradients) {
  Setting kept(Task::kLanguageModel, 3, config()), again(Task::kLanguageModel, 3, config());
  AdaptedModel first(kept.base, kept.parts), second(again.base, again.parts);
  first.train(kept.context, kept.batch(), 1.0f, nullptr, ActivationMode::kKeep, 5);
  second.train(again.context, again.batch(), 1.0f, nullptr, ActivationMode::kRecompute, 5);
  const auto a = kept.parts.weights(), b = again.parts.weights();
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t k = 0; k < a[i]->gradient.count(); ++k)
      ASSERT_EQ(a[i]->gradient.data<float>()[k], b[i]->gradient.data<float>()[k]) << a[i]->name;
  }
}

TEST_P(AdaptedModelOfKind, SavedPartsAnswerAsBeforeAndWithoutThemTheBaseAnswers) {
  Setting setting(Task::kLanguageModel, 5, config());
  AdaptedModel model(setting.base, setting.parts);
  const auto before = model.outputs(setting.context, setting.batch());
  const platform::TemporaryFolder folder;
  setting.parts.save(folder.path());
  AdapterParts loaded;
  loaded.schema = sensor_schema_from_json(to_json(setting.parts.schema));
  loaded.load(folder.path(), setting.base);
  AdaptedModel again(setting.base, loaded);
  const auto after = again.outputs(setting.context, setting.batch());
  // A pissa start is stored as a product of twice the rank, summed in another order.
  const float allowed = setting.parts.adapter.config().pissa_iterations() >= 0 ? 2e-3f : 0.0f;
  for (std::size_t i = 0; i < before.size(); ++i) {
    for (std::size_t k = 0; k < before[i].size(); ++k) EXPECT_NEAR(after[i][k], before[i][k], allowed);
  }
  AdapterParts bare;
  bare.schema = sensor_schema_from_json(to_json(setting.parts.schema));
  std::swap(bare.encoder, loaded.encoder);
  AdaptedModel plain(setting.base, bare);
  const auto base = plain.outputs(setting.context, setting.batch());
  std::swap(bare.encoder, loaded.encoder);
  again.transformer().set_adapter_active(false);
  EXPECT_EQ(again.outputs(setting.context, setting.batch()), base);
  EXPECT_NE(base, before);
}

TEST_P(AdaptedModelOfKind, TokenByTokenGivesTheLogitsOfTheWholeText) {
  Setting setting(Task::kLanguageModel, 1, config());
  Transformer transformer(setting.base.config, setting.base.weights, &setting.parts.adapter);
  const std::vector<std::int32_t> ids{5, 9, 200, 17, 33, 8, 3, 250};
  const std::span<const std::int32_t> document(ids);
  const auto logits_of = [&](const Tensor& hidden) {
    Tensor logits({hidden.size(0), setting.base.config.vocab_size});
    transformer.logits(setting.context, hidden, logits);
    return logits;
  };
  const Tensor whole =
      logits_of(transformer.forward(setting.context, pack_documents({&document, 1}), nullptr, ActivationMode::kNone));
  KeyValueCache cache(setting.base.config, 16);
  float largest = 0;
  for (const float value : whole.values<float>()) largest = std::max(largest, std::fabs(value));
  for (std::size_t n = 0; n < ids.size(); ++n) {
    const std::span<const std::int32_t> one = document.subspan(n, 1);
    const Tensor next =
        logits_of(transformer.forward_cached(setting.context, pack_documents({&one, 1}), nullptr, cache));
    const std::int64_t width = next.size(1);
    for (std::int64_t v = 0; v < width; ++v)
      ASSERT_NEAR(next.data<float>()[v], whole.data<float>()[static_cast<std::int64_t>(n) * width + v],
                  2e-5f * largest);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, AdaptedModelOfKind, ::testing::ValuesIn(kKinds),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(AdaptedModel, ABatchWithoutLabelsContributesNothing) {
  Setting setting(Task::kLanguageModel, 2);
  for (EncodedExample& example : setting.examples)
    example.targets.assign(example.targets.size(), kernels::kIgnoredTarget);
  AdaptedModel model(setting.base, setting.parts);
  EXPECT_EQ(model.train(setting.context, setting.batch(), 1.0f, nullptr, ActivationMode::kKeep, 0).loss, 0.0);
  for (Weight* weight : setting.parts.weights()) {
    for (const float value : weight->gradient.values<float>()) ASSERT_EQ(value, 0.0f) << weight->name;
  }
}

}  // namespace
}  // namespace finetune
