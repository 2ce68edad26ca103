#include "finetune/bench/adaptation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "finetune/model/base_digest.h"
#include "platform/base/digest.h"
#include "platform/base/file.h"
#include "platform/base/folder_lock.h"

namespace finetune {
namespace {

namespace fs = std::filesystem;
namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

int folds_of(const PublicSet& set, const AdaptationOptions& options) {
  return options.folds > 0 ? std::min(options.folds, set.folds) : set.folds;
}

TrainConfig config_of(const PublicSet& set, const json::object& settings) {
  json::object all = set.settings;
  for (const auto& pair : settings) all[pair.key()] = pair.value();
  return train_config_from_json(all);
}

// A score on other examples could not be held against the bar.
void check_as_published(const PublicSet& set, std::int64_t tested) {
  if (set.test_examples == 0 || tested == set.test_examples) return;
  throw Error(ErrorCode::kInvalidInput, set.folder + " is not as published: " + std::to_string(tested) +
                                            " test examples instead of " + std::to_string(set.test_examples) +
                                            "; fetch it again, or leave it out with --sets");
}

std::int64_t tested_in(const SetExamples& examples) {
  return std::count_if(examples.begin(), examples.end(),
                       [](const platform::Example& one) { return one.split == platform::Split::kTest; });
}

// Reads every fold that is wanted; false, and the observer knows why, if the set is not there.
bool each_fold(const PublicSet& set, const AdaptationOptions& options, std::string& reason,
               const std::function<void(int fold, const SetExamples& examples)>& take) {
  const fs::path folder = options.data_folder / set.folder;
  if (!fs::exists(folder)) {
    reason = "the data set is not at " + folder.string();
    return false;
  }
  std::int64_t tested = 0;
  try {
    for (int fold = 0; fold < folds_of(set, options); ++fold) {
      const SetExamples examples = set.read(folder, fold);
      tested += tested_in(examples);
      take(fold, examples);
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    reason = error.what();
    return false;
  }
  if (folds_of(set, options) == set.folds) check_as_published(set, tested);
  return true;
}

class Bench {
 public:
  Bench(const AdaptationOptions& options, AdaptationObserver& observer)
      : options_(options),
        observer_(observer),
        folders_{options.base_folder, options.work_folder, options.threads},
        base_(base_folder_digest(options.base_folder)),
        tokenizer_(tokenizer_digest(options.base_folder)) {}

  AdaptationResults run() {
    for (const PublicSet& set : options_.sets) plan(set);
    AdaptationResults results{.base_digest = base_,
                              .seeds = options_.seeds,
                              .settings = options_.settings,
                              .program_digest = platform::digest_of_file("/proc/self/exe")};
    for (const PublicSet& set : options_.sets) {
      if (const auto reason = left_out_.find(set.name); reason != left_out_.end()) {
        results.sets.push_back({.set = set, .left_out = reason->second});
        continue;
      }
      results.sets.push_back(set_result(set, runs_of(set)));
    }
    return results;
  }

 private:
  void plan(const PublicSet& set) {
    const TrainConfig config = config_of(set, options_.settings);
    std::string reason;
    std::vector<PlannedRun> runs;
    const bool there = each_fold(set, options_, reason, [&](int fold, const SetExamples& examples) {
      const std::string digest = platform::digest_of(lines_of(examples));
      for (int seed = 1; seed <= options_.seeds; ++seed) {
        PlannedRun run{&set, fold, static_cast<std::uint64_t>(seed), digest, config, {}};
        run.key = key_of(run, base_, tokenizer_);
        runs.push_back(std::move(run));
      }
    });
    if (!there) {
      left_out_[set.name] = reason;
      observer_.on_set_left_out(set, reason);
      return;
    }
    for (PlannedRun& run : runs) {
      if (auto known = known_run(run, options_.work_folder))
        made_.push_back(std::move(*known));
      else
        open_.push_back(std::move(run));
    }
    total_ += static_cast<std::int64_t>(runs.size());
  }

  // Those made before and those made now.
  std::vector<FinishedRun> runs_of(const PublicSet& set) {
    while (!open_.empty() && open_.front().set == &set) {
      const PlannedRun run = open_.front();
      observer_.on_run(run, total_ - static_cast<std::int64_t>(open_.size()) + 1, total_, seconds_left(open_, made_));
      if (observer_.should_stop())
        throw Error(ErrorCode::kCancelled, "the bench was asked to stop; the same command goes on");
      made_.push_back(carry_out(run, lines_for(run), folders_, observer_));
      observer_.on_finished(made_.back());
      open_.erase(open_.begin());
    }
    std::vector<FinishedRun> runs;
    std::copy_if(made_.begin(), made_.end(), std::back_inserter(runs),
                 [&](const FinishedRun& run) { return run.set == set.name; });
    return runs;
  }

  // All seeds of a fold read the same.
  const std::string& lines_for(const PlannedRun& run) {
    if (lines_digest_ == run.dataset_digest) return lines_;
    lines_ = lines_of(run.set->read(options_.data_folder / run.set->folder, run.fold));
    lines_digest_ = platform::digest_of(lines_);
    if (lines_digest_ == run.dataset_digest) return lines_;
    throw Error(ErrorCode::kConflict, "the files of " + run.set->name + " changed while the bench ran; start it again");
  }

  const AdaptationOptions& options_;
  AdaptationObserver& observer_;
  const RunFolders folders_;
  const std::string base_, tokenizer_;
  std::map<std::string, std::string> left_out_;  // set -> reason
  std::vector<PlannedRun> open_;                 // in the order of the sets
  std::vector<FinishedRun> made_;
  std::int64_t total_ = 0;
  std::string lines_, lines_digest_;
};

// Over the folds, every example with equal weight.
struct Pooled {
  double sum = 0;
  std::int64_t examples = 0;
  void add(double value, std::int64_t count) {
    sum += value * static_cast<double>(count);
    examples += count;
  }
  double mean() const { return sum / static_cast<double>(std::max<std::int64_t>(examples, 1)); }
};

void set_statistics(SetResult& result) {
  const auto count = static_cast<double>(result.scores.size());
  for (const double score : result.scores) result.mean += score / count;
  for (const double score : result.scores) result.deviation += (score - result.mean) * (score - result.mean);
  result.deviation = count > 1 ? std::sqrt(result.deviation / (count - 1)) : 0;
  const auto [lowest, highest] = std::minmax_element(result.scores.begin(), result.scores.end());
  result.lowest = *lowest;
  result.highest = *highest;
}

void set_costs(SetResult& result) {
  double seconds = 0, through = 0, steps = 0, all_seconds = 0;
  for (const FinishedRun& run : result.runs) {
    steps += static_cast<double>(run.steps);
    all_seconds += run.train_seconds;
    if (run.resumed) continue;
    seconds += run.train_seconds;
    through += 1;
  }
  const auto count = static_cast<double>(result.runs.size());
  result.steps = steps / count;
  result.train_seconds = through > 0 ? seconds / through : all_seconds / count;
}

}  // namespace

void AdaptationOptions::validate() const {
  const auto check = [](bool fits, const char* field, const std::string& message) {
    if (!fits) throw Error(ErrorCode::kInvalidInput, message, field);
  };
  check(seeds >= 1 && seeds <= 100, "seeds", "seeds must be 1 to 100, not " + std::to_string(seeds));
  check(folds >= 0, "folds", "folds must be 0 (all) or more, not " + std::to_string(folds));
  check(threads >= 0, "threads", "threads must be 0 (one per core) or more, not " + std::to_string(threads));
  check(!sets.empty(), "sets", "no set is named");
  for (const PublicSet& set : sets) config_of(set, settings).validate();
}

bool SetResult::passed() const { return measured() && distance() >= 0; }

double SetResult::distance() const { return higher_is_better(set.metric) ? mean - set.bar : set.bar - mean; }

SetResult set_result(const PublicSet& set, std::vector<FinishedRun> runs) {
  if (runs.empty()) throw Error(ErrorCode::kInvalidInput, "no run of " + set.name, "runs");
  std::map<std::uint64_t, Pooled> seeds;
  std::map<std::string, Pooled> baselines;
  std::set<int> folds;
  std::uint64_t first = runs.front().seed;
  for (const FinishedRun& run : runs) first = std::min(first, run.seed);
  for (const FinishedRun& run : runs) {
    seeds[run.seed].add(run.score, run.test_examples);
    folds.insert(run.fold);
    if (run.seed != first) continue;
    for (const auto& [name, value] : run.baselines) baselines[name].add(value, run.test_examples);
  }
  std::sort(runs.begin(), runs.end(), [](const FinishedRun& a, const FinishedRun& b) {
    return std::pair(a.fold, a.seed) < std::pair(b.fold, b.seed);
  });
  SetResult result{.set = set, .folds = static_cast<int>(folds.size())};
  result.runs = std::move(runs);
  for (const auto& [seed, pooled] : seeds) result.scores.push_back(pooled.mean());
  for (const auto& [name, pooled] : baselines) result.baselines[name] = pooled.mean();
  result.test_examples = seeds.begin()->second.examples;
  set_statistics(result);
  set_costs(result);
  return result;
}

double seconds_left(const std::vector<PlannedRun>& open, const std::vector<FinishedRun>& made) {
  if (made.empty()) return open.empty() ? 0 : -1;
  Pooled all;
  std::map<std::string, Pooled> sets;
  for (const FinishedRun& run : made) {
    all.add(run.total_seconds, 1);
    sets[run.set].add(run.total_seconds, 1);
  }
  double seconds = 0;
  for (const PlannedRun& run : open) {
    const auto known = sets.find(run.set->name);
    seconds += known == sets.end() ? all.mean() : known->second.mean();
  }
  return seconds;
}

AdaptationResults run_adaptation(const AdaptationOptions& options, AdaptationObserver& observer) {
  options.validate();
  fs::create_directories(options.work_folder);
  const auto lock = platform::FolderLock::take(options.work_folder);
  if (!lock)
    throw Error(ErrorCode::kConflict, "another bench works in " + options.work_folder.string() +
                                          "; wait for it, or name another folder with --work");
  return Bench(options, observer).run();
}

void write_examples(const AdaptationOptions& options, const fs::path& folder, AdaptationObserver& observer) {
  options.validate();
  fs::create_directories(folder);
  for (const PublicSet& set : options.sets) {
    std::string reason;
    const bool there = each_fold(set, options, reason, [&](int fold, const SetExamples& examples) {
      const std::string name = set.name + (set.folds > 1 ? "-fold" + std::to_string(fold + 1) : "") + ".jsonl";
      platform::write_file_atomically(folder / name, lines_of(examples));
    });
    if (!there) observer.on_set_left_out(set, reason);
  }
}

}  // namespace finetune
