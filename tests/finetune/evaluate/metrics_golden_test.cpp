// Every metric beside scikit-learn, sacrebleu and rouge-score: value by value, each with its definition in `note`.
#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "finetune/evaluate/class_metrics.h"
#include "finetune/evaluate/number_metrics.h"
#include "finetune/evaluate/text_metrics.h"
#include "platform/base/json.h"
#include "tests/support/golden_folder.h"

namespace finetune {
namespace {

namespace json = platform::json;
using Inputs = json::object;
using Values = std::vector<double>;

Confusion confusion(const Inputs& inputs) {
  return confusion_of(json::value_to<std::vector<std::int32_t>>(inputs.at("truth")),
                      json::value_to<std::vector<std::int32_t>>(inputs.at("predicted")));
}

Values flat_confusion(const Inputs& inputs) {
  Values flat;
  for (const auto& row : confusion(inputs).counts) flat.insert(flat.end(), row.begin(), row.end());
  return flat;
}

double kappa(const Inputs& inputs) {
  const Confusion table = confusion(inputs);
  return quadratic_kappa(table, Values(table.classes.begin(), table.classes.end()));
}

std::vector<Ranked> ranking(const Inputs& inputs) {
  const auto truth = json::value_to<std::vector<std::int32_t>>(inputs.at("truth"));
  const auto scores = json::value_to<Values>(inputs.at("score"));
  std::vector<Ranked> ranked;
  for (std::size_t i = 0; i < truth.size(); ++i) ranked.push_back({scores[i], truth[i] == 1});
  return ranked;
}

Values truth(const Inputs& inputs) { return json::value_to<Values>(inputs.at("truth")); }
Values predicted(const Inputs& inputs) { return json::value_to<Values>(inputs.at("predicted")); }
std::string text(const Inputs& inputs, const char* key) { return std::string(inputs.at(key).as_string()); }
std::vector<std::string> texts(const Inputs& inputs, const char* key) {
  return json::value_to<std::vector<std::string>>(inputs.at(key));
}
Values numbers(const Overlap& overlap) { return {overlap.precision, overlap.recall, overlap.f1}; }
std::string reference(const Inputs& in) { return text(in, "reference"); }
std::string hypothesis(const Inputs& in) { return text(in, "hypothesis"); }

using Compute = Values (*)(const Inputs&);
const std::map<std::string, Compute, std::less<>> kMetrics{
    {"accuracy", [](const Inputs& in) { return Values{accuracy(confusion(in))}; }},
    {"auroc", [](const Inputs& in) { return Values{auroc(ranking(in))}; }},
    {"average_precision", [](const Inputs& in) { return Values{average_precision(ranking(in))}; }},
    {"balanced_accuracy", [](const Inputs& in) { return Values{balanced_accuracy(confusion(in))}; }},
    {"bleu", [](const Inputs& in) { return Values{character_bleu(texts(in, "references"), texts(in, "hypotheses"))}; }},
    {"brier", [](const Inputs& in) { return Values{brier(ranking(in))}; }},
    {"chrf", [](const Inputs& in) { return Values{chrf(reference(in), hypothesis(in))}; }},
    {"chrf++", [](const Inputs& in) { return Values{chrf(reference(in), hypothesis(in), 2)}; }},
    {"cohen_kappa", [](const Inputs& in) { return Values{cohen_kappa(confusion(in))}; }},
    {"confusion", flat_confusion},
    {"expected_calibration_error", [](const Inputs& in) { return Values{calibration_error(ranking(in))}; }},
    {"log_loss", [](const Inputs& in) { return Values{log_loss(ranking(in))}; }},
    {"macro_f1", [](const Inputs& in) { return Values{macro_f1(confusion(in))}; }},
    {"mae", [](const Inputs& in) { return Values{mean_absolute_error(truth(in), predicted(in))}; }},
    {"matthews", [](const Inputs& in) { return Values{matthews(confusion(in))}; }},
    {"median_absolute_error", [](const Inputs& in) { return Values{median_absolute_error(truth(in), predicted(in))}; }},
    {"micro_f1", [](const Inputs& in) { return Values{micro_f1(confusion(in))}; }},
    {"pinball",
     [](const Inputs& in) {
       return Values{pinball_loss(truth(in), predicted(in), in.at("quantile").to_number<double>())};
     }},
    {"quadratic_weighted_kappa", [](const Inputs& in) { return Values{kappa(in)}; }},
    {"r2", [](const Inputs& in) { return Values{explained_share(truth(in), predicted(in))}; }},
    {"rmse", [](const Inputs& in) { return Values{root_mean_square_error(truth(in), predicted(in))}; }},
    {"rouge1", [](const Inputs& in) { return numbers(rouge_n(reference(in), hypothesis(in), 1)); }},
    {"rouge2", [](const Inputs& in) { return numbers(rouge_n(reference(in), hypothesis(in), 2)); }},
    {"rougeL", [](const Inputs& in) { return numbers(rouge_l(reference(in), hypothesis(in))); }},
    {"weighted_f1", [](const Inputs& in) { return Values{weighted_f1(confusion(in))}; }},
};

// A number, a list or a list of lists as one row.
void flatten(const json::value& value, Values& into) {
  if (!value.is_array()) return into.push_back(value.to_number<double>());
  for (const json::value& item : value.get_array()) flatten(item, into);
}

TEST(MetricsGolden, EveryValueIsThatOfTheOtherLibraries) {
  SKIP_WITHOUT_GOLDEN("numbers/metrics.json");
  std::size_t checked = 0;
  const json::value rows = platform::read_json_file(support::golden_paths("numbers/metrics.json").front());
  for (const json::value& row : rows.as_array()) {
    const std::string name = text(row.as_object(), "metric");
    const auto found = kMetrics.find(name);
    ASSERT_NE(found, kMetrics.end()) << "no function for " << name;
    Values wanted;
    flatten(row.at("value"), wanted);
    const Values got = found->second(row.at("inputs").as_object());
    ASSERT_EQ(got.size(), wanted.size()) << name;
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], wanted[i], 1e-10 * std::max(1.0, std::fabs(wanted[i]))) << name << " " << i;
    ++checked;
  }
  std::cout << "cases checked: " << checked << "\n";
}

}  // namespace
}  // namespace finetune
