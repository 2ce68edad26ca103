// Objective: what the training of a language model minimises. The cross-entropy of the answers (sft), the preference
// for one answer over another (dpo, orpo), or the cross-entropy beside the distance from a teacher (distillation). What
// a pair of answers costs is a pure function of their log probabilities, in double. Plain values; any thread.
//
//   y+ chosen, y- rejected, |y| target tokens, log p(y) = sum over the target tokens, s(z) = 1 / (1 + e^-z)
//   dpo   -(1 - e) log s(b h) - e log s(-b h) + a (-log p(y+) / |y+|),
//           h = (log p(y+) - log p(y-)) - (log r(y+) - log r(y-)), r the bare base
//           b beta, e label_smoothing, a rpo_alpha
//           (Rafailov et al. 2023; e: the conservative form of Mitchell 2023; a: Pang et al. 2024)
//   orpo  -l(y+) - b log s(logit l(y+) - logit l(y-)), l(y) = log p(y) / |y|, logit l = l - log(1 - e^l)
//           b beta, the lambda of the paper (Hong et al. 2024)
//   distillation   per token (1 - a) cross-entropy + a T^2 KL(teacher || model) over what the teacher tells of it;
//           a kd_ratio, T kd_temperature (Hinton et al. 2015; the formula is linear_distillation's in
//           kernels/ops/cross_entropy.h). Tokens of which no teacher tells learn by cross-entropy alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/json.h"

namespace finetune {

enum class ObjectiveKind { kSft, kDpo, kOrpo, kDistillation };
std::string_view to_string(ObjectiveKind kind);            // "sft", "dpo", "orpo", "distillation"
ObjectiveKind objective_kind_from(std::string_view name);  // throws kInvalidInput

struct Objective {
  ObjectiveKind kind = ObjectiveKind::kSft;
  double beta = 0.1;             // dpo: how far from the base; orpo: the weight of the odds ratio
  double label_smoothing = 0.0;  // dpo: share of pairs that are taken to be the wrong way round; below 0.5
  double rpo_alpha = 0.0;        // dpo: weight of the chosen answer's mean cross-entropy
  double kd_ratio = 0.5;         // distillation: the teacher's share of the loss, 0 to 1
  double kd_temperature = 1.0;   // distillation: over 1, what is improbable counts more

  /// dpo and orpo: an example is a pair of answers.
  bool of_pairs() const { return kind == ObjectiveKind::kDpo || kind == ObjectiveKind::kOrpo; }
  /// Throws kInvalidInput naming the first setting out of range, or that differs from its default and is none of this
  /// kind's.
  void validate() const;
};

/// Reads the keys of a training configuration that are an objective's: objective, beta, label_smoothing, rpo_alpha,
/// kd_ratio, kd_temperature. Absent ones keep their defaults; other keys are not looked at. Not validated.
Objective objective_from_json(const platform::json::object& settings);
/// The same keys.
platform::json::object to_json(const Objective& objective);

/// What a model gives one answer.
struct AnswerLogprob {
  double sum = 0;           // over its target tokens
  std::int64_t tokens = 0;  // of its targets
  double mean() const { return tokens > 0 ? sum / static_cast<double>(tokens) : 0; }
};

struct PairLogprobs {
  AnswerLogprob chosen, rejected;
  double reference_margin = 0;  // dpo: log r(chosen) - log r(rejected)
};

struct PairLoss {
  double loss = 0;
  double dchosen = 0, drejected = 0;  // slopes of the loss by the two sums
  /// How much better the chosen answer is rewarded; above 0 the model prefers it. dpo: b h; orpo: b (l(y+) - l(y-));
  /// any other objective: l(y+) - l(y-), so that every adapter can be asked for its preference.
  double margin = 0;
};

/// Of one pair. sft and distillation: the loss is the chosen answer's mean cross-entropy.
PairLoss pair_loss(const Objective& objective, const PairLogprobs& pair);

}  // namespace finetune
