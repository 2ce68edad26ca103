#include "finetune/evaluate/baseline.h"

#include <cmath>
#include <utility>

#include "finetune/evaluate/baseline_target.h"
#include "finetune/evaluate/linear_baseline.h"
#include "finetune/evaluate/nearest.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;
using Answers = std::vector<std::vector<double>>;

constexpr std::size_t kQuestionsBetweenStops = 16;

// Of what is known; NaN where nothing is.
std::vector<double> mean_target(const BaselineTarget& target, const Examples& examples) {
  std::vector<double> count(target.outputs(), 0.0), mean(target.outputs(), 0.0);
  for (const auto* example : examples) {
    const std::vector<double> one = target.of(*example);
    for (std::size_t k = 0; k < one.size(); ++k) count[k] += std::isnan(one[k]) ? 0 : 1;
  }
  for (const auto* example : examples) {
    const std::vector<double> one = target.of(*example);
    for (std::size_t k = 0; k < one.size(); ++k) mean[k] += std::isnan(one[k]) ? 0 : one[k] / count[k];
  }
  for (std::size_t k = 0; k < mean.size(); ++k) mean[k] = count[k] > 0 ? mean[k] : std::nan("");
  return mean;
}

// A step that no training example knows stays where the signal is.
std::vector<double> usual_answer(const BaselineTarget& target, const Examples& train) {
  std::vector<double> usual = mean_target(target, train);
  for (double& each : usual) each = std::isnan(each) ? 0 : each;
  return usual;
}

// One vote of the whole training part keeps every label possible.
std::vector<double> voted(const BaselineTarget& target, const Examples& found, const std::vector<double>& usual) {
  std::vector<double> votes = usual;
  for (const auto* other : found) {
    const std::vector<double> target_of_other = target.of(*other);
    for (std::size_t k = 0; k < votes.size(); ++k) votes[k] += target_of_other[k];
  }
  for (double& vote : votes) vote /= static_cast<double>(found.size()) + 1;
  return votes;
}

Answers nearest_answers(const BaselineRequest& request, const BaselineTarget& target, const NearestExamples& nearest,
                        const Examples& test, const std::vector<double>& usual) {
  Answers answers;
  for (const auto* example : test) {
    if (answers.size() % kQuestionsBetweenStops == 0 && request.should_stop && request.should_stop())
      throw platform::Error(platform::ErrorCode::kCancelled, "the nearest baseline was asked to stop");
    const Examples found = nearest.of(*example);
    if (has_labels(request.task)) {
      answers.push_back(voted(target, found, usual));
      continue;
    }
    answers.push_back(mean_target(target, found));
    for (std::size_t k = 0; k < usual.size(); ++k)
      if (std::isnan(answers.back()[k])) answers.back()[k] = usual[k];
  }
  return answers;
}

Baseline baseline_of(const char* name, const BaselineTarget& target, const Examples& test, const Answers& answers,
                     std::size_t examples) {
  Baseline baseline{name, {}, examples};
  for (std::size_t i = 0; i < test.size(); ++i) baseline.outcomes.push_back(target.outcome(*test[i], answers[i]));
  return baseline;
}

}  // namespace

std::vector<Baseline> baseline_outcomes(const BaselineRequest& request, const Examples& all, const Examples& test) {
  if (request.task == Task::kLanguageModel || test.empty()) return {};
  const BaselineTarget target(request.task, request.labels, request.continues, test.front()->values.size());
  Examples train;
  for (const platform::Example* example : all)
    if (target.stands_in(*example)) train.push_back(example);
  if (train.empty()) return {};
  std::vector<Baseline> baselines;
  const auto add = [&](const char* name, const Answers& answers, std::size_t examples) {
    if (!answers.empty()) baselines.push_back(baseline_of(name, target, test, answers, examples));
  };
  const std::vector<double> usual = usual_answer(target, train);
  if (request.task == Task::kForecast && !request.continues.empty())
    add("last", Answers(test.size(), std::vector<double>(target.outputs(), 0.0)), train.size());
  add(has_labels(request.task) ? "majority" : "mean", Answers(test.size(), usual), train.size());
  add("linear", linear_answers(target, train, test, request.seed, request.should_stop), train.size());
  const NearestExamples nearest(train, test.size(), request.seed);
  add("nearest", nearest_answers(request, target, nearest, test, usual), nearest.kept());
  return baselines;
}

}  // namespace finetune
