#include "finetune/evaluate/metrics.h"

#include <algorithm>
#include <cmath>
#include <ranges>

#include "finetune/evaluate/class_metrics.h"
#include "finetune/evaluate/label_metrics.h"
#include "finetune/evaluate/label_order.h"
#include "finetune/evaluate/number_metrics.h"
#include "kernels/core/random.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

// Borrowed one by one, so that a resample is a list of pointers.
using Outcomes = std::span<const Outcome* const>;

constexpr int kResamples = 1000;

auto each(Outcomes outcomes) {
  return outcomes | std::views::transform([](const Outcome* one) -> const Outcome& { return *one; });
}

std::vector<const Outcome*> all_of(std::span<const Outcome> outcomes) {
  std::vector<const Outcome*> all;
  for (const Outcome& outcome : outcomes) all.push_back(&outcome);
  return all;
}

Confusion table_of(Outcomes outcomes) {
  std::vector<std::int32_t> truth, predicted;
  for (const Outcome& outcome : each(outcomes)) {
    truth.push_back(outcome.truth);
    predicted.push_back(outcome.prediction);
  }
  return confusion_of(truth, predicted);
}

// How high the class `positive` is ranked.
std::vector<Ranked> ranking_of(Outcomes outcomes, std::size_t positive) {
  std::vector<Ranked> ranked;
  for (const Outcome& outcome : each(outcomes)) {
    ranked.push_back({static_cast<double>(outcome.probabilities.at(positive)),
                      outcome.truth == static_cast<std::int32_t>(positive)});
  }
  return ranked;
}

// How sure of its choice the model is, and whether the choice was right.
std::vector<Ranked> confidence_of(Outcomes outcomes) {
  std::vector<Ranked> ranked;
  for (const Outcome& outcome : each(outcomes)) {
    ranked.push_back({static_cast<double>(outcome.probabilities.at(static_cast<std::size_t>(outcome.prediction))),
                      outcome.truth == outcome.prediction});
  }
  return ranked;
}

// Classes that training never saw do not count: they have no number here. Labels that are no numbers count by their
// place.
double kappa_of_labels(Outcomes outcomes, const std::vector<std::string>& labels) {
  std::vector<std::int32_t> truth, predicted;
  for (const Outcome& outcome : each(outcomes)) {
    if (outcome.truth < 0) continue;
    truth.push_back(outcome.truth);
    predicted.push_back(outcome.prediction);
  }
  const Confusion confusion = confusion_of(truth, predicted);
  std::vector<double> values(confusion.classes.size(), 0);
  bool numbers = true;
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (!is_numeric_label(labels.at(static_cast<std::size_t>(confusion.classes[k])), values[k])) numbers = false;
  }
  for (std::size_t k = 0; k < values.size() && !numbers; ++k) values[k] = static_cast<double>(confusion.classes[k]);
  return quadratic_kappa(confusion, values);
}

using NumberMetric = double (*)(std::span<const double>, std::span<const double>);

double of_numbers(Outcomes outcomes, NumberMetric metric) {
  std::vector<double> truth, predicted;
  for (const Outcome& outcome : each(outcomes)) {
    if (outcome.true_values.empty()) {
      truth.push_back(outcome.true_value);
      predicted.push_back(outcome.predicted_value);
    }
    for (std::size_t i = 0; i < outcome.true_values.size(); ++i) {
      if (std::isnan(outcome.true_values[i])) continue;
      truth.push_back(outcome.true_values[i]);
      predicted.push_back(outcome.predicted_values[i]);
    }
  }
  return metric(truth, predicted);
}

std::vector<MarkedLabels> marked(Outcomes outcomes) {
  std::vector<MarkedLabels> all;
  for (const Outcome& outcome : each(outcomes))
    all.push_back({outcome.marks, outcome.probabilities, outcome.unknown_labels});
  return all;
}

double token_loss(Outcomes outcomes) {
  double sum = 0, tokens = 0;
  for (const Outcome& outcome : each(outcomes)) {
    sum += outcome.predicted_value;
    tokens += outcome.weight;
  }
  return tokens > 0 ? sum / tokens : 0;
}

