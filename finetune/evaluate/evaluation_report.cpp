// EvaluationReport (train/training_job.h) as JSON and back.
#include "finetune/train/training_job.h"

namespace finetune {
namespace {

namespace json = platform::json;

json::value to_json(const Score& score) {
  return json::object{{"metric", score.metric}, {"value", score.value}, {"low", score.low}, {"high", score.high}};
}

json::array to_json(const std::vector<Score>& scores) {
  json::array all;
  for (const Score& score : scores) all.push_back(to_json(score));
  return all;
}

std::vector<Score> scores_from(const json::value& value) {
  std::vector<Score> scores;
  for (const json::value& item : platform::as_array(value, "scores")) {
    const json::object& object = platform::as_object(item, "scores");
    scores.push_back(
        {platform::require_string(object, "metric", "scores"), platform::require_number(object, "value", "scores"),
         platform::require_number(object, "low", "scores"), platform::require_number(object, "high", "scores")});
  }
  return scores;
}

std::optional<Score> find_score(const std::vector<Score>& scores, std::string_view metric) {
  for (const Score& score : scores) {
    if (score.metric == metric) return score;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Score> EvaluationReport::score(std::string_view metric) const { return find_score(scores, metric); }

std::optional<Score> EvaluationReport::baseline(std::string_view name, std::string_view metric) const {
  for (const auto& [known, values] : baselines) {
    if (known == name) return find_score(values, metric);
  }
  return std::nullopt;
}

json::value to_json(const EvaluationReport& report) {
  json::object baselines;
  for (const auto& [name, scores] : report.baselines) baselines[name] = to_json(scores);
  json::object examples;
  for (const auto& [name, count] : report.baseline_examples) examples[name] = count;
  return json::object{{"adapter", report.adapter_digest},
                      {"base", report.base_digest},
                      {"dataset", report.dataset_digest},
                      {"split", report.split},
                      {"task", report.task},
                      {"examples", report.examples},
                      {"unknown_labels", report.unknown_labels},
                      {"answers", report.answers},
                      {"positive", report.positive},
                      {"choices", platform::to_json(report.choices)},
                      {"choices_per_character", report.choices_per_character},
                      {"scores", to_json(report.scores)},
                      {"baselines", baselines},
                      {"baseline_examples", examples}};
}

EvaluationReport evaluation_report_from_json(const json::value& value) {
  const json::object& object = platform::as_object(value, "evaluation");
  EvaluationReport report;
  report.adapter_digest = platform::string_or(object, "adapter", "", "evaluation");
  report.base_digest = platform::string_or(object, "base", "", "evaluation");
  report.dataset_digest = platform::string_or(object, "dataset", "", "evaluation");
  report.split = platform::string_or(object, "split", "", "evaluation");
  report.task = platform::string_or(object, "task", "", "evaluation");
  report.examples = platform::int_or(object, "examples", 0, "evaluation");
  report.unknown_labels = platform::int_or(object, "unknown_labels", 0, "evaluation");
  report.answers = platform::int_or(object, "answers", 0, "evaluation");
  report.positive = platform::string_or(object, "positive", "", "evaluation");
  if (const json::value* choices = platform::find(object, "choices"))
    report.choices = platform::strings_from(*choices, "choices");
  report.choices_per_character = platform::bool_or(object, "choices_per_character", false, "evaluation");
  report.scores = scores_from(platform::require(object, "scores", "evaluation"));
  for (const auto& pair : platform::as_object(platform::require(object, "baselines", "evaluation"), "baselines")) {
    report.baselines.emplace_back(std::string(pair.key()), scores_from(pair.value()));
  }
  if (const json::value* counts = platform::find(object, "baseline_examples")) {
    for (const auto& pair : platform::as_object(*counts, "baseline_examples"))
      report.baseline_examples.emplace_back(std::string(pair.key()), pair.value().to_number<std::int64_t>());
  }
  return report;
}

}  // namespace finetune
