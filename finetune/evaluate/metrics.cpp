#include "finetune/evaluate/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

#include "kernels/core/random.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using Outcomes = std::span<const Outcome>;

constexpr int kResamples = 1000;

double accuracy(Outcomes outcomes) {
  double right = 0;
  for (const Outcome& outcome : outcomes) right += outcome.truth == outcome.prediction ? 1 : 0;
  return right / static_cast<double>(outcomes.size());
}

double macro_f1(Outcomes outcomes) {
  struct Counts {
    double hit = 0, truth = 0, predicted = 0;
  };
  std::map<std::int32_t, Counts> classes;
  for (const Outcome& outcome : outcomes) {
    classes[outcome.truth].truth += 1;
    classes[outcome.prediction].predicted += 1;
    if (outcome.truth == outcome.prediction) classes[outcome.truth].hit += 1;
  }
  double sum = 0, present = 0;
  for (const auto& [index, counts] : classes) {
    if (counts.truth == 0) continue;
    present += 1;
    sum += 2 * counts.hit / (counts.truth + counts.predicted);
  }
  return sum / present;
}

// Sum over ranks of precision x rise in recall; equal scores are taken together.
double average_precision(Outcomes outcomes, std::size_t positive) {
  std::vector<std::pair<float, bool>> ranked;
  double positives = 0;
  for (const Outcome& outcome : outcomes) {
    const bool is_positive = outcome.truth == static_cast<std::int32_t>(positive);
    positives += is_positive ? 1 : 0;
    ranked.emplace_back(outcome.probabilities.at(positive), is_positive);
  }
  if (positives == 0) return 0;
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  double area = 0, hits = 0;
  for (std::size_t i = 0; i < ranked.size();) {
    std::size_t end = i;
    double fresh = 0;
    for (; end < ranked.size() && ranked[end].first == ranked[i].first; ++end) fresh += ranked[end].second ? 1 : 0;
    hits += fresh;
    area += fresh / positives * hits / static_cast<double>(end);
    i = end;
  }
  return area;
}

bool numeric(const std::string& label, double& value) {
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), value);
  return error == std::errc() && end == label.data() + label.size();
}

// 1 - (observed squared distance) / (expected under independence).
double quadratic_kappa(Outcomes outcomes, const std::vector<std::string>& labels) {
  std::vector<double> values(labels.size(), 0);
  for (std::size_t i = 0; i < labels.size(); ++i) numeric(labels[i], values[i]);
  std::vector<double> truth(labels.size(), 0), predicted(labels.size(), 0);
  double observed = 0, expected = 0, count = 0;
  for (const Outcome& outcome : outcomes) {
    if (outcome.truth < 0) continue;
    const auto t = static_cast<std::size_t>(outcome.truth);
    const auto p = static_cast<std::size_t>(outcome.prediction);
    truth[t] += 1;
    predicted[p] += 1;
    count += 1;
    observed += (values[t] - values[p]) * (values[t] - values[p]);
  }
  for (std::size_t t = 0; t < labels.size(); ++t) {
    for (std::size_t p = 0; p < labels.size(); ++p) {
      expected += truth[t] * predicted[p] / count * (values[t] - values[p]) * (values[t] - values[p]);
    }
  }
  return expected > 0 ? 1 - observed / expected : 1;
}

double mean_error(Outcomes outcomes, double power) {
  double sum = 0;
  for (const Outcome& outcome : outcomes)
    sum += std::pow(std::fabs(outcome.predicted_value - outcome.true_value), power);
  return std::pow(sum / static_cast<double>(outcomes.size()), 1.0 / power);
}

double token_loss(Outcomes outcomes) {
  double sum = 0, tokens = 0;
  for (const Outcome& outcome : outcomes) {
    sum += outcome.predicted_value;
    tokens += outcome.weight;
  }
  return tokens > 0 ? sum / tokens : 0;
}

double class_loss(Outcomes outcomes) {
  double sum = 0, count = 0;
  for (const Outcome& outcome : outcomes) {
    if (outcome.truth < 0) continue;
    sum -= std::log(
        std::max(1e-12, static_cast<double>(outcome.probabilities.at(static_cast<std::size_t>(outcome.truth)))));
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

std::vector<std::string> metrics_of(Task task, const std::vector<std::string>& labels) {
  if (task == Task::kLanguageModel) return {"perplexity", "loss"};
  if (task == Task::kRegress) return {"rmse", "mae"};
  std::vector<std::string> names{"accuracy", "macro_f1", "loss"};
  if (labels.size() == 2) names.emplace_back("average_precision");
  double ignored = 0;
  const bool ordered =
      std::all_of(labels.begin(), labels.end(), [&](const std::string& label) { return numeric(label, ignored); });
  if (ordered && labels.size() > 2) names.emplace_back("qwk");
  return names;
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
  return metric == "accuracy" || metric == "macro_f1" || metric == "average_precision" || metric == "qwk";
}

double score(std::string_view metric, Outcomes outcomes, const std::vector<std::string>& labels, std::size_t positive) {
  if (outcomes.empty()) throw platform::Error(platform::ErrorCode::kInvalidInput, "there are no examples to score");
  if (metric == "accuracy") return accuracy(outcomes);
  if (metric == "macro_f1") return macro_f1(outcomes);
  if (metric == "average_precision") return average_precision(outcomes, positive);
  if (metric == "qwk") return quadratic_kappa(outcomes, labels);
  if (metric == "rmse") return mean_error(outcomes, 2);
  if (metric == "mae") return mean_error(outcomes, 1);
  if (metric == "perplexity") return std::exp(token_loss(outcomes));
  if (metric == "loss") return labels.empty() ? token_loss(outcomes) : class_loss(outcomes);
  throw platform::Error(platform::ErrorCode::kInvalidInput, "unknown metric: " + std::string(metric), "metric");
}

Score score_with_interval(std::string_view metric, Outcomes outcomes, const std::vector<std::string>& labels,
                          std::size_t positive, double confidence, std::uint64_t seed) {
  Score result{std::string(metric), score(metric, outcomes, labels, positive), 0, 0};
  kernels::Random random(seed);
  std::vector<double> values;
  std::vector<Outcome> drawn(outcomes.size());
  for (int i = 0; i < kResamples; ++i) {
    for (Outcome& outcome : drawn) outcome = outcomes[random.below(outcomes.size())];
    values.push_back(score(metric, drawn, labels, positive));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) { return values[static_cast<std::size_t>(share * (kResamples - 1))]; };
  result.low = at((1 - confidence) / 2);
  result.high = at((1 + confidence) / 2);
  return result;
}

}  // namespace finetune
