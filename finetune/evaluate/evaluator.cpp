#include <algorithm>
#include <chrono>
#include <iterator>

#include "finetune/adapter/reference.h"
#include "finetune/evaluate/answers.h"
#include "finetune/evaluate/baseline.h"
#include "finetune/evaluate/metrics.h"
#include "finetune/train/training_job.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

constexpr std::int64_t kBatchTokens = 4096;

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

std::vector<std::int32_t> truths_of(const std::vector<std::string>& labels,
                                    const std::vector<const platform::Example*>& examples) {
  std::vector<std::int32_t> truths;
  for (const platform::Example* example : examples) {
    const auto found = std::find(labels.begin(), labels.end(), example->label.value_or(""));
    truths.push_back(found == labels.end() ? -1 : static_cast<std::int32_t>(found - labels.begin()));
  }
  return truths;
}

std::vector<Score> all_scores(Task task, const std::vector<std::string>& labels, const std::vector<Outcome>& outcomes,
                              std::size_t positive, const EvaluateRequest& request) {
  std::vector<std::string> names = outcomes.front().preference ? preference_metrics() : metrics_of(task, labels);
  std::vector<Outcome> asked;
  std::copy_if(outcomes.begin(), outcomes.end(), std::back_inserter(asked),
               [](const Outcome& outcome) { return outcome.answer.has_value(); });
  if (!asked.empty()) names.insert(names.end(), answer_metrics().begin(), answer_metrics().end());
  const auto is_of_answers = [](const std::string& name) {
    return std::find(answer_metrics().begin(), answer_metrics().end(), name) != answer_metrics().end();
  };
  std::vector<Score> scores;
  for (const std::string& metric : names) {
    if (request.should_stop && request.should_stop())
      throw Error(ErrorCode::kCancelled, "the evaluation was asked to stop");
    scores.push_back(score_with_interval(metric, is_of_answers(metric) ? asked : outcomes, labels, positive,
                                         request.confidence, request.seed));
  }
  return scores;
}

json::object to_json(const AnswerScores& scores) {
  return {{"exact_match", scores.exact_match}, {"token_f1", scores.token_f1}, {"rouge_1", scores.rouge_1},
          {"rouge_2", scores.rouge_2},         {"rouge_l", scores.rouge_l},   {"chrf", scores.chrf}};
}

using Answers = std::vector<std::optional<std::string>>;

void write_predictions(const std::filesystem::path& file, Task task, const std::vector<std::string>& labels,
                       const std::vector<const platform::Example*>& examples, const std::vector<Outcome>& outcomes,
                       const Answers& answers) {
  std::string lines;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    json::object line{{"id", examples[i]->id}};
    if (task == Task::kClassify) {
      json::object probabilities;
      for (std::size_t k = 0; k < labels.size(); ++k)
        probabilities[labels[k]] = static_cast<double>(outcome.probabilities[k]);
      line["truth"] = examples[i]->label.value_or("");
      line["prediction"] = labels[static_cast<std::size_t>(outcome.prediction)];
      line["probabilities"] = std::move(probabilities);
    } else if (task == Task::kRegress) {
      line["truth"] = outcome.true_value;
      line["prediction"] = outcome.predicted_value;
    } else {
      line["loss"] = outcome.predicted_value;
      line["tokens"] = outcome.weight;
      json::object scores;
      if (outcome.answer) {
        line["truth"] = wanted_answer(*examples[i]).value_or("");
        line["prediction"] = *answers[i];
        scores = to_json(*outcome.answer);
      }
      if (outcome.preference) {
        scores["reward_accuracy"] = outcome.preference->margin > 0 ? 1.0 : 0.0;
        scores["reward_margin"] = outcome.preference->margin;
      }
      if (!scores.empty()) line["scores"] = std::move(scores);
    }
    lines += platform::canonical_json(line) + "\n";
  }
  platform::write_file_atomically(file, lines);
}

// What the adapter was trained for; a bare base, and adapters from before there was a choice, for sft.
Objective objective_of(const Manifest& manifest) {
  if (!manifest.training.is_object()) return {};
  const json::value* config = platform::find(manifest.training.get_object(), "config");
  return config != nullptr && config->is_object() ? objective_from_json(config->get_object()) : Objective{};
}

