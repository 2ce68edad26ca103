// The real public data sets that `anneal bench adaptation` asks an adapted base about: one row each, with the bar that
// it has to reach and what other methods reach by the same rules. Nothing but task, labels, metric and the signal that
// goes on is set for a set, which is what a domain profile says; all else are the defaults of TrainConfig. Plain
// values; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "finetune/train/train_config.h"
#include "platform/base/json.h"
#include "platform/dataset/example.h"

namespace finetune {

/// What a method of scikit-learn, or a rule without learning, reaches on the same test examples.
struct ClassicalScore {
  std::string method;
  double value = 0;
};

using SetExamples = std::vector<platform::Example>;

struct PublicSet {
  std::string name;
  std::string domain;  // automotive, game, manufacturing, robotics
  std::string folder;  // below the folder of data sets
  Task task = Task::kClassify;
  int folds = 1;                   // over 1: every example is tested once, by the model of its fold
  std::string metric;              // that the bar is for; with folds one that is a mean over examples
  double bar = 0;                  // at least, or for errors at most: higher_is_better(metric) says which
  std::int64_t test_examples = 0;  // of the set as published, over all folds; 0 = not known
  std::vector<ClassicalScore> classical;
  std::vector<std::string> labels;  // their order, where they have one
  platform::json::object settings;  // of TrainConfig, as a profile states them
  /// All examples with their parts; `fold` from 0. Throws kNotFound for a file that is not there, kInvalidInput naming
  /// file and line for one that is not as published.
  std::function<SetExamples(const std::filesystem::path& folder, int fold)> read;
};

/// By domain and name.
const std::vector<PublicSet>& public_sets();

}  // namespace finetune
