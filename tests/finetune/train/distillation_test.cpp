// What distillation minimises, against its formula written plainly in double over a model's logits.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/finetune/train/objective_fixture.h"

namespace finetune {
namespace {

using kernels::Tensor;

// One answer with a teacher for all but its last two tokens, and one without.
std::vector<platform::Example> taught_examples() {
  platform::Example taught;
  taught.id = "t0";
  taught.prompt = "spindle load";
  taught.completion = " high, spindle hot";
  platform::Example alone = taught;
  alone.id = "t1";
  alone.completion = " low";
  taught.teacher.emplace();
  return {taught, alone};
}

// Against the logits in double: what the formula says, written with one outcome for all other tokens.
TEST(Distillation, AModelsLossIsTheFormulaOfItsLogits) {
  const Objective objective{.kind = ObjectiveKind::kDistillation, .kd_ratio = 0.7, .kd_temperature = 2.0};
  Setting setting(objective);
  std::vector<platform::Example> raw = taught_examples();
  raw[0].teacher = teacher_of(setting.base.tokenizer, raw[0].completion);
  raw[0].teacher->tokens.pop_back();
  const EncodingRules rules{.tokenizer = &setting.base.tokenizer, .schema = &setting.parts.schema};
  double wanted = 0;
  std::int64_t of_teacher = 0;
  setting.pairs.clear();
  for (const platform::Example& example : raw) setting.pairs.push_back(encode_example(rules, example, true));
  for (const EncodedExample& document : setting.pairs) {
    const std::span<const std::int32_t> ids(document.ids);
    const Tensor& hidden = setting.model->transformer().forward(setting.context, pack_documents({&ids, 1}), nullptr,
                                                                ActivationMode::kNone);
    Tensor logits({hidden.size(0), setting.base.config.vocab_size});
    setting.model->transformer().logits(setting.context, hidden, logits);
    for (std::size_t n = 0; n < document.targets.size(); ++n) {
      if (document.targets[n] < 0) continue;
      std::vector<double> q;
      double total = 0;
      for (std::int64_t v = 0; v < logits.size(1); ++v)
        total += q.emplace_back(
            std::exp(static_cast<double>(logits.data<float>()[static_cast<std::int64_t>(n) * logits.size(1) + v])));
      for (double& each : q) each /= total;
      const double hard = -std::log(q[static_cast<std::size_t>(document.targets[n])]);
      if (document.teacher.empty() || document.teacher[n].empty()) {
        wanted += hard;
        continue;
      }
      ++of_teacher;
      std::vector<double> theirs, mine;
      double rest = 1, my_rest = 1, sum = 0, my_sum = 0, divergence = 0;
      for (const platform::TeacherToken& token : document.teacher[n]) {
        theirs.push_back(std::exp(static_cast<double>(token.logprob)));
        mine.push_back(q[static_cast<std::size_t>(token.token)]);
        rest -= theirs.back();
        my_rest -= mine.back();
      }
      theirs.push_back(rest);
      mine.push_back(my_rest);
      for (double& each : theirs) sum += each = std::sqrt(each);
      for (double& each : mine) my_sum += each = std::sqrt(each);
      for (std::size_t i = 0; i < mine.size(); ++i)
        divergence += theirs[i] / sum * std::log(theirs[i] / sum / (mine[i] / my_sum));
      wanted += 0.3 * hard + 0.7 * 4 * divergence;
    }
  }
  EXPECT_EQ(of_teacher, static_cast<std::int64_t>(raw[0].teacher->tokens.size()));
  EXPECT_NEAR(setting.model->loss(setting.context, setting.batch(), nullptr).loss, wanted, 2e-5 * wanted);
}

TEST(Distillation, MicroBatchesChangeNeitherLossNorGradient) {
  const Objective objective{.kind = ObjectiveKind::kDistillation, .kd_ratio = 0.7, .kd_temperature = 2.0};
  Setting whole(objective), pieces(objective);
  for (Setting* setting : {&whole, &pieces}) {
    std::vector<platform::Example> raw = taught_examples();
    raw[0].teacher = teacher_of(setting->base.tokenizer, raw[0].completion);
    const EncodingRules rules{.tokenizer = &setting->base.tokenizer, .schema = &setting->parts.schema};
    setting->pairs.clear();
    for (const platform::Example& example : raw) setting->pairs.push_back(encode_example(rules, example, true));
  }
  const double one = whole.model->train(whole.context, whole.batch(), 0.1f, nullptr, ActivationMode::kKeep, 0).loss;
  double two = 0;
  for (const EncodedExample* example : pieces.batch())
    two += pieces.model->train(pieces.context, Batch(&example, 1), 0.1f, nullptr, ActivationMode::kRecompute, 0).loss;
  EXPECT_NEAR(two, one, 1e-5 * one);
  expect_near(pieces.gradients(), whole.gradients(), 2e-5);
}

TEST(Distillation, TheSlopeAlongTheGradientIsItsLength) {
  const Objective objective{.kind = ObjectiveKind::kDistillation, .kd_ratio = 0.7, .kd_temperature = 2.0};
  Setting setting(objective);
  std::vector<platform::Example> raw = taught_examples();
  raw[0].teacher = teacher_of(setting.base.tokenizer, raw[0].completion);
  const EncodingRules rules{.tokenizer = &setting.base.tokenizer, .schema = &setting.parts.schema};
  setting.pairs.clear();
  for (const platform::Example& example : raw) setting.pairs.push_back(encode_example(rules, example, true));
  setting.model->train(setting.context, setting.batch(), 1.0f, nullptr, ActivationMode::kKeep, 0);
  for (Weight* weight : setting.parts.weights()) {
    const std::vector<float> along(weight->gradient.values<float>().begin(), weight->gradient.values<float>().end());
    double norm = 0;
    for (const float value : along) norm += static_cast<double>(value) * static_cast<double>(value);
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1e-6) << weight->name;
    const auto moved = [&](double by) {
      const Tensor before = weight->value.clone();
      std::span<float> values = weight->value.values<float>();
      for (std::size_t i = 0; i < along.size(); ++i)
        values[i] += static_cast<float>(by * static_cast<double>(along[i]) / norm);
      const double loss = setting.model->loss(setting.context, setting.batch(), nullptr).loss;
      weight->value.copy_from(before);
      return loss;
    };
    const double step = 2e-3;
    EXPECT_NEAR((moved(step) - moved(-step)) / (2 * step), norm, 0.02 * norm + 0.01) << weight->name;
  }
}

}  // namespace
}  // namespace finetune