double class_loss(Outcomes outcomes) {
  double sum = 0, count = 0;
  for (const Outcome& outcome : each(outcomes)) {
    if (outcome.truth < 0) continue;
    sum -= std::log(
        std::max(1e-12, static_cast<double>(outcome.probabilities.at(static_cast<std::size_t>(outcome.truth)))));
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

double mean_answer(Outcomes outcomes, double AnswerScores::*of) {
  double sum = 0, count = 0;
  for (const Outcome& outcome : each(outcomes)) {
    if (!outcome.answer) continue;
    sum += (*outcome.answer).*of;
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

double mean_of_questions(Outcomes outcomes) {
  double sum = 0, count = 0;
  for (const Outcome& outcome : each(outcomes)) {
    if (!outcome.answer || !outcome.answer->lcs_f1) continue;
    sum += *outcome.answer->lcs_f1;
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

double mean_of_pairs(Outcomes outcomes, double (*of)(const Preference&)) {
  double sum = 0, count = 0;
  for (const Outcome& outcome : each(outcomes)) {
    if (!outcome.preference) continue;
    sum += of(*outcome.preference);
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

double text_loss(Outcomes outcomes) {
  if (!outcomes.front()->preference) return token_loss(outcomes);
  return mean_of_pairs(outcomes, [](const Preference& pair) { return pair.loss; });
}

// Truths, and what was predicted as the quantile number `k` of each.
struct QuantileColumn {
  std::vector<double> truth, predicted;
};

QuantileColumn column_of(Outcomes outcomes, std::size_t k) {
  QuantileColumn column;
  for (const Outcome& outcome : each(outcomes)) {
    column.truth.push_back(outcome.true_value);
    column.predicted.push_back(outcome.predicted_values.at(k));
  }
  return column;
}

double mean_pinball_loss(Outcomes outcomes) {
  const std::vector<double>& quantiles = outcomes.front()->quantiles;
  double sum = 0;
  for (std::size_t k = 0; k < quantiles.size(); ++k) {
    const QuantileColumn column = column_of(outcomes, k);
    sum += pinball_loss(column.truth, column.predicted, quantiles[k]);
  }
  return quantiles.empty() ? 0 : sum / static_cast<double>(quantiles.size());
}

double quantile_coverage(Outcomes outcomes) {
  const std::size_t count = outcomes.front()->quantiles.size();
  if (count == 0) return 0;
  const QuantileColumn low = column_of(outcomes, 0), high = column_of(outcomes, count - 1);
  return coverage(low.truth, low.predicted, high.predicted);
}

struct Scored {
  Outcomes outcomes;
  const std::vector<std::string>& labels;
  std::size_t positive;
};

template <typename Has>
bool any_of(const Scored& scored, const Has& has) {
  return std::any_of(scored.outcomes.begin(), scored.outcomes.end(),
                     [&](const Outcome* outcome) { return has(*outcome); });
}

// What a metric needs to mean anything.
bool always(const Scored&) { return true; }
bool has_known_truth(const Scored& s) {
  return any_of(s, [](const Outcome& outcome) { return outcome.truth >= 0; });
}
bool has_both_classes(const Scored& s) {
  const auto is_positive = [&](const Outcome& outcome) {
    return outcome.truth == static_cast<std::int32_t>(s.positive);
  };
  return any_of(s, is_positive) && any_of(s, [&](const Outcome& outcome) { return !is_positive(outcome); });
}
bool has_number(const Scored& s) {
  return any_of(s, [](const Outcome& outcome) {
    return outcome.true_values.empty() || std::any_of(outcome.true_values.begin(), outcome.true_values.end(),
                                                      [](double value) { return !std::isnan(value); });
  });
}
bool has_quantiles(const Scored& s) {
  return !any_of(s, [](const Outcome& outcome) { return outcome.quantiles.empty(); });
}
bool has_pair(const Scored& s) {
  return any_of(s, [](const Outcome& outcome) { return outcome.preference.has_value(); });
}
bool has_token(const Scored& s) {
  return any_of(s, [](const Outcome& outcome) { return outcome.weight > 0; });
}
bool has_answer(const Scored& s) {
  return any_of(s, [](const Outcome& outcome) { return outcome.answer.has_value(); });
}
bool has_loss(const Scored& s) { return s.labels.empty() ? has_pair(s) || has_token(s) : has_known_truth(s); }

struct Metric {
  std::string_view name;
  bool higher_is_better;
  double (*of)(const Scored&);
  bool (*is_defined)(const Scored&) = always;
};

constexpr Metric kMetrics[] = {
    {"accuracy", true, [](const Scored& s) { return accuracy(table_of(s.outcomes)); }},
    {"auroc", true, [](const Scored& s) { return auroc(ranking_of(s.outcomes, s.positive)); }, has_both_classes},
    {"average_precision", true, [](const Scored& s) { return average_precision(ranking_of(s.outcomes, s.positive)); },
     has_both_classes},
    {"balanced_accuracy", true, [](const Scored& s) { return balanced_accuracy(table_of(s.outcomes)); }},
    {"brier", false, [](const Scored& s) { return brier(ranking_of(s.outcomes, s.positive)); }},
    {"calibration_error", false,
     [](const Scored& s) {
       return calibration_error(s.labels.size() == 2 ? ranking_of(s.outcomes, s.positive) : confidence_of(s.outcomes));
     }},
    {"chrf", true, [](const Scored& s) { return mean_answer(s.outcomes, &AnswerScores::chrf); }, has_answer},
    {"cohen_kappa", true, [](const Scored& s) { return cohen_kappa(table_of(s.outcomes)); }},
    {"coverage", true, [](const Scored& s) { return quantile_coverage(s.outcomes); }, has_quantiles},
    {"exact_match", true, [](const Scored& s) { return mean_answer(s.outcomes, &AnswerScores::exact_match); },
     has_answer},
    {"label_loss", false, [](const Scored& s) { return label_loss(marked(s.outcomes)); }},
    {"label_macro_f1", true, [](const Scored& s) { return label_macro_f1(marked(s.outcomes)); }},
    {"label_micro_f1", true, [](const Scored& s) { return label_micro_f1(marked(s.outcomes)); }},
    {"lcs_f1", true, [](const Scored& s) { return mean_of_questions(s.outcomes); }, has_answer},
    {"loss", false, [](const Scored& s) { return s.labels.empty() ? text_loss(s.outcomes) : class_loss(s.outcomes); },
     has_loss},
    {"macro_f1", true, [](const Scored& s) { return macro_f1(table_of(s.outcomes)); }},
    {"mae", false, [](const Scored& s) { return of_numbers(s.outcomes, mean_absolute_error); }, has_number},
    {"matthews", true, [](const Scored& s) { return matthews(table_of(s.outcomes)); }},
    {"median_absolute_error", false, [](const Scored& s) { return of_numbers(s.outcomes, median_absolute_error); },
     has_number},
    {"micro_f1", true, [](const Scored& s) { return micro_f1(table_of(s.outcomes)); }},
    {"perplexity", false, [](const Scored& s) { return std::exp(token_loss(s.outcomes)); }, has_token},
    {"pinball_loss", false, [](const Scored& s) { return mean_pinball_loss(s.outcomes); }, has_quantiles},
    {"qwk", true, [](const Scored& s) { return kappa_of_labels(s.outcomes, s.labels); }, has_known_truth},
    {"r2", true, [](const Scored& s) { return of_numbers(s.outcomes, explained_share); }, has_number},
    {"reward_accuracy", true,
     [](const Scored& s) {
       return mean_of_pairs(s.outcomes, [](const Preference& pair) { return pair.margin > 0 ? 1.0 : 0.0; });
     },
     has_pair},
    {"reward_margin", true,
     [](const Scored& s) { return mean_of_pairs(s.outcomes, [](const Preference& pair) { return pair.margin; }); },
     has_pair},
    {"rmse", false, [](const Scored& s) { return of_numbers(s.outcomes, root_mean_square_error); }, has_number},
    {"rouge_1", true, [](const Scored& s) { return mean_answer(s.outcomes, &AnswerScores::rouge_1); }, has_answer},
    {"rouge_2", true, [](const Scored& s) { return mean_answer(s.outcomes, &AnswerScores::rouge_2); }, has_answer},
    {"rouge_l", true, [](const Scored& s) { return mean_answer(s.outcomes, &AnswerScores::rouge_l); }, has_answer},
    {"subset_accuracy", true, [](const Scored& s) { return subset_accuracy(marked(s.outcomes)); }},
    {"token_f1", true, [](const Scored& s) { return mean_answer(s.outcomes, &AnswerScores::token_f1); }, has_answer},
    {"weighted_f1", true, [](const Scored& s) { return weighted_f1(table_of(s.outcomes)); }},
};

const Metric* find_metric(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const Metric& metric) { return metric.name == name; });
  return found != std::end(kMetrics) ? found : nullptr;
}

const Metric& known_metric(std::string_view name, std::size_t examples) {
  if (examples == 0) throw platform::Error(platform::ErrorCode::kInvalidInput, "there are no examples to score");
  if (const Metric* found = find_metric(name)) return *found;
  throw platform::Error(platform::ErrorCode::kInvalidInput, "unknown metric: " + std::string(name), "metric");
}

}  // namespace

std::vector<std::string> metrics_of(Task task, const std::vector<std::string>& labels) {
  if (task == Task::kLanguageModel) return {"perplexity", "loss"};
  if (has_numbers(task)) return {"rmse", "mae"};
  if (task == Task::kMultilabel) return {"label_macro_f1", "label_micro_f1", "subset_accuracy", "label_loss"};
  std::vector<std::string> names{"accuracy", "macro_f1", "loss", "calibration_error"};
  if (labels.size() == 2) names.insert(names.end(), {"average_precision", "auroc"});
  if ((all_numeric(labels) || task == Task::kOrdinal) && labels.size() > 2) names.emplace_back("qwk");
  return names;
}

const std::vector<std::string>& quantile_metrics() {
  static const std::vector<std::string> kNames{"pinball_loss", "coverage"};
  return kNames;
}

const std::vector<std::string>& answer_metrics() {
  static const std::vector<std::string> kNames{"exact_match", "token_f1", "rouge_1", "rouge_2",
                                               "rouge_l",     "chrf",     "lcs_f1"};
  return kNames;
}

const std::vector<std::string>& preference_metrics() {
  static const std::vector<std::string> kNames{"reward_accuracy", "loss", "reward_margin"};
  return kNames;
}

std::size_t positive_class(const platform::json::value& profile, const std::vector<std::string>& labels,
                           std::span<const std::int32_t> truths) {
  const platform::json::value* target = profile.is_object() ? platform::find(profile.get_object(), "target") : nullptr;
  const platform::json::value* named =
      target != nullptr && target->is_object() ? platform::find(target->get_object(), "positive") : nullptr;
  for (std::size_t i = 0; named != nullptr && i < labels.size(); ++i) {
    if (platform::json::value(labels[i]) == *named) return i;
  }
  std::vector<std::size_t> counts(std::max<std::size_t>(1, labels.size()), 0);
  for (const std::int32_t truth : truths) {
    if (truth >= 0) ++counts.at(static_cast<std::size_t>(truth));
  }
  return static_cast<std::size_t>(std::min_element(counts.begin(), counts.end()) - counts.begin());
}

bool higher_is_better(std::string_view metric) {
  const Metric* found = find_metric(metric);
  return found != nullptr && found->higher_is_better;
}

double score(std::string_view metric, std::span<const Outcome> outcomes, const std::vector<std::string>& labels,
             std::size_t positive) {
  return known_metric(metric, outcomes.size()).of({all_of(outcomes), labels, positive});
}

bool is_defined(std::string_view metric, std::span<const Outcome> outcomes, const std::vector<std::string>& labels,
                std::size_t positive) {
  return known_metric(metric, outcomes.size()).is_defined({all_of(outcomes), labels, positive});
}

Score score_with_interval(std::string_view metric, std::span<const Outcome> outcomes,
                          const std::vector<std::string>& labels, std::size_t positive, double confidence,
                          std::uint64_t seed) {
  const Metric& known = known_metric(metric, outcomes.size());
  Score result{std::string(metric), score(metric, outcomes, labels, positive), 0, 0};
  kernels::Random random(seed);
  std::vector<double> values;
  std::vector<const Outcome*> drawn(outcomes.size());
  for (int i = 0; i < kResamples; ++i) {
    for (const Outcome*& outcome : drawn) outcome = &outcomes[random.below(outcomes.size())];
    if (const Scored scored{drawn, labels, positive}; known.is_defined(scored)) values.push_back(known.of(scored));
  }
  if (values.empty()) values.push_back(result.value);
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  const auto at = [&](double share) { return values[static_cast<std::size_t>(share * last)]; };
  result.low = at((1 - confidence) / 2);
  result.high = at((1 + confidence) / 2);
  return result;
}

}  // namespace finetune
