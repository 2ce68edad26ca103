// LabelOrder: labels that are numbers, and what the order of a list of labels says. Pure functions; any thread.
#pragma once

#include <string>
#include <vector>

#include "finetune/train/train_config.h"

namespace finetune {

/// True for a label that is a finite number, which goes into `value`.
bool is_numeric_label(const std::string& label, double& value);
/// True where all are numbers; of no labels.
bool all_numeric(const std::vector<std::string>& labels);
/// Labels that are numbers, the smaller first. Throws kInvalidInput naming two that are one number, such as "2" and
/// "2.0", of which none comes first. All must be numbers.
std::vector<std::string> in_order_of_numbers(std::vector<std::string> labels);
/// The labels as the metrics take them. Of an ordinal task the order counts: where its labels are not numbers that rise
/// in it, their places stand for them.
std::vector<std::string> scored_labels(Task task, const std::vector<std::string>& labels);

}  // namespace finetune
