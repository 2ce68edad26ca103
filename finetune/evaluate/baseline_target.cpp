#include "finetune/evaluate/baseline_target.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "finetune/train/example_encoding.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double value_of(const platform::Example& example) {
  if (example.value) return *example.value;
  throw platform::Error(platform::ErrorCode::kInvalidInput, "example " + example.id + " has no value", "value");
}

}  // namespace

BaselineTarget::BaselineTarget(Task task, const std::vector<std::string>& labels, std::string continues,
                               std::size_t horizon)
    : task_(task),
      labels_(labels),
      continues_(std::move(continues)),
      outputs_(has_labels(task)          ? labels.size()
               : task == Task::kForecast ? horizon
                                         : 1) {}

std::int32_t BaselineTarget::label_index(const std::string& label) const {
  const auto found = std::find(labels_.begin(), labels_.end(), label);
  return found == labels_.end() ? -1 : static_cast<std::int32_t>(found - labels_.begin());
}

std::optional<double> BaselineTarget::level_of(const platform::Example& example) const {
  if (continues_.empty()) return 0;
  const auto signal = example.signals.find(continues_);
  return signal == example.signals.end() ? std::nullopt : last_known(signal->second.values);
}

bool BaselineTarget::stands_in(const platform::Example& example) const {
  if (task_ == Task::kRegress) return example.value.has_value();
  if (task_ == Task::kMultilabel) return example.labels.has_value();
  if (task_ != Task::kForecast) return example.label && label_index(*example.label) >= 0;
  return example.values.size() == outputs_ && level_of(example) &&
         std::any_of(example.values.begin(), example.values.end(), [](const auto& each) { return each.has_value(); });
}

std::vector<double> BaselineTarget::of(const platform::Example& example) const {
  std::vector<double> target(outputs_, 0.0);
  if (task_ == Task::kRegress) target[0] = value_of(example);
  if (has_one_label(task_)) target.at(static_cast<std::size_t>(label_index(*example.label))) = 1;
  if (task_ == Task::kMultilabel) {
    for (const std::string& label : *example.labels)
      if (const std::int32_t index = label_index(label); index >= 0) target[static_cast<std::size_t>(index)] = 1;
  }
  if (task_ != Task::kForecast) return target;
  const double level = level_of(example).value_or(0);
  for (std::size_t i = 0; i < outputs_; ++i) target[i] = example.values[i] ? *example.values[i] - level : kUnknown;
  return target;
}

void BaselineTarget::set_marks(const platform::Example& example, Outcome& outcome) const {
  outcome.marks.assign(outputs_, 0.0f);
  for (const std::string& label : example.labels.value_or(std::vector<std::string>{})) {
    const std::int32_t index = label_index(label);
    if (index < 0)
      ++outcome.unknown_labels;
    else
      outcome.marks[static_cast<std::size_t>(index)] = 1.0f;
  }
}

Outcome BaselineTarget::outcome(const platform::Example& example, const std::vector<double>& answer) const {
  Outcome outcome;
  if (task_ == Task::kRegress) {
    outcome.true_value = value_of(example);
    outcome.predicted_value = answer[0];
    return outcome;
  }
  if (task_ == Task::kForecast) {
    const double level = level_of(example).value_or(0);
    for (std::size_t i = 0; i < outputs_; ++i) {
      outcome.true_values.push_back(example.values.at(i).value_or(kUnknown));
      outcome.predicted_values.push_back(level + answer[i]);
    }
    return outcome;
  }
  outcome.probabilities.assign(answer.begin(), answer.end());
  if (task_ == Task::kMultilabel) {
    set_marks(example, outcome);
    return outcome;
  }
  outcome.truth = label_index(example.label.value_or(""));
  outcome.prediction = static_cast<std::int32_t>(std::max_element(answer.begin(), answer.end()) - answer.begin());
  return outcome;
}

}  // namespace finetune
