#include "finetune/bench/public_set.h"

#include "finetune/bench/set_readers.h"

namespace finetune {
namespace {

// TFIDF+LR: word 1-2 grams and character 2-5 grams, logistic regression. LR: standardised, logistic regression. HistGB:
// HistGradientBoosting. All of scikit-learn 1.2.1 with its defaults but C=10 for texts.
std::vector<PublicSet> all_sets() {
  return {
      {.name = "carobd",
       .domain = "automotive",
       .folder = "automotive/carobd",
       .task = Task::kForecast,
       .metric = "rmse",
       .bar = 3.14,
       .test_examples = 845,
       .classical = {{"mean", 16.93}, {"persistence", 4.71}, {"HistGB", 3.83}, {"Ridge", 3.14}},
       .settings = platform::json::object{{"continues", "speed"}},
       .read = read_carobd},
      {.name = "nhtsa_recall_docs",
       .domain = "automotive",
       .folder = "automotive/nhtsa_recall_docs",
       .metric = "macro_f1",
       .bar = 0.63,
       .test_examples = 795,
       .classical = {{"majority", 0.083}, {"TFIDF+LR", 0.629}},
       .read = read_nhtsa_recall_docs},
      {.name = "vss_unit",
       .domain = "automotive",
       .folder = "automotive/vss",
       .folds = 5,
       .metric = "accuracy",
       .bar = 0.67,
       .test_examples = 581,
       .classical = {{"majority", 0.250}, {"TFIDF+LR", 0.673}},
       .read = read_vss_unit},
      {.name = "light_world",
       .domain = "game",
       .folder = "game/light_world",
       .folds = 5,
       .metric = "accuracy",
       .bar = 0.30,
       .test_examples = 661,
       .classical = {{"majority", 0.058}, {"TFIDF+LR", 0.293}},
       .read = read_light_world},
      {.name = "skillcraft1",
       .domain = "game",
       .folder = "game/skillcraft1",
       .task = Task::kOrdinal,
       .metric = "qwk",
       .bar = 0.75,
       .test_examples = 653,
       .classical = {{"HistGB", 0.711}, {"LR", 0.750}},
       .labels = {"1", "2", "3", "4", "5", "6", "7", "8"},
       .read = read_skillcraft1},
      {.name = "ai4i2020",
       .domain = "manufacturing",
       .folder = "manufacturing/ai4i2020",
       .metric = "average_precision",
       .bar = 0.80,
       .test_examples = 2037,
       .classical = {{"prevalence", 0.037}, {"LR", 0.462}, {"HistGB", 0.805}},
       .settings = platform::json::object{{"metric", "average_precision"}},
       .read = read_ai4i2020},
      {.name = "cmapss_fd001",
       .domain = "manufacturing",
       .folder = "manufacturing/cmapss_fd001",
       .task = Task::kRegress,
       .metric = "rmse",
       .bar = 15.3,
       .test_examples = 100,
       .classical = {{"mean", 40.63}, {"Ridge", 17.79}, {"HistGB", 15.33}},
       .read = read_cmapss_fd001},
      {.name = "fmc_mwo2kg",
       .domain = "manufacturing",
       .folder = "manufacturing/fmc_mwo2kg",
       .folds = 5,
       .metric = "accuracy",
       .bar = 0.70,
       .test_examples = 626,
       .classical = {{"majority", 0.220}, {"TFIDF+LR", 0.699}},
       .read = read_fmc_mwo2kg},
      {.name = "virtualhome",
       .domain = "robotics",
       .folder = "robotics/virtualhome_plans",
       .task = Task::kLanguageModel,
       .metric = "lcs_f1",
       .bar = 0.33,
       .test_examples = 313,
       .classical = {{"a random plan", 0.085}, {"the nearest title's plan", 0.318}},
       .settings = {{"remembered_answers", 10000}},
       .read = read_virtualhome},
      {.name = "wall_following",
       .domain = "robotics",
       .folder = "robotics/wall_following",
       .metric = "macro_f1",
       .bar = 0.98,
       .test_examples = 1364,
       .classical = {{"majority", 0.144}, {"LR", 0.683}, {"HistGB", 0.996}},
       .read = read_wall_following},
  };
}

}  // namespace

const std::vector<PublicSet>& public_sets() {
  static const std::vector<PublicSet> sets = all_sets();
  return sets;
}

}  // namespace finetune
