// `anneal bench adaptation`: every public set, every fold, every seed, with one set of settings, and what came of it.
// Finished runs stay in the work folder; a bench that is asked for again goes on where it stopped. One bench a work
// folder; on the calling thread, with the trainings' own compute threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "finetune/bench/adaptation_run.h"

namespace finetune {

struct AdaptationOptions {
  std::filesystem::path data_folder;  // holds each set's `folder`
  std::filesystem::path base_folder;
  std::filesystem::path work_folder;  // made if absent
  std::vector<PublicSet> sets = public_sets();
  int seeds = 3;                    // 1 to `seeds`
  int folds = 0;                    // of a set with folds the first so many, for a quick look; 0 = all
  platform::json::object settings;  // of TrainConfig, over the defaults and over what a set states
  int threads = 0;                  // 0 = one per core

  /// Throws kInvalidInput naming the field.
  void validate() const;
};

/// All that is known of one set.
struct SetResult {
  PublicSet set;
  std::string left_out;            // why nothing was measured; empty where something was
  int folds = 0;                   // that were tested
  std::vector<double> scores;      // one a seed, over the folds' test examples together
  double mean = 0, deviation = 0;  // over the seeds; n - 1 in the divisor, 0 of one seed
  double lowest = 0, highest = 0;
  std::map<std::string, double> baselines;  // of the first seed, folds together
  std::int64_t test_examples = 0;           // of one seed
  double train_seconds = 0;                 // mean of a training; of those that ran through, if any did
  double steps = 0;                         // mean of a training
  std::vector<FinishedRun> runs;

  bool measured() const { return left_out.empty(); }
  /// The mean reaches the bar.
  bool passed() const;
  /// How far the mean is from the bar; 0 or more where it passed.
  double distance() const;
};

struct AdaptationResults {
  std::string base_digest;
  int seeds = 0;
  platform::json::object settings;
  std::string program_digest;
  std::vector<SetResult> sets;
};

/// Pure. `runs` of one set: every fold that was tested with every seed. Throws kInvalidInput for none.
SetResult set_result(const PublicSet& set, std::vector<FinishedRun> runs);
/// Expected seconds of the runs that are not made: the mean of the made runs of their set, else of all; below 0 if
/// there are none.
double seconds_left(const std::vector<PlannedRun>& open, const std::vector<FinishedRun>& made);

/// Throws kConflict while another bench works in the folder, kCancelled when asked to stop (the same call goes on),
/// kInvalidInput for a set that is not as published and whatever a training throws. A set that is not there is left
/// out.
AdaptationResults run_adaptation(const AdaptationOptions& options, AdaptationObserver& observer);

/// Writes the examples of every set that is there as JSON lines, one file a fold, that `anneal train` takes.
void write_examples(const AdaptationOptions& options, const std::filesystem::path& folder,
                    AdaptationObserver& observer);

}  // namespace finetune
