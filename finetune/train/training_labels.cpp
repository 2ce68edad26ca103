#include "finetune/train/training_labels.h"

#include <algorithm>
#include <set>

#include "finetune/evaluate/label_order.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using Examples = std::vector<const platform::Example*>;
using Labels = std::vector<std::string>;

[[noreturn]] void refuse(const std::string& message) {
  throw platform::Error(platform::ErrorCode::kInvalidInput, message, "labels");
}

std::set<std::string> labels_in(Task task, const Examples& train) {
  std::set<std::string> found;
  for (const platform::Example* example : train) {
    Labels own;
    if (task == Task::kMultilabel) own = example->labels.value_or(Labels{});
    if (has_one_label(task) && example->label) own = {*example->label};
    for (const std::string& label : own) {
      if (label.empty()) refuse("example " + example->id + " has a label without a name; name it, or leave it out");
      found.insert(label);
    }
  }
  return found;
}

void check_list(const Labels& listed) {
  std::set<std::string> seen;
  for (const std::string& label : listed) {
    if (label.empty()) refuse("labels has an empty name; name it, or leave it out");
    if (!seen.insert(label).second) refuse("labels has \"" + label + "\" twice; list each label once");
  }
}

Labels in_order(Task task, Labels labels) {
  if (task != Task::kOrdinal) return labels;
  for (const std::string& label : labels) {
    double ignored = 0;
    if (is_numeric_label(label, ignored)) continue;
    refuse("the order of the labels is not known: \"" + label + "\" is no number; list `labels` from low to high");
  }
  return in_order_of_numbers(std::move(labels));
}

}  // namespace

Labels training_labels(const TrainRequest& request, const Examples& train) {
  if (!has_labels(request.task)) return {};
  check_list(request.labels);
  const std::set<std::string> found = labels_in(request.task, train);
  const Labels labels = request.labels.empty() ? in_order(request.task, {found.begin(), found.end()}) : request.labels;
  for (const std::string& label : found) {
    if (std::find(labels.begin(), labels.end(), label) == labels.end())
      refuse("the training part has a label that is not listed: \"" + label + "\"; add it to `labels`");
  }
  if (labels.size() < 2 && has_one_label(request.task))
    refuse("classification needs at least two labels in the training part");
  if (labels.empty()) refuse("no example of the training part has a label; give `labels`");
  return labels;
}

}  // namespace finetune
