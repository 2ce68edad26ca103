#include "finetune/bench/adaptation_run.h"

#include <algorithm>
#include <chrono>

#include "finetune/train/example_encoding.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

fs::path result_file(const PlannedRun& run, const fs::path& work) { return work / (run.file_stem() + ".json"); }

EvaluationReport evaluated(const PlannedRun& run, const fs::path& data, const fs::path& adapter,
                           const RunFolders& folders, std::int64_t examples, AdaptationObserver& observer) {
  EvaluateRequest request;
  request.base_folder = folders.base;
  request.adapter_folder = adapter;
  request.dataset = data;
  request.threads = folders.threads;
  request.answers = run.set->task == Task::kLanguageModel ? examples : 0;  // all of them
  request.should_stop = [&] { return observer.should_stop(); };
  return evaluate_adapter(request);
}

// With the fields that the evaluation has.
FinishedRun finished(const PlannedRun& run, const EvaluationReport& report) {
  const std::string& metric = run.set->metric;
  const std::optional<Score> reached = report.score(metric);
  if (!reached)
    throw Error(ErrorCode::kInternal, "the evaluation of " + run.title() + " has no score " + metric, "metric");
  FinishedRun made{.key = run.key, .set = run.set->name, .fold = run.fold, .seed = run.seed, .score = reached->value};
  made.test_examples = report.examples;
  for (const auto& [name, scores] : report.baselines) {
    if (const auto value = report.baseline(name, metric)) made.baselines[name] = value->value;
  }
  made.evaluation = to_json(report);
  return made;
}

}  // namespace

std::string PlannedRun::file_stem() const {
  return set->name + "-fold" + std::to_string(fold + 1) + "-seed" + std::to_string(seed) + "-" + key.substr(0, 12);
}

std::string PlannedRun::title() const {
  return set->name +
         (set->folds > 1 ? ", fold " + std::to_string(fold + 1) + " of " + std::to_string(set->folds) : "") +
         ", seed " + std::to_string(seed);
}

json::value to_json(const FinishedRun& run) {
  json::object baselines;
  for (const auto& [name, value] : run.baselines) baselines[name] = value;
  return json::object{{"key", run.key},
                      {"set", run.set},
                      {"fold", run.fold},
                      {"seed", run.seed},
                      {"score", run.score},
                      {"baselines", std::move(baselines)},
                      {"test_examples", run.test_examples},
                      {"steps", run.steps},
                      {"best_step", run.best_step},
                      {"train_seconds", run.train_seconds},
                      {"total_seconds", run.total_seconds},
                      {"resumed", run.resumed},
                      {"threads", run.threads},
                      {"program", run.program_digest},
                      {"evaluation", run.evaluation}};
}

FinishedRun finished_run_from_json(const json::value& value) {
  const std::string where = "run";
  const json::object& object = platform::as_object(value, where);
  FinishedRun run;
  run.key = platform::require_string(object, "key", where);
  run.set = platform::require_string(object, "set", where);
  run.fold = static_cast<int>(platform::require_int(object, "fold", where));
  run.seed = static_cast<std::uint64_t>(platform::require_int(object, "seed", where));
  run.score = platform::require_number(object, "score", where);
  for (const auto& pair : platform::as_object(platform::require(object, "baselines", where), "run.baselines"))
    run.baselines[std::string(pair.key())] = pair.value().to_number<double>();
  run.test_examples = platform::require_int(object, "test_examples", where);
  run.steps = platform::require_int(object, "steps", where);
  run.best_step = platform::require_int(object, "best_step", where);
  run.train_seconds = platform::require_number(object, "train_seconds", where);
  run.total_seconds = platform::require_number(object, "total_seconds", where);
  run.resumed = platform::require_bool(object, "resumed", where);
  run.threads = static_cast<int>(platform::require_int(object, "threads", where));
  run.program_digest = platform::require_string(object, "program", where);
  run.evaluation = platform::require(object, "evaluation", where);
  return run;
}

std::string key_of(const PlannedRun& run, const std::string& base_digest, const std::string& tokenizer_digest) {
  const json::object decides{{"format", kRunFormat},
                             {"base", base_digest},
                             {"tokenizer", tokenizer_digest},
                             {"dataset", run.dataset_digest},
                             {"task", to_string(run.set->task)},
                             {"labels", platform::to_json(run.set->labels)},
                             {"metric", run.set->metric},
                             {"config", to_json(run.config)},
                             {"seed", run.seed}};
  return platform::sha256_hex(platform::canonical_json(decides));
}

std::string lines_of(const std::vector<platform::Example>& examples) {
  std::string lines;
  for (const platform::Example& example : examples) lines += platform::canonical_json(to_json(example)) + "\n";
  return lines;
}

std::optional<FinishedRun> known_run(const PlannedRun& run, const fs::path& work) {
  const fs::path file = result_file(run, work);
  if (!fs::exists(file)) return std::nullopt;
  FinishedRun known = finished_run_from_json(platform::read_json_file(file));
  if (known.key != run.key) return std::nullopt;
  return known;
}

FinishedRun carry_out(const PlannedRun& run, const std::string& lines, const RunFolders& folders,
                      AdaptationObserver& observer) {
  const auto begin = std::chrono::steady_clock::now();
  const fs::path place = folders.work / (run.file_stem() + ".running"), data = place / "examples.jsonl";
  fs::create_directories(place);
  platform::write_file_atomically(data, lines);
  TrainRequest request;
  request.base_folder = folders.base;
  request.dataset = data;
  request.task = run.set->task;
  request.labels = run.set->labels;
  request.config = run.config;
  request.work_folder = place / "checkpoint";
  request.output_folder = place / "adapter";
  request.seed = run.seed;
  request.threads = folders.threads;
  const bool resumed = fs::exists(request.work_folder);
  const TrainResult trained = train_adapter(request, observer);
  observer.on_scoring();
  const auto examples = static_cast<std::int64_t>(std::count(lines.begin(), lines.end(), '\n'));
  FinishedRun made = finished(run, evaluated(run, data, request.output_folder, folders, examples, observer));
  made.steps = trained.steps;
  made.best_step = trained.best_step;
  made.train_seconds = trained.seconds;
  made.resumed = resumed;
  made.threads = folders.threads;
  made.program_digest = platform::digest_of_file("/proc/self/exe");
  made.total_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  platform::write_json_file(result_file(run, folders.work), to_json(made));
  fs::remove_all(place);
  return made;
}

}  // namespace finetune
