// Rows of softmax and cross-entropy. The maximum is subtracted first, so nothing overflows.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

ANNEAL_SIMD float row_maximum(const float* values, std::int64_t count) {
  float highest = values[0];
#pragma omp simd reduction(max : highest)
  for (std::int64_t i = 0; i < count; ++i) highest = highest < values[i] ? values[i] : highest;
  return highest;
}

// y = exp(x - shift); returns the sum.
ANNEAL_SIMD float exponentials(const float* x, std::int64_t count, float shift, float* y) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = fast_exp(x[i] - shift);
    y[i] = value;
    total += value;
  }
  return total;
}

ANNEAL_SIMD float sum_of_exponentials(const float* x, std::int64_t count, float shift) {
  float total = 0.0f;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += fast_exp(x[i] - shift);
  return total;
}

ANNEAL_SIMD void scale_values(float* y, std::int64_t count, float factor) {
  for (std::int64_t i = 0; i < count; ++i) y[i] *= factor;
}

ANNEAL_SIMD void capped(const float* x, std::int64_t count, float cap, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = cap * fast_tanh(x[i] / cap);
}

// y = factor * exp(x - shift) * (1 - (x / cap)^2), x the capped logit; y may be x.
ANNEAL_SIMD void capped_gradient(const float* x, std::int64_t count, float shift, float factor, float cap, float* y) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float ratio = x[i] / cap;
    y[i] = factor * fast_exp(x[i] - shift) * (1.0f - ratio * ratio);
  }
}

}  // namespace

double cross_entropy_row(const LossRow& row) {
  const float highest = row_maximum(row.logits, row.classes);
  const float target = row.logits[row.target];
  if (row.gradient == nullptr) {
    const float total = sum_of_exponentials(row.logits, row.classes, highest);
    return std::log(static_cast<double>(total)) + static_cast<double>(highest - target);
  }
  if (row.softcap > 0.0f) {
    const float total = sum_of_exponentials(row.logits, row.classes, highest);
    const float ratio = target / row.softcap;
    capped_gradient(row.logits, row.classes, highest, row.weight / total, row.softcap, row.gradient);
    row.gradient[row.target] -= row.weight * (1.0f - ratio * ratio);
    return std::log(static_cast<double>(total)) + static_cast<double>(highest - target);
  }
  const float total = exponentials(row.logits, row.classes, highest, row.gradient);
  scale_values(row.gradient, row.classes, row.weight / total);
  row.gradient[row.target] -= row.weight;
  return std::log(static_cast<double>(total)) + static_cast<double>(highest - target);
}

namespace {

// How the outcomes of a distillation share the mass: the teacher's tokens, and behind them all others together.
struct Outcomes {
  std::vector<double> logs = {};    // of the probabilities
  std::vector<double> shares = {};  // to the power 1 / T, normalised
  double log_total = 0;             // of the powers
};

Outcomes tempered(std::vector<double> logs, double temperature) {
  Outcomes made{.logs = std::move(logs)};
  double highest = -std::numeric_limits<double>::infinity(), total = 0;
  for (const double log : made.logs) highest = std::max(highest, log / temperature);
  for (const double log : made.logs) total += made.shares.emplace_back(std::exp(log / temperature - highest));
  for (double& share : made.shares) share /= total;
  made.log_total = highest + std::log(total);
  return made;
}

Outcomes teacher_outcomes(const TeacherRow& teacher) {
  std::vector<double> logs(teacher.log_probabilities.begin(), teacher.log_probabilities.end());
  double rest = 1;
  for (const double log : logs) rest -= std::exp(log);
  logs.push_back(rest > 0 ? std::log(rest) : -std::numeric_limits<double>::infinity());
  return tempered(std::move(logs), teacher.temperature);
}

// What a softcap lets through of a gradient by the logit before it.
double slope_of_cap(float capped, float cap) {
  const double ratio = cap > 0.0f ? static_cast<double>(capped) / static_cast<double>(cap) : 0.0;
  return 1 - ratio * ratio;
}

}  // namespace

double distillation_row(const LossRow& row, const TeacherRow& teacher) {
  constexpr double kSmallestRest = 1e-30;  // its inverse is far from the largest float
  constexpr float kNowhere = -1e30f;
  const float highest = row_maximum(row.logits, row.classes);
  const float target = row.logits[row.target];
  const std::size_t known = teacher.tokens.size();
  std::vector<float> logits;
  // The tokens are taken out of the row for the sum of all others, which would drown in a difference.
  std::vector<float> others(row.logits, row.logits + row.classes);
  for (const std::int32_t token : teacher.tokens) {
    logits.push_back(row.logits[token]);
    others[static_cast<std::size_t>(token)] = kNowhere;
  }
  const double rest = static_cast<double>(sum_of_exponentials(others.data(), row.classes, highest));
  double total = rest;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit - highest));
  std::vector<double> logs;
  for (const float logit : logits) logs.push_back(static_cast<double>(logit - highest) - std::log(total));
  logs.push_back(std::log(std::max(kSmallestRest, rest / total)));
  const Outcomes mine = tempered(std::move(logs), teacher.temperature), theirs = teacher_outcomes(teacher);
  double divergence = 0;
  for (std::size_t i = 0; i <= known; ++i) {
    if (theirs.shares[i] > 0)
      divergence += theirs.shares[i] * (theirs.logs[i] / teacher.temperature - theirs.log_total -
                                        mine.logs[i] / teacher.temperature + mine.log_total);
  }
  const double hard = 1 - teacher.ratio, weight = static_cast<double>(row.weight);
  const double cross_entropy = std::log(total) + static_cast<double>(highest - target);
  const double loss = hard * cross_entropy + teacher.ratio * teacher.temperature * teacher.temperature * divergence;
  if (row.gradient == nullptr) return loss;
  // Of the log probability of outcome i: a T (Q_i - P_i); they sum to 0, so that no outcome's share of the total
  // counts.
  const auto soft = [&](std::size_t i) {
    return teacher.ratio * teacher.temperature * (mine.shares[i] - theirs.shares[i]);
  };
  const double of_others = weight * (hard / total + (rest > kSmallestRest ? soft(known) / rest : 0));
  if (row.softcap > 0.0f) {
    capped_gradient(row.logits, row.classes, highest, static_cast<float>(of_others), row.softcap, row.gradient);
  } else {
    exponentials(row.logits, row.classes, highest, row.gradient);
    scale_values(row.gradient, row.classes, static_cast<float>(of_others));
  }
  for (std::size_t i = 0; i < known; ++i) {
    const double share = std::exp(static_cast<double>(logits[i] - highest)) / total;
    row.gradient[teacher.tokens[i]] =
        static_cast<float>(weight * (hard * share + soft(i)) * slope_of_cap(logits[i], row.softcap));
  }
  row.gradient[row.target] -= static_cast<float>(weight * hard * slope_of_cap(target, row.softcap));
  return loss;
}

void softcap_row(float* logits, std::int64_t classes, float cap) { capped(logits, classes, cap, logits); }

void softmax_row(const float* logits, std::int64_t classes, float* y) {
  const float total = exponentials(logits, classes, row_maximum(logits, classes), y);
  scale_values(y, classes, 1.0f / total);
}

}  // namespace kernels::cpu
