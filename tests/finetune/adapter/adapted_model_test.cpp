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
  if (task == Task::kClassify) example.label = number % 3 == 0 ? "a" : number % 3 == 1 ? "b" : "c";
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

  explicit Setting(Task task, int count = 5) : base(make_base(folder.path())) {
    std::vector<platform::Example> raw;
    for (int i = 0; i < count; ++i) raw.push_back(example_of(task, i));
    std::vector<const platform::Example*> pointers;
    for (const auto& example : raw) pointers.push_back(&example);
    parts.task = task;
    if (task == Task::kClassify) parts.labels = {"a", "b", "c"};
    if (task == Task::kRegress) parts.target_deviation = 4.0;
    parts.schema = learn_sensor_schema(pointers, 4);
    LoraConfig lora;
    lora.r = 3;
    lora.lora_alpha = 6;
    lora.target_modules = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    parts.start(base, lora, 11);
    kernels::Random random(12);
    parts.lora.for_each([&](Weight& weight) {
      if (!weight.name.ends_with(".lora_B")) return;
      for (float& value : weight.value.values<float>()) value = static_cast<float>(random.normal()) * 0.3f;
    });
    parts.make_trainable();
    const EncodingRules rules{
        .tokenizer = &base.tokenizer, .schema = &parts.schema, .task = task, .labels = &parts.labels};
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
  loaded.schema = sensor_schema_from_json(to_json(setting.parts.schema));
  loaded.load(folder.path(), setting.base);
  AdaptedModel again(setting.base, loaded);
  EXPECT_EQ(again.outputs(setting.context, setting.batch()), before);
}

INSTANTIATE_TEST_SUITE_P(Tasks, AdaptedModelOfTask,
                         ::testing::Values(Task::kLanguageModel, Task::kClassify, Task::kRegress),
                         [](const auto& info) { return std::string(to_string(info.param)); });

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
