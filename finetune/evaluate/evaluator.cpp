#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <set>

#include "finetune/adapter/reference.h"
#include "finetune/evaluate/answers.h"
#include "finetune/evaluate/baseline.h"
#include "finetune/evaluate/choices.h"
#include "finetune/evaluate/label_order.h"
#include "finetune/evaluate/metrics.h"
#include "finetune/evaluate/nearest.h"
#include "finetune/train/training_job.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;
using Examples = std::vector<const platform::Example*>;
using Answers = std::vector<std::optional<std::string>>;
using Labels = std::vector<std::string>;

constexpr std::int64_t kBatchTokens = 4096;

std::vector<std::int32_t> truths_of(const Labels& labels, const Examples& examples) {
  std::vector<std::int32_t> truths;
  for (const platform::Example* example : examples) {
    const auto found = std::find(labels.begin(), labels.end(), example->label.value_or(""));
    truths.push_back(found == labels.end() ? -1 : static_cast<std::int32_t>(found - labels.begin()));
  }
  return truths;
}

// The metrics of a choice among answers, whose `loss` is that of the tokens.
std::vector<std::string> choice_metrics(const Labels& choices) {
  std::vector<std::string> names = metrics_of(Task::kClassify, choices);
  names.erase(std::remove(names.begin(), names.end(), "loss"), names.end());
  return names;
}

template <typename Has>
std::vector<Outcome> those(const std::vector<Outcome>& outcomes, const Has& has) {
  std::vector<Outcome> chosen;
  std::copy_if(outcomes.begin(), outcomes.end(), std::back_inserter(chosen), has);
  return chosen;
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
  return outcomes_of(*loaded.parts, encoded,
                     outputs_of(context, *loaded.model, encoded, kBatchTokens, request.should_stop), objective);
}

// One run of an evaluation: what is scored, and the scores so far.
class Evaluation {
 public:
  Evaluation(const EvaluateRequest& request, kernels::Context& context, LoadedAdapter& loaded,
             const std::vector<platform::Example>& examples)
      : request_(request),
        context_(context),
        loaded_(loaded),
        task_(loaded.parts->task),
        labels_(loaded.parts->labels) {
    const platform::Split split = platform::split_from(request.split);
    for (const platform::Example& example : examples) {
      if (example.split == split) scored_.push_back(&example);
      if (example.split == platform::Split::kTrain) train_.push_back(&example);
    }
    if (scored_.empty())
      throw Error(ErrorCode::kInvalidInput, "the dataset has no example in its part \"" + request.split + "\"",
                  "split");
    if (split == platform::Split::kValidation && loaded.manifest.side_size.members > 0)
      throw Error(
          ErrorCode::kInvalidInput,
          "the network beside the base of this adapter was fitted to the validation part too, which would judge "
          "itself; score the part test, or train with side_network: false",
          "split");
    if (split == platform::Split::kValidation && !loaded.parts->memory.empty())
      throw Error(ErrorCode::kInvalidInput,
                  "this adapter remembers the answers of the validation part too, which would judge itself; score the "
                  "part test, or train with remembered_answers: 0",
                  "split");
    if (request.choices.empty()) return;
    if (task_ != Task::kLanguageModel)
      throw Error(ErrorCode::kInvalidInput, "choices are for a language model; this adapter has labels", "choices");
    report_.choices = resolved_choices(request.choices, train_, scored_);
    report_.choices_per_character = request.choices_per_character;
  }

  EvaluationReport run() {
    outcomes_ = outcomes_of_part(context_, loaded_, scored_, request_);
    report_.split = request_.split;
    report_.task = std::string(to_string(task_));
    report_.examples = static_cast<std::int64_t>(scored_.size());
    task_ == Task::kLanguageModel ? score_language_model() : score_values();
    if (!request_.predictions_file.empty()) write_predictions();
    return std::move(report_);
  }

