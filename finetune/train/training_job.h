// The door for workflow steps and commands: one call trains an adapter from a base folder and a file of examples,
// another scores it. Both run on the calling thread with their own compute threads and touch nothing but the folders
// they are given.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "finetune/train/train_config.h"
#include "platform/base/json.h"

namespace finetune {

/// What is known after an optimizer step or a validation pass.
struct TrainProgress {
  std::int64_t step = 0;
  std::int64_t total_steps = 0;
  double epoch = 0;
  double loss = 0;  // of this step, per supervised token or example
  double learning_rate = 0;
  double gradient_norm = 0;
  double tokens_per_second = 0;
  double step_seconds = 0;  // what this step has computed, without validation and checkpoint
  double seconds_left = 0;
  std::optional<double> validation_loss;    // set after a validation pass; not for regress
  std::optional<double> validation_metric;  // its `metric`
  std::optional<double> reward_accuracy;    // dpo, orpo: set after a validation pass
  std::optional<double> reward_margin;      // likewise
  std::string metric;
};

/// Told about progress; asked whether to go on. Called on the training thread. Interface for a worker's heartbeat.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void on_step(const TrainProgress&) {}
  /// What a person should know of the data before the first step (fields that nothing reads, examples that stand in two
  /// parts or teach nothing, a metric that the validation part says nothing of), or of the adapter after the last; no
  /// error. A sentence.
  virtual void on_notice(const std::string&) {}
  /// True: save a checkpoint and leave with Error kCancelled. Asked before every micro-batch, in validation too.
  virtual bool should_stop() { return false; }
};

struct TrainRequest {
  std::filesystem::path base_folder;
  std::filesystem::path dataset;  // JSON lines of platform::Example, the parts in `split`
  Task task = Task::kClassify;
  std::vector<std::string> labels;  // classify: order of the classes; empty = every label of the train part, sorted
  TrainConfig config;
  /// An adapter to go on from, ours or PEFT's (train/parent_adapter.h); empty = a fresh start.
  std::filesystem::path init_adapter;
  std::filesystem::path work_folder;    // checkpoint; a run that finds one goes on from it; empty = output + ".work"
  std::filesystem::path output_folder;  // the adapter; replaced when training is done
  platform::json::value profile;        // carried in the manifest, not read
  std::uint64_t seed = 1;
  int threads = 0;  // 0 = one per core
};

struct TrainResult {
  std::string adapter_digest;  // "sha256:..." of anneal.json
  std::string base_digest;
  std::int64_t steps = 0;
  std::int64_t best_step = 0;
  std::int64_t skipped_steps = 0;  // non-finite gradients; ten in a row end a training with an error
  double seconds = 0;              // of this process
  double tokens_per_second = 0;
  std::int64_t trained_parameters = 0;
  std::optional<double> validation_metric;  // of the best checkpoint
  std::string metric;
};

/// Trains and writes the adapter folder. With the same request, machine type and threads the folder's bytes are the
/// same, however often the run was interrupted. Throws kCancelled (resumable) when the observer asks to stop,
/// kInvalidInput when the data do not fit the task (train/training_checks.h) or when steps in a row have no finite
/// gradients, kConflict when the checkpoint belongs to another request, when the
/// output is there and is no adapter, or when `init_adapter` is another adapter than the request asks for.
TrainResult train_adapter(const TrainRequest& request, TrainObserver& observer);
/// Deletes the checkpoint of a training that is done, and its work folder if nothing else is in it.
void remove_checkpoint(const TrainRequest& request);

struct EvaluateRequest {
  std::filesystem::path base_folder;
  std::filesystem::path adapter_folder;  // empty: the bare base, as a language model
  std::filesystem::path dataset;
  std::string split = "test";
  /// JSON lines {id, truth, prediction, ...}, of an adapter that tells quantiles with quantiles: [{quantile, value}];
  /// empty = none.
  std::filesystem::path predictions_file;
  bool baselines = true;  // trains the plain models on the train part for comparison
  double confidence = 0.95;
  std::uint64_t seed = 1;  // of the bootstrap
  int threads = 0;
  std::int64_t answers = 500;        // lm: examples whose answer is written and scored; 0 = none
  std::int64_t answer_tokens = 256;  // of the longest answer
  /// lm: a closed set of answers, of which the model is asked for the most likely one; {"auto"}: those of the training
  /// part, at most 100; empty: it is not asked. See evaluate/choices.h.
  std::vector<std::string> choices;
  bool choices_per_character = false;  // compare log probabilities divided by the answers' lengths
  std::function<bool()> should_stop;   // asked between batches and metrics; true: leave with Error kCancelled
};

/// One score with its bootstrap interval.
struct Score {
  std::string metric;  // a name that score() in evaluate/metrics.h knows
  double value = 0;
  double low = 0;
  double high = 0;
};

struct EvaluationReport {
  std::string adapter_digest;
  std::string base_digest;
  std::string dataset_digest;  // of the file's bytes
  std::string split;
  std::string task;
  std::int64_t examples = 0;
  std::int64_t unknown_labels = 0;  // examples with a label that the adapter cannot tell: misses, and no part of `loss`
  std::int64_t answers = 0;         // lm: the examples that were asked; evenly spaced where these are not all
  std::string positive;  // classify, choices: the class of average_precision; the profile's, else the rarer one
  std::vector<std::string> choices;  // lm: that were compared
  bool choices_per_character = false;
  std::vector<Score> scores;  // without those of which the examples say nothing, see is_defined()
  /// Baseline name (last, linear, majority, mean, nearest) -> its scores on the same examples. lm: nearest copies the
  /// answer of the nearest training example; with choices the others stand beside it.
  std::vector<std::pair<std::string, std::vector<Score>>> baselines;
  std::vector<std::pair<std::string, std::int64_t>> baseline_examples;  // that each learned from or looked through
  double seconds = 0;  // not part of to_json: equal inputs give equal reports

  /// nullopt if the metric was not computed.
  std::optional<Score> score(std::string_view metric) const;
  std::optional<Score> baseline(std::string_view name, std::string_view metric) const;
};

platform::json::value to_json(const EvaluationReport& report);
EvaluationReport evaluation_report_from_json(const platform::json::value& value);
/// True for shares, agreement and areas such as accuracy; false for errors and losses.
bool higher_is_better(std::string_view metric);

/// Scores an adapter on one part of a dataset. Throws as Predictor's constructor does, and kCancelled when asked to
/// stop.
EvaluationReport evaluate_adapter(const EvaluateRequest& request);

}  // namespace finetune
