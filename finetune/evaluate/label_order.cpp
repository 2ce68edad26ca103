#include "finetune/evaluate/label_order.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "platform/base/error.h"

namespace finetune {
namespace {

double number_of(const std::string& label) {
  double value = 0;
  is_numeric_label(label, value);
  return value;
}

}  // namespace

bool is_numeric_label(const std::string& label, double& value) {
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), value);
  return error == std::errc() && end == label.data() + label.size() && std::isfinite(value);
}

bool all_numeric(const std::vector<std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [](const std::string& label) {
    double ignored = 0;
    return is_numeric_label(label, ignored);
  });
}

std::vector<std::string> in_order_of_numbers(std::vector<std::string> labels) {
  const auto smaller = [](const std::string& a, const std::string& b) { return number_of(a) < number_of(b); };
  std::stable_sort(labels.begin(), labels.end(), smaller);
  for (std::size_t i = 1; i < labels.size(); ++i) {
    if (smaller(labels[i - 1], labels[i])) continue;
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "the labels \"" + labels[i - 1] + "\" and \"" + labels[i] +
                              "\" are the same number, so that none comes first; spell them alike, or list `labels` "
                              "from low to high",
                          "labels");
  }
  return labels;
}

std::vector<std::string> scored_labels(Task task, const std::vector<std::string>& labels) {
  if (task != Task::kOrdinal) return labels;
  const auto falls = [](const std::string& a, const std::string& b) { return number_of(a) >= number_of(b); };
  if (all_numeric(labels) && std::adjacent_find(labels.begin(), labels.end(), falls) == labels.end()) return labels;
  std::vector<std::string> places;
  for (std::size_t k = 0; k < labels.size(); ++k) places.push_back(std::to_string(k));
  return places;
}

}  // namespace finetune
