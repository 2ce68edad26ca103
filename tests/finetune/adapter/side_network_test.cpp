#include "finetune/adapter/side_network.h"

#include <gtest/gtest.h>

#include <cmath>

namespace finetune {
namespace {

using kernels::Tensor;

SideInput input_of(int number) {
  SideInput input;
  for (int i = 0; i < 4; ++i) input.dense.push_back(std::sin(static_cast<float>(number * 5 + i)));
  input.text = {{number % 3, 3 + number % 2}, {0.8f, 0.6f}};
  return input;
}

struct Setting {
  kernels::Context context = kernels::Context::cpu(1);
  kernels::Random random{5};
  SideNetwork network{{.dense = 4, .ngrams = 5, .outputs = 2, .members = 3, .width = 6}, random};
  std::vector<SideInput> inputs;

  Setting() {
    for (int i = 0; i < 7; ++i) inputs.push_back(input_of(i));
    for (Weight* weight : network.weights()) {
      for (float& value : weight->value.values<float>()) value += static_cast<float>(random.normal()) * 0.3f;
    }
    network.make_trainable();
  }
  std::vector<const SideInput*> all() const {
    std::vector<const SideInput*> pointers;
    for (const SideInput& input : inputs) pointers.push_back(&input);
    return pointers;
  }
  // Half the sum of squares of all members' outputs.
  double loss(double dropout) {
    double sum = 0;
    for (const float value : network.forward_members(context, all(), dropout, dropout, 9).values<float>())
      sum += 0.5 * static_cast<double>(value) * static_cast<double>(value);
    return sum;
  }
};

TEST(SideNetwork, GradientOfEveryWeightIsTheSlopeOfTheLossWithAndWithoutDropout) {
  for (const double dropout : {0.0, 0.4}) {
    Setting setting;
    const Tensor outputs = setting.network.forward_members(setting.context, setting.all(), dropout, dropout, 9).clone();
    setting.network.backward(setting.context, outputs);
    for (Weight* weight : setting.network.weights()) {
      for (std::int64_t i = 0; i < weight->value.count(); i += 1 + weight->value.count() / 5) {
        float& value = weight->value.data<float>()[i];
        const float before = value;
        const double step = 2e-3;
        value = before + static_cast<float>(step);
        const double above = setting.loss(dropout);
        value = before - static_cast<float>(step);
        const double below = setting.loss(dropout);
        value = before;
        const auto slope = static_cast<double>(weight->gradient.data<float>()[i]);
        EXPECT_NEAR((above - below) / (2 * step), slope, 0.01 * std::fabs(slope) + 5e-3) << weight->name << " " << i;
      }
    }
  }
}

TEST(SideNetwork, AnswersWithTheMeanOfItsMembers) {
  Setting setting;
  const Tensor members = setting.network.forward_members(setting.context, setting.all(), 0, 0, 0).clone();
  const Tensor& mean = setting.network.forward(setting.context, setting.all());
  ASSERT_EQ(mean.shape(), (kernels::Shape{7, 2}));
  for (std::size_t i = 0; i < 14; ++i) {
    const auto of = [&](std::size_t member) { return members.values<float>()[member * 14 + i]; };
    EXPECT_NEAR(mean.values<float>()[i], (of(0) + of(1) + of(2)) / 3, 1e-5f);
  }
}

TEST(SideNetwork, ScalesWhatItAnswers) {
  Setting setting;
  const Tensor before = setting.network.forward(setting.context, setting.all()).clone();
  setting.network.scale_outputs(setting.context, 0.25f);
  const Tensor& after = setting.network.forward(setting.context, setting.all());
  for (std::size_t i = 0; i < 14; ++i) EXPECT_NEAR(after.values<float>()[i], 0.25f * before.values<float>()[i], 1e-6f);
}

TEST(SideNetwork, ReadsRareNgramsWithItsLinearPartAlone) {
  kernels::Context context = kernels::Context::cpu(1);
  kernels::Random random(5);
  SideNetwork network({.ngrams = kHiddenNgrams + 2, .outputs = 1, .members = 1, .width = 4}, random);
  SideInput rare, frequent;
  rare.text = {{static_cast<std::int32_t>(kHiddenNgrams) + 1}, {1.0f}};
  frequent.text = {{3}, {1.0f}};
  const SideInput nothing;
  const std::vector<const SideInput*> inputs{&rare, &frequent, &nothing};
  const Tensor before = network.forward(context, inputs).clone();
  EXPECT_EQ(before.values<float>()[0], before.values<float>()[2]) << "no member sees it";
  EXPECT_NE(before.values<float>()[1], before.values<float>()[2]);
  for (Weight* weight : network.weights()) {
    if (weight->name == "side.first_ngrams") {
      EXPECT_EQ(weight->value.size(0), kHiddenNgrams);
    }
    if (weight->name == "side.linear_ngrams") weight->value.data<float>()[kHiddenNgrams + 1] = 2;
  }
  const Tensor& after = network.forward(context, inputs);
  EXPECT_NEAR(after.values<float>()[0], before.values<float>()[0] + 2, 1e-5);
  EXPECT_EQ(after.values<float>()[1], before.values<float>()[1]);
}

TEST(SideNetwork, ReadsTextAloneAndFieldsAlone) {
  kernels::Context context = kernels::Context::cpu(1);
  kernels::Random random(1);
  SideNetwork text({.ngrams = 5, .outputs = 2, .members = 2, .width = 4}, random);
  SideNetwork fields({.dense = 4, .outputs = 2, .members = 2, .width = 4}, random);
  SideInput words = input_of(1), numbers = input_of(1);
  words.dense.clear();
  numbers.text = {};
  for (SideNetwork* network : {&text, &fields}) {
    network->make_trainable();
    const SideInput* input = network == &text ? &words : &numbers;
    const Tensor outputs =
        network->forward_members(context, std::span<const SideInput* const>(&input, 1), 0, 0, 0).clone();
    network->backward(context, outputs);
    double gradient = 0;
    for (Weight* weight : network->weights()) {
      for (const float slope : weight->gradient.values<float>()) gradient += static_cast<double>(std::fabs(slope));
    }
    EXPECT_GT(gradient, 0);
    EXPECT_EQ(network->weights().size(), 8U) << "the table of what is not read is left out";
  }
}

}  // namespace
}  // namespace finetune