// Pairs and single answers have scores of their own, which do not mix.
void check_one_kind(const std::vector<const platform::Example*>& examples) {
  const bool pairs = examples.front()->chosen.has_value();
  for (const platform::Example* example : examples) {
    if (example->chosen.has_value() == pairs) continue;
    throw Error(ErrorCode::kInvalidInput,
                "example " + example->id + " is " + (pairs ? "no pair" : "a pair") +
                    " of answers (chosen and rejected), and those before it are " + (pairs ? "" : "not") +
                    "; score them in files of their own",
                "chosen");
  }
}

std::vector<Outcome> outcomes_of_part(kernels::Context& context, LoadedAdapter& loaded,
                                      const std::vector<const platform::Example*>& scored,
                                      const EvaluateRequest& request) {
  check_one_kind(scored);
  std::vector<EncodedExample> encoded;
  for (const platform::Example* example : scored) encoded.push_back(encode_example(loaded.rules(), *example, true));
  const Objective objective = objective_of(loaded.manifest);
  if (objective.kind == ObjectiveKind::kDpo && scored.front()->chosen)
    set_reference_margins(context, *loaded.model, encoded, kBatchTokens, request.should_stop);
  return outcomes_of(loaded.parts->task, encoded,
                     outputs_of(context, *loaded.model, encoded, kBatchTokens, request.should_stop), objective);
}

// Returns how many there are.
std::int64_t add_answers(const std::vector<const platform::Example*>& examples, const Answers& answers,
                         std::vector<Outcome>& outcomes) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i]) continue;
    outcomes[i].answer = score_answer(wanted_answer(*examples[i]).value_or(""), *answers[i]);
    ++count;
  }
  return count;
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
  return json::object{{"adapter", report.adapter_digest},
                      {"base", report.base_digest},
                      {"dataset", report.dataset_digest},
                      {"split", report.split},
                      {"task", report.task},
                      {"examples", report.examples},
                      {"answers", report.answers},
                      {"positive", report.positive},
                      {"scores", to_json(report.scores)},
                      {"baselines", baselines}};
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
  report.answers = platform::int_or(object, "answers", 0, "evaluation");
  report.positive = platform::string_or(object, "positive", "", "evaluation");
  report.scores = scores_from(platform::require(object, "scores", "evaluation"));
  for (const auto& pair : platform::as_object(platform::require(object, "baselines", "evaluation"), "baselines")) {
    report.baselines.emplace_back(std::string(pair.key()), scores_from(pair.value()));
  }
  return report;
}

EvaluationReport evaluate_adapter(const EvaluateRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  kernels::Context context = kernels::Context::cpu(request.threads);
  LoadedAdapter loaded = load_adapter(context, request.base_folder, request.adapter_folder);
  const std::vector<platform::Example> examples = read_examples(request.dataset);
  const platform::Split split = platform::split_from(request.split);
  std::vector<const platform::Example*> scored, train;
  for (const platform::Example& example : examples) {
    if (example.split == split) scored.push_back(&example);
    if (example.split == platform::Split::kTrain) train.push_back(&example);
  }
  if (scored.empty())
    throw Error(ErrorCode::kInvalidInput, "the dataset has no example in its part \"" + request.split + "\"", "split");
  std::vector<Outcome> outcomes = outcomes_of_part(context, loaded, scored, request);
  const Task task = loaded.parts->task;
  const std::vector<std::string>& labels = loaded.parts->labels;
  const std::size_t positive =
      positive_class(loaded.manifest.profile, labels, truths_of(labels, train.empty() ? scored : train));
  EvaluationReport report;
  report.adapter_digest = loaded.adapter_digest;
  report.base_digest = loaded.base->digest;
  report.dataset_digest = platform::digest_of_file(request.dataset);
  report.split = request.split;
  report.task = std::string(to_string(task));
  report.examples = static_cast<std::int64_t>(scored.size());
  Answers answers;
  if (task == Task::kLanguageModel && request.answers > 0) {
    answers = answers_of(context, loaded, scored, {request.answers, request.answer_tokens}, request.should_stop);
    report.answers = add_answers(scored, answers, outcomes);
  }
  if (task == Task::kClassify && !labels.empty()) report.positive = labels[positive];
  report.scores = all_scores(task, labels, outcomes, positive, request);
  if (request.baselines) {
    for (const auto& [name, predicted] : baseline_outcomes(task, labels, train, scored, request.seed)) {
      report.baselines.emplace_back(name, all_scores(task, labels, predicted, positive, request));
    }
  }
  if (!request.predictions_file.empty())
    write_predictions(request.predictions_file, task, labels, scored, outcomes, answers);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace finetune
