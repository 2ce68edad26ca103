// One training of a bench: a fold of a public set and a seed, trained with the defaults and scored on its test part.
// What came of it is a small JSON file that is named by all that decides it, so that a bench that was stopped, or is
// asked for more, repeats nothing. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "finetune/bench/public_set.h"
#include "finetune/train/training_job.h"

namespace finetune {

/// Part of every run's key: to be raised when training or scoring comes to other results from the same settings.
inline constexpr std::int64_t kRunFormat = 3;

/// A run that is to be made or was made. Points to its set.
struct PlannedRun {
  const PublicSet* set = nullptr;
  int fold = 0;
  std::uint64_t seed = 1;
  std::string dataset_digest;  // of the examples as JSON lines
  TrainConfig config;
  std::string key;  // 64 hex digits over base, tokenizer, examples, task, labels, settings, seed and kRunFormat

  /// "fmc_mwo2kg-fold2-seed1-0123456789ab"
  std::string file_stem() const;
  /// "fmc_mwo2kg, fold 2 of 5, seed 1"
  std::string title() const;
};

/// What a run came to; `score` and `baselines` are of the set's metric.
struct FinishedRun {
  std::string key;
  std::string set;
  int fold = 0;
  std::uint64_t seed = 1;
  double score = 0;
  std::map<std::string, double> baselines;  // majority or mean, linear, nearest
  std::int64_t test_examples = 0;
  std::int64_t steps = 0;
  std::int64_t best_step = 0;
  double train_seconds = 0;  // of the last process, where a training went on from a checkpoint
  double total_seconds = 0;  // scoring included
  bool resumed = false;
  int threads = 0;                   // 0 = one per core
  std::string program_digest;        // of the program that made it
  platform::json::value evaluation;  // EvaluationReport
};

platform::json::value to_json(const FinishedRun& run);
/// Throws kInvalidInput with the path of the field at fault.
FinishedRun finished_run_from_json(const platform::json::value& value);

/// Asked for progress and told of it; should_stop() is asked while an adapter is scored, too.
class AdaptationObserver : public TrainObserver {
 public:
  virtual void on_set_left_out(const PublicSet&, const std::string& /*reason*/) {}
  /// Before a run begins: the `number`th of `total`; `seconds_left` of all of them, below 0 where no run tells yet.
  virtual void on_run(const PlannedRun&, std::int64_t /*number*/, std::int64_t /*total*/, double /*seconds_left*/) {}
  virtual void on_scoring() {}
  virtual void on_finished(const FinishedRun&) {}
};

/// Where a bench keeps what it knows.
struct RunFolders {
  std::filesystem::path base;
  std::filesystem::path work;
  int threads = 0;
};

std::string key_of(const PlannedRun& run, const std::string& base_digest, const std::string& tokenizer_digest);
/// The examples as a training reads them.
std::string lines_of(const std::vector<platform::Example>& examples);
/// What this very run came to before; nullopt if it was not made. Throws for a file that is damaged.
std::optional<FinishedRun> known_run(const PlannedRun& run, const std::filesystem::path& work);
/// Trains, scores and writes the run's file; goes on from the checkpoint of a run that was stopped. `lines`: lines_of
/// its examples. Throws as train_adapter does; kCancelled leaves the checkpoint.
FinishedRun carry_out(const PlannedRun& run, const std::string& lines, const RunFolders& folders,
                      AdaptationObserver& observer);

}  // namespace finetune
