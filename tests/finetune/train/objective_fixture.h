// A tiny base whose LoRA is alive, with pairs of answers, or whatever examples a test puts in their place: what the
// objectives of a language model are held against their formulas on.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "finetune/adapter/reference.h"
#include "finetune/train/objective.h"
#include "tests/support/tiny_base.h"

namespace finetune {

inline platform::Example pair_of(int i) {
  platform::Example example;
  example.id = "p" + std::to_string(i);
  example.split = i % 4 == 2   ? platform::Split::kValidation
                  : i % 4 == 3 ? platform::Split::kTest
                               : platform::Split::kTrain;
  example.prompt = i / 4 % 2 == 0 ? "spindle load" : "bearing";
  // The longer answer is the better one half of the time, so that length does not decide.
  example.chosen = i / 4 % 2 == 0 ? " high" : " hot, bearing hot";
  example.rejected = i / 4 % 2 == 0 ? " low, spindle low" : " cold";
  if (i % 3 == 0) example.weight = 0.5;
  return example;
}

// A tiny base with LoRA that is alive, and four pairs of different weights.
struct Setting {
  platform::TemporaryFolder folder;
  Base base;
  AdapterParts parts;
  kernels::Context context = kernels::Context::cpu(1);
  std::vector<EncodedExample> pairs;
  std::optional<AdaptedModel> model;

  static Base make_base(const std::filesystem::path& folder) {
    support::write_tiny_base(folder);
    return Base::load(folder);
  }
  explicit Setting(const Objective& objective) : base(make_base(folder.path())) {
    PeftConfig lora;
    lora.r = 3;
    lora.lora_alpha = 6;
    lora.target_modules = {"q_proj", "v_proj", "down_proj", "lm_head"};
    parts.start(base, lora, 11);
    kernels::Random random(12);
    parts.adapter.for_each([&](Weight& weight) {
      for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.1f;
    });
    parts.make_trainable();
    const EncodingRules rules{.tokenizer = &base.tokenizer, .schema = &parts.schema};
    for (int i : {0, 4, 8, 12}) pairs.push_back(encode_example(rules, pair_of(i), true));
    model.emplace(base, parts);
    model->set_objective(objective);
    if (objective.kind == ObjectiveKind::kDpo) set_reference_margins(context, *model, pairs, 4096, {});
  }
  std::vector<const EncodedExample*> batch() const {
    std::vector<const EncodedExample*> all;
    for (const EncodedExample& pair : pairs) all.push_back(&pair);
    return all;
  }
  // log p of one document's targets, from its logits and in double.
  AnswerLogprob plain_logprob(const EncodedExample& document) {
    const std::span<const std::int32_t> ids(document.ids);
    const kernels::Tensor& hidden =
        model->transformer().forward(context, pack_documents({&ids, 1}), nullptr, ActivationMode::kNone);
    kernels::Tensor logits({hidden.size(0), base.config.vocab_size});
    model->transformer().logits(context, hidden, logits);
    AnswerLogprob answer;
    for (std::size_t n = 0; n < document.targets.size(); ++n) {
      if (document.targets[n] < 0) continue;
      const float* row = logits.data<float>() + static_cast<std::int64_t>(n) * logits.size(1);
      double sum = 0;
      for (std::int64_t v = 0; v < logits.size(1); ++v) sum += std::exp(static_cast<double>(row[v]));
      answer.sum += static_cast<double>(row[document.targets[n]]) - std::log(sum);
      ++answer.tokens;
    }
    return answer;
  }
  PairLogprobs plain_pair(const EncodedExample& pair) {
    model->transformer().set_adapter_active(false);
    const double reference = plain_logprob(pair).sum - plain_logprob(pair.rejected[0]).sum;
    model->transformer().set_adapter_active(true);
    return {plain_logprob(pair), plain_logprob(pair.rejected[0]), reference};
  }
  std::vector<std::vector<float>> gradients() {
    std::vector<std::vector<float>> all;
    for (Weight* weight : parts.weights()) {
      const auto values = weight->gradient.values<float>();
      all.emplace_back(values.begin(), values.end());
      weight->gradient.fill_zero();
    }
    return all;
  }
};

// Relative to the largest of each weight.
inline void expect_near(const std::vector<std::vector<float>>& got, const std::vector<std::vector<float>>& wanted,
                        double tolerance) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    double largest = 0, difference = 0;
    for (std::size_t k = 0; k < got[i].size(); ++k) {
      largest = std::max(largest, std::fabs(static_cast<double>(wanted[i][k])));
      difference = std::max(difference, std::fabs(static_cast<double>(wanted[i][k]) - static_cast<double>(got[i][k])));
    }
    EXPECT_GT(largest, 0) << "weight " << i;
    EXPECT_LE(difference, tolerance * largest) << "weight " << i;
  }
}

// The teacher's lists of an answer: its own tokens with 0.6, and two others.
inline platform::Teacher teacher_of(const Tokenizer& tokenizer, const std::string& answer) {
  platform::Teacher teacher;
  const std::int32_t size = tokenizer.vocabulary_size();
  for (const std::int32_t token : tokenizer.encode(answer))
    teacher.tokens.push_back(
        {{token, std::log(0.6f)}, {(token + 1) % size, std::log(0.2f)}, {(token + 7) % size, -3.0f}});
  return teacher;
}

}  // namespace finetune