 private:
  std::vector<Score> scores_of(const std::vector<std::string>& names, const std::vector<Outcome>& outcomes,
                               const Labels& labels, std::size_t positive) const {
    std::vector<Score> scores;
    for (const std::string& metric : names) {
      if (request_.should_stop && request_.should_stop())
        throw Error(ErrorCode::kCancelled, "the evaluation was asked to stop");
      if (!is_defined(metric, outcomes, labels, positive)) continue;
      scores.push_back(score_with_interval(metric, outcomes, labels, positive, request_.confidence, request_.seed));
    }
    return scores;
  }

  void add_baseline(const Baseline& baseline, std::vector<Score> scores) {
    report_.baselines.emplace_back(baseline.name, std::move(scores));
    report_.baseline_examples.emplace_back(baseline.name, static_cast<std::int64_t>(baseline.examples));
  }

  // Heads: classes and numbers.
  void score_values() {
    const std::size_t positive =
        positive_class(loaded_.manifest.profile, labels_, truths_of(labels_, train_.empty() ? scored_ : train_));
    std::vector<std::string> names = metrics_of(task_, labels_);
    if (!loaded_.parts->form.quantiles.empty())
      names.insert(names.end(), quantile_metrics().begin(), quantile_metrics().end());
    const Labels labels = scored_labels(task_, labels_);
    if (has_one_label(task_) && !labels_.empty()) report_.positive = labels_[positive];
    report_.unknown_labels = std::count_if(outcomes_.begin(), outcomes_.end(), [&](const Outcome& outcome) {
      return has_one_label(task_) ? outcome.truth < 0 : outcome.unknown_labels > 0;
    });
    report_.scores = scores_of(names, outcomes_, labels, positive);
    if (!request_.baselines) return;
    const BaselineRequest asked{task_, labels_, loaded_.parts->form.continues, request_.seed, request_.should_stop};
    for (const Baseline& baseline : baseline_outcomes(asked, train_, scored_))
      add_baseline(baseline, scores_of(names, baseline.outcomes, labels, positive));
  }

  void score_language_model() {
    const bool pairs = outcomes_.front().preference.has_value();
    report_.scores = scores_of(pairs ? preference_metrics() : metrics_of(task_, {}), outcomes_, {}, 0);
    if (pairs) return;
    questions_ = questions_in(train_);
    for (const platform::Example& question : questions_) train_questions_.push_back(&question);
    if (!report_.choices.empty()) score_choices();
    if (request_.answers > 0) score_answers();
  }

  static std::vector<platform::Example> questions_in(const Examples& examples) {
    std::vector<platform::Example> questions;
    for (const platform::Example* example : examples) {
      if (auto question = question_of(*example)) questions.push_back(std::move(*question));
    }
    return questions;
  }

  void score_choices() {
    const Labels& choices = report_.choices;
    add_choices(context_, loaded_, scored_, choices,
                request_.choices_per_character ? ChoiceScore::kPerCharacter : ChoiceScore::kSum, request_.should_stop,
                outcomes_);
    const std::vector<platform::Example> questions = questions_in(scored_);
    Examples asked;
    for (const platform::Example& question : questions) asked.push_back(&question);
    if (asked.empty()) return;
    const std::size_t positive = positive_class(
        loaded_.manifest.profile, choices, truths_of(choices, train_questions_.empty() ? asked : train_questions_));
    report_.positive = choices[positive];
    const std::vector<std::string> names = choice_metrics(choices);
    append(report_.scores,
           scores_of(names, those(outcomes_, [](const Outcome& one) { return !one.probabilities.empty(); }), choices,
                     positive));
    if (!request_.baselines) return;
    const BaselineRequest plain{Task::kClassify, choices, {}, request_.seed, request_.should_stop};
    for (const Baseline& baseline : baseline_outcomes(plain, train_questions_, asked))
      add_baseline(baseline, scores_of(names, baseline.outcomes, choices, positive));
  }

