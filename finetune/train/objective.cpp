#include "finetune/train/objective.h"

#include <algorithm>
#include <cmath>

#include "platform/base/error.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr ObjectiveKind kKinds[] = {ObjectiveKind::kSft, ObjectiveKind::kDpo, ObjectiveKind::kOrpo,
                                    ObjectiveKind::kDistillation};

// A mean log probability nearer to 0 has no odds in double.
constexpr double kSurest = -1e-12;

double sigmoid(double z) { return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z)); }

double log_sigmoid(double z) { return z >= 0 ? -std::log1p(std::exp(-z)) : z - std::log1p(std::exp(z)); }

void check(bool good, const char* key, const std::string& rule) {
  if (!good) throw Error(ErrorCode::kInvalidInput, std::string(key) + " must be " + rule, key);
}

void add_chosen_loss(const PairLogprobs& pair, double weight, PairLoss& loss) {
  loss.loss -= weight * pair.chosen.mean();
  loss.dchosen -= weight / static_cast<double>(std::max<std::int64_t>(1, pair.chosen.tokens));
}

PairLoss dpo(const Objective& objective, const PairLogprobs& pair) {
  const double wrong = objective.label_smoothing;
  PairLoss loss;
  loss.margin = objective.beta * (pair.chosen.sum - pair.rejected.sum - pair.reference_margin);
  loss.loss = -(1 - wrong) * log_sigmoid(loss.margin) - wrong * log_sigmoid(-loss.margin);
  const double slope = -(1 - wrong) * sigmoid(-loss.margin) + wrong * sigmoid(loss.margin);
  loss.dchosen = objective.beta * slope;
  loss.drejected = -objective.beta * slope;
  if (objective.rpo_alpha > 0) add_chosen_loss(pair, objective.rpo_alpha, loss);
  return loss;
}

PairLoss orpo(const Objective& objective, const PairLogprobs& pair) {
  const double chosen = std::min(kSurest, pair.chosen.mean()), rejected = std::min(kSurest, pair.rejected.mean());
  const double ratio = chosen - rejected - (std::log(-std::expm1(chosen)) - std::log(-std::expm1(rejected)));
  PairLoss loss;
  loss.margin = objective.beta * (pair.chosen.mean() - pair.rejected.mean());
  loss.loss = -objective.beta * log_sigmoid(ratio);
  // d logit(l) / dl = 1 / (1 - e^l)
  const double slope = -objective.beta * sigmoid(-ratio);
  loss.dchosen = -slope / std::expm1(chosen) / static_cast<double>(std::max<std::int64_t>(1, pair.chosen.tokens));
  loss.drejected = slope / std::expm1(rejected) / static_cast<double>(std::max<std::int64_t>(1, pair.rejected.tokens));
  add_chosen_loss(pair, 1, loss);
  return loss;
}

}  // namespace

std::string_view to_string(ObjectiveKind kind) {
  switch (kind) {
    case ObjectiveKind::kDpo: return "dpo";
    case ObjectiveKind::kOrpo: return "orpo";
    case ObjectiveKind::kDistillation: return "distillation";
    default: return "sft";
  }
}

ObjectiveKind objective_kind_from(std::string_view name) {
  for (const ObjectiveKind kind : kKinds) {
    if (to_string(kind) == name) return kind;
  }
  throw Error(ErrorCode::kInvalidInput,
              "objective must be sft, dpo, orpo or distillation, not \"" + std::string(name) + "\"", "objective");
}

void Objective::validate() const {
  const bool of_dpo = kind == ObjectiveKind::kDpo;
  check(beta > 0 && beta <= 100, "beta", "above 0 and at most 100");
  check(label_smoothing >= 0 && label_smoothing < 0.5, "label_smoothing", "at least 0 and below 0.5");
  check(rpo_alpha >= 0 && rpo_alpha <= 100, "rpo_alpha", "between 0 (none) and 100");
  check(kd_ratio >= 0 && kd_ratio <= 1, "kd_ratio", "between 0 and 1");
  check(kd_temperature >= 0.1 && kd_temperature <= 100, "kd_temperature", "between 0.1 and 100");
  const Objective usual;
  const bool of_teacher = kind == ObjectiveKind::kDistillation;
  check(of_pairs() || beta == usual.beta, "beta", "left out where the objective is neither dpo nor orpo");
  check(of_teacher || kd_ratio == usual.kd_ratio, "kd_ratio", "left out where the objective is not distillation");
  check(of_teacher || kd_temperature == usual.kd_temperature, "kd_temperature",
        "left out where the objective is not distillation");
  check(of_dpo || label_smoothing == 0, "label_smoothing", "0 where the objective is not dpo");
  check(of_dpo || rpo_alpha == 0, "rpo_alpha", "0 where the objective is not dpo");
}

Objective objective_from_json(const json::object& settings) {
  Objective objective;
  objective.kind = objective_kind_from(platform::string_or(settings, "objective", "sft", ""));
  objective.beta = platform::number_or(settings, "beta", objective.beta, "");
  objective.label_smoothing = platform::number_or(settings, "label_smoothing", objective.label_smoothing, "");
  objective.rpo_alpha = platform::number_or(settings, "rpo_alpha", objective.rpo_alpha, "");
  objective.kd_ratio = platform::number_or(settings, "kd_ratio", objective.kd_ratio, "");
  objective.kd_temperature = platform::number_or(settings, "kd_temperature", objective.kd_temperature, "");
  return objective;
}

json::object to_json(const Objective& objective) {
  return {{"objective", to_string(objective.kind)},
          {"beta", objective.beta},
          {"label_smoothing", objective.label_smoothing},
          {"rpo_alpha", objective.rpo_alpha},
          {"kd_ratio", objective.kd_ratio},
          {"kd_temperature", objective.kd_temperature}};
}

PairLoss pair_loss(const Objective& objective, const PairLogprobs& pair) {
  if (objective.kind == ObjectiveKind::kDpo) return dpo(objective, pair);
  if (objective.kind == ObjectiveKind::kOrpo) return orpo(objective, pair);
  PairLoss loss;
  loss.margin = pair.chosen.mean() - pair.rejected.mean();
  add_chosen_loss(pair, 1, loss);
  return loss;
}

}  // namespace finetune
