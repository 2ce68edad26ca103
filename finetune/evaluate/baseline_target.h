// BaselineTarget: what a plain model learns of an example, as numbers, and what its numbers say of one. classify and
// ordinal: 1 for the label and 0 for the others; multilabel: 1 for each label that applies; regress: the value;
// forecast: each step's difference from the last sample of the signal that goes on. Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "finetune/evaluate/metrics.h"
#include "platform/dataset/example.h"

namespace finetune {

class BaselineTarget {
 public:
  /// `labels`: of the tasks that have them; `continues` and `horizon`: of a forecast. Borrows `labels`.
  BaselineTarget(Task task, const std::vector<std::string>& labels, std::string continues, std::size_t horizon);

  Task task() const { return task_; }
  std::size_t outputs() const { return outputs_; }
  /// Whether the example can be learned from, as a training would.
  bool stands_in(const platform::Example& example) const;
  /// [outputs]; NaN for a step that is not known. The example must have a target.
  std::vector<double> of(const platform::Example& example) const;
  /// The truth of an example beside an answer: probabilities of labels, or numbers in the units of `of`. Throws
  /// kInvalidInput naming an example without a value.
  Outcome outcome(const platform::Example& example, const std::vector<double>& answer) const;

 private:
  std::int32_t label_index(const std::string& label) const;
  std::optional<double> level_of(const platform::Example& example) const;
  void set_marks(const platform::Example& example, Outcome& outcome) const;

  Task task_;
  const std::vector<std::string>& labels_;
  std::string continues_;
  std::size_t outputs_;
};

}  // namespace finetune