  void score_answers() {
    answers_ = answers_of(context_, loaded_, scored_, {request_.answers, request_.answer_tokens}, request_.should_stop);
    same_ = same_questions(scored_);
    std::set<std::size_t> known;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (!answers_[i]) continue;
      outcomes_[i].answer = scored_answer(i, *answers_[i], known);
      ++report_.answers;
    }
    if (report_.answers == 0) return;
    append(report_.scores, answer_scores(outcomes_));
    if (request_.baselines && !train_questions_.empty()) add_copied_answers();
  }

  // `known`: the questions of which a score that counts once a question is there.
  AnswerScores scored_answer(std::size_t i, std::string_view answer, std::set<std::size_t>& known) const {
    const std::string wanted = wanted_answer(*scored_[i]).value_or("");
    AnswerScores scores = score_answer(wanted, answer, same_.others(i, wanted));
    if (!known.insert(same_.question[i]).second) scores.lcs_f1.reset();
    return scores;
  }

  std::vector<Score> answer_scores(const std::vector<Outcome>& outcomes) const {
    const auto asked = those(outcomes, [](const Outcome& one) { return one.answer.has_value(); });
    const auto once = those(asked, [](const Outcome& one) { return one.answer->lcs_f1.has_value(); });
    std::vector<Score> scores;
    for (const std::string& metric : answer_metrics())
      append(scores, scores_of({metric}, metric == "lcs_f1" ? once : asked, {}, 0));
    return scores;
  }

  // The answer of the nearest training question to each example that was asked.
  void add_copied_answers() {
    const NearestExamples nearest(train_questions_, static_cast<std::size_t>(report_.answers), request_.seed);
    std::vector<Outcome> copied;
    std::set<std::size_t> known;
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      if (!answers_[i]) continue;
      copied.emplace_back();
      copied.back().answer = scored_answer(i, nearest.of(*question_of(*scored_[i])).front()->label.value_or(""), known);
    }
    std::vector<Score> scores = answer_scores(copied);
    for (auto& [name, others] : report_.baselines) {
      if (name == "nearest") return append(others, std::move(scores));
    }
    add_baseline({"nearest", {}, nearest.kept()}, std::move(scores));
  }

  static void append(std::vector<Score>& to, std::vector<Score> scores) {
    to.insert(to.end(), std::make_move_iterator(scores.begin()), std::make_move_iterator(scores.end()));
  }

  static json::object probabilities_of(const Labels& labels, const Outcome& outcome) {
    json::object probabilities;
    for (std::size_t k = 0; k < labels.size(); ++k)
      probabilities[labels[k]] = static_cast<double>(outcome.probabilities[k]);
    return probabilities;
  }

  json::object language_model_line(std::size_t i) const {
    const Outcome& outcome = outcomes_[i];
    json::object line{{"loss", outcome.predicted_value}, {"tokens", outcome.weight}};
    const bool chosen = !outcome.probabilities.empty();
    if (outcome.answer) {
      line[chosen ? "answer" : "prediction"] = *answers_[i];
      line["scores"] = to_json(*outcome.answer);
    }
    if (outcome.preference) {
      line["scores"] = json::object{{"reward_accuracy", outcome.preference->margin > 0 ? 1.0 : 0.0},
                                    {"reward_margin", outcome.preference->margin}};
    }
    if (outcome.answer || chosen) line["truth"] = wanted_answer(*scored_[i]).value_or("");
    if (chosen) {
      line["prediction"] = report_.choices[static_cast<std::size_t>(outcome.prediction)];
      line["probabilities"] = probabilities_of(report_.choices, outcome);
    }
    return line;
  }

  static json::object to_json(const AnswerScores& scores) {
    json::object values{{"exact_match", scores.exact_match}, {"token_f1", scores.token_f1}, {"rouge_1", scores.rouge_1},
                        {"rouge_2", scores.rouge_2},         {"rouge_l", scores.rouge_l},   {"chrf", scores.chrf}};
    if (scores.lcs_f1) values["lcs_f1"] = *scores.lcs_f1;
    return values;
  }

  static json::array numbers_or_null(const std::vector<double>& values) {
    json::array all;
    for (const double value : values) all.push_back(std::isfinite(value) ? json::value(value) : json::value(nullptr));
    return all;
  }

  json::object marks_line(const Outcome& outcome) const {
    json::array truth, prediction;
    for (std::size_t k = 0; k < labels_.size(); ++k) {
      if (outcome.marks[k] > 0.5f) truth.emplace_back(labels_[k]);
      if (outcome.probabilities[k] >= 0.5f) prediction.emplace_back(labels_[k]);
    }
    return {{"truth", std::move(truth)},
            {"prediction", std::move(prediction)},
            {"probabilities", probabilities_of(labels_, outcome)}};
  }

  static json::object regress_line(const Outcome& outcome) {
    json::object line{{"truth", outcome.true_value}, {"prediction", outcome.predicted_value}};
    if (outcome.quantiles.empty()) return line;
    json::array quantiles;
    for (std::size_t k = 0; k < outcome.quantiles.size(); ++k)
      quantiles.push_back(json::object{{"quantile", outcome.quantiles[k]}, {"value", outcome.predicted_values[k]}});
    line["quantiles"] = std::move(quantiles);
    return line;
  }

  json::object value_line(std::size_t i) const {
    const Outcome& outcome = outcomes_[i];
    if (task_ == Task::kMultilabel) return marks_line(outcome);
    if (task_ == Task::kForecast)
      return {{"truth", numbers_or_null(outcome.true_values)},
              {"prediction", numbers_or_null(outcome.predicted_values)}};
    if (task_ == Task::kRegress) return regress_line(outcome);
    return {{"truth", scored_[i]->label.value_or("")},
            {"prediction", labels_[static_cast<std::size_t>(outcome.prediction)]},
            {"probabilities", probabilities_of(labels_, outcome)}};
  }

  void write_predictions() const {
    std::string lines;
    for (std::size_t i = 0; i < outcomes_.size(); ++i) {
      json::object line = task_ == Task::kLanguageModel ? language_model_line(i) : value_line(i);
      line["id"] = scored_[i]->id;
      lines += platform::canonical_json(line) + "\n";
    }
    platform::write_file_atomically(request_.predictions_file, lines);
  }

  const EvaluateRequest& request_;
  kernels::Context& context_;
  LoadedAdapter& loaded_;
  const Task task_;
  const Labels& labels_;
  Examples scored_, train_;
  std::vector<platform::Example> questions_;  // lm: the training part without its answers, which are labels
  Examples train_questions_;
  std::vector<Outcome> outcomes_;
  Answers answers_;
  SameQuestions same_;
  EvaluationReport report_;
};

// The file of predictions is replaced; it must not be what it is made from.
void check_predictions_place(const EvaluateRequest& request) {
  std::error_code absent;
  if (request.predictions_file.empty()) return;
  if (!std::filesystem::equivalent(request.predictions_file, request.dataset, absent)) return;
  throw Error(ErrorCode::kInvalidInput,
              "the predictions would replace the examples that they are made for: " +
                  request.predictions_file.string() + "; give another file",
              "predictions");
}

}  // namespace

EvaluationReport evaluate_adapter(const EvaluateRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  check_predictions_place(request);
  kernels::Context context = kernels::Context::cpu(request.threads);
  const auto adapter = request.adapter_folder.empty() ? std::nullopt : std::optional(request.adapter_folder);
  LoadedAdapter loaded = load_adapter(context, request.base_folder, adapter);
  const std::vector<platform::Example> examples = read_examples(request.dataset);
  EvaluationReport report = Evaluation(request, context, loaded, examples).run();
  report.adapter_digest = loaded.adapter_digest;
  report.base_digest = loaded.base->digest;
  report.dataset_digest = platform::digest_of_file(request.dataset);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

}  // namespace finetune
