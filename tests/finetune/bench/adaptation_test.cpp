#include "finetune/bench/adaptation.h"

#include <gtest/gtest.h>

#include "finetune/bench/adaptation_report.h"
#include "finetune/train/example_encoding.h"
#include "platform/base/error.h"
#include "platform/base/folder_lock.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using platform::ErrorCode;

// Counts trainings, and stops in the run `stop_in` after its step `stop_after`.
struct Watch final : AdaptationObserver {
  std::int64_t runs = 0, steps = 0, stop_in = 0, stop_after = 0;
  bool stop_scoring = false, scoring = false;  // of the run `stop_in`
  std::vector<std::string> titles, left_out;
  std::vector<double> left;
  void on_set_left_out(const PublicSet&, const std::string& reason) override { left_out.push_back(reason); }
  void on_run(const PlannedRun& run, std::int64_t number, std::int64_t total, double seconds) override {
    ++runs;
    steps = 0;
    scoring = false;
    titles.push_back(std::to_string(number) + "/" + std::to_string(total) + " " + run.title());
    left.push_back(seconds);
  }
  void on_step(const TrainProgress& progress) override { steps = progress.step; }
  void on_scoring() override { scoring = true; }
  bool should_stop() override {
    return stop_in == runs && stop_in > 0 && steps >= stop_after && scoring == stop_scoring;
  }
};

SetExamples two_classes(int fold) {
  SetExamples examples;
  for (int i = 0; i < 24; ++i) {
    platform::Example example;
    example.id = std::to_string(i);
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = i % 2 == 0 ? 1.0 + 0.01 * i : -1.0;
    example.label = i % 2 == 0 ? "high" : "low";
    example.split = i < 16 ? platform::Split::kTrain : platform::Split::kValidation;
    if (i >= 20 && (i < 22) == (fold == 0)) example.split = platform::Split::kTest;
    examples.push_back(std::move(example));
  }
  return examples;
}

class Adaptation : public testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    std::filesystem::create_directories(path("data") / "game/two");
    std::filesystem::create_directories(path("data") / "automotive/next");
    options_.data_folder = path("data");
    options_.base_folder = path("base");
    options_.work_folder = path("work");
    options_.seeds = 2;
    options_.threads = 1;
    options_.settings = platform::json::object{{"min_steps", 1}, {"max_steps", 4}, {"evaluations", 1}};
    options_.sets = {{.name = "two",
                      .domain = "game",
                      .folder = "game/two",
                      .folds = 2,
                      .metric = "accuracy",
                      .bar = 0.5,
                      .test_examples = 4,
                      .read = [](const std::filesystem::path&, int fold) { return two_classes(fold); }},
                     {.name = "next",
                      .domain = "automotive",
                      .folder = "automotive/next",
                      .task = Task::kForecast,
                      .metric = "rmse",
                      .bar = 100,
                      .settings = platform::json::object{{"continues", "speed"}},
                      .read = [](const std::filesystem::path&, int) {
                        SetExamples examples;
                        for (int i = 0; i < 12; ++i) {
                          platform::Example example;
                          example.id = std::to_string(i);
                          example.prompt = "{{ signal:speed }}";
                          example.signals["speed"].values = {static_cast<float>(i), static_cast<float>(i + 1)};
                          example.values = {i + 2.0};
                          example.split = i < 8 ? platform::Split::kTrain : platform::Split::kTest;
                          examples.push_back(std::move(example));
                        }
                        return examples;
                      }}};
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  ErrorCode refusal() {
    Watch watch;
    try {
      run_adaptation(options_, watch);
    } catch (const platform::Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "nothing was refused";
    return ErrorCode::kInternal;
  }
  AdaptationOptions options_;
  platform::TemporaryFolder folder_;
};

// What decides a score, without clocks and without the place of the files.
std::string scores_in(const AdaptationResults& results) {
  std::string scores;
  for (const SetResult& set : results.sets) {
    for (const FinishedRun& run : set.runs)
      scores += run.key + " " + platform::canonical_json(run.evaluation) + " " + std::to_string(run.steps) + "\n";
  }
  return scores;
}

TEST_F(Adaptation, MakesEveryFoldWithEverySeedAndKeepsNothingButTheResults) {
  Watch watch;
  const AdaptationResults results = run_adaptation(options_, watch);
  EXPECT_EQ(watch.titles, (std::vector<std::string>{"1/6 two, fold 1 of 2, seed 1", "2/6 two, fold 1 of 2, seed 2",
                                                    "3/6 two, fold 2 of 2, seed 1", "4/6 two, fold 2 of 2, seed 2",
                                                    "5/6 next, seed 1", "6/6 next, seed 2"}));
  EXPECT_LT(watch.left.front(), 0) << "no run tells yet how long they take";
  EXPECT_GT(watch.left.back(), 0);
  ASSERT_EQ(results.sets.size(), 2u);
  EXPECT_EQ(results.sets[0].runs.size(), 4u);
  EXPECT_EQ(results.sets[0].scores.size(), 2u);
  EXPECT_EQ(results.sets[0].test_examples, 4);
  EXPECT_EQ(results.sets[0].steps, 4);
  EXPECT_TRUE(results.sets[0].baselines.contains("linear") && results.sets[0].baselines.contains("nearest") &&
              results.sets[0].baselines.contains("majority"));
  EXPECT_NEAR(results.sets[1].baselines.at("last"), 1, 1e-6) << "the speed rises by one a step";
  EXPECT_NEAR(results.sets[1].baselines.at("mean"), 0, 1e-6);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path("work"))) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(entry.path().extension() == ".json" || name == "lock") << name;
    ++files;
  }
  EXPECT_EQ(files, 7u);
}

TEST_F(Adaptation, GoesOnWhereItStoppedAndRepeatsNothing) {
  Watch whole;
  const std::string expected = scores_in(run_adaptation(options_, whole));
  options_.work_folder = path("stopped");
  const auto stop_in = [&](std::int64_t run, std::int64_t after_step, bool scoring) {
    Watch stopped;
    stopped.stop_in = run;
    stopped.stop_after = after_step;
    stopped.stop_scoring = scoring;
    try {
      run_adaptation(options_, stopped);
      ADD_FAILURE() << "the bench was not stopped";
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.what();
    }
  };
  stop_in(3, 2, false);
  stop_in(1, 0, true);  // the third run once more, while its adapter is scored
  Watch resumed;
  const AdaptationResults results = run_adaptation(options_, resumed);
  EXPECT_EQ(resumed.titles.front(), "3/6 two, fold 2 of 2, seed 1");
  EXPECT_EQ(resumed.runs, 4);
  EXPECT_GT(resumed.left.front(), 0) << "the runs made before tell how long they take";
  EXPECT_EQ(scores_in(results), expected);
  EXPECT_TRUE(results.sets[0].runs[2].resumed);
  Watch again;
  EXPECT_EQ(scores_in(run_adaptation(options_, again)), expected);
  EXPECT_EQ(again.runs, 0);
  options_.seeds = 3;
  Watch more;
  run_adaptation(options_, more);
  EXPECT_EQ(more.runs, 3) << "the third seed of three folds";
}

TEST_F(Adaptation, MakesARunAnewWhereAnythingThatDecidesItIsAnother) {
  options_.sets.resize(1);
  options_.seeds = 1;
  const auto runs = [&] {
    Watch watch;
    run_adaptation(options_, watch);
    return watch.runs;
  };
  EXPECT_EQ(runs(), 2);
  EXPECT_EQ(runs(), 0);
  options_.settings["max_steps"] = 5;
  EXPECT_EQ(runs(), 2) << "another setting";
  options_.sets[0].labels = {"low", "high"};
  EXPECT_EQ(runs(), 2) << "labels in another order";
  options_.sets[0].read = [](const std::filesystem::path&, int fold) {
    SetExamples examples = two_classes(fold);
    if (fold == 1) examples[0].numbers["load"] = 1.5;
    return examples;
  };
  EXPECT_EQ(runs(), 1) << "other examples in one fold";
  support::write_tiny_base(path("base"), 8);
  EXPECT_EQ(runs(), 2) << "another base";
}

TEST_F(Adaptation, LeavesOutASetThatIsNotThereAndSaysWhy) {
  std::filesystem::remove_all(path("data") / "game");
  options_.sets[1].read = [](const std::filesystem::path& folder, int) -> SetExamples {
    platform::read_file(folder / "half.csv");
    return {};
  };
  Watch watch;
  const AdaptationResults results = run_adaptation(options_, watch);
  EXPECT_EQ(watch.runs, 0);
  ASSERT_EQ(watch.left_out.size(), 2u);
  EXPECT_NE(results.sets[0].left_out.find("game/two"), std::string::npos) << results.sets[0].left_out;
  EXPECT_NE(results.sets[1].left_out.find("half.csv"), std::string::npos) << results.sets[1].left_out;
  EXPECT_FALSE(results.sets[0].passed());
}

TEST_F(Adaptation, RefusesWhatCannotBeCompared) {
  options_.sets[0].test_examples = 5;
  EXPECT_EQ(refusal(), ErrorCode::kInvalidInput) << "not as published";
  options_.folds = 1;
  options_.sets.resize(1);
  Watch watch;
  EXPECT_EQ(run_adaptation(options_, watch).sets[0].folds, 1) << "part of the folds is not held against the whole";
  options_.settings = platform::json::object{{"task", "lm"}};
  EXPECT_EQ(refusal(), ErrorCode::kInvalidInput) << "no setting of a training";
  options_.settings = {};
  options_.seeds = 0;
  EXPECT_EQ(refusal(), ErrorCode::kInvalidInput);
  options_.seeds = 1;
  options_.threads = -1;
  EXPECT_EQ(refusal(), ErrorCode::kInvalidInput);
}

TEST_F(Adaptation, HasItsWorkFolderForItself) {
  std::filesystem::create_directories(path("work"));
  const auto lock = platform::FolderLock::take(path("work"));
  ASSERT_TRUE(lock);
  EXPECT_EQ(refusal(), ErrorCode::kConflict);
}

TEST_F(Adaptation, WritesTheExamplesAsATrainingReadsThem) {
  Watch watch;
  write_examples(options_, path("examples"), watch);
  EXPECT_EQ(watch.runs, 0);
  EXPECT_EQ(read_examples(path("examples") / "two-fold2.jsonl").size(), 24u);
  EXPECT_EQ(read_examples(path("examples") / "next.jsonl")[3].values.front(), 5.0);
  EXPECT_TRUE(std::filesystem::exists(path("examples") / "two-fold1.jsonl"));
}

FinishedRun run_of(int fold, std::uint64_t seed, double score, std::int64_t examples, double seconds = 10) {
  FinishedRun run{.key = "k", .set = "two", .fold = fold, .seed = seed, .score = score};
  run.test_examples = examples;
  run.steps = 100 * (fold + 1);
  run.train_seconds = seconds;
  run.total_seconds = 2 * seconds;
  run.baselines = {{"linear", score / 2}};
  run.evaluation = platform::json::object();
  return run;
}

TEST(SetResults, PoolTheFoldsOfASeedByTheirExamples) {
  const PublicSet set{.name = "two", .folds = 2, .metric = "accuracy", .bar = 0.7};
  const SetResult result =
      set_result(set, {run_of(0, 1, 0.5, 10), run_of(1, 1, 0.9, 30), run_of(0, 2, 0.7, 10), run_of(1, 2, 0.5, 30)});
  ASSERT_EQ(result.scores.size(), 2u);
  EXPECT_NEAR(result.scores[0], 0.8, 1e-12);
  EXPECT_NEAR(result.scores[1], 0.55, 1e-12);
  EXPECT_NEAR(result.mean, 0.675, 1e-12);
  EXPECT_NEAR(result.deviation, 0.25 / std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(result.lowest, 0.55, 1e-12);
  EXPECT_NEAR(result.highest, 0.8, 1e-12);
  EXPECT_NEAR(result.baselines.at("linear"), 0.4, 1e-12) << "of the first seed";
  EXPECT_EQ(result.test_examples, 40);
  EXPECT_EQ(result.steps, 150);
  EXPECT_FALSE(result.passed());
  EXPECT_NEAR(result.distance(), -0.025, 1e-12);
}

TEST(SetResults, PassAtTheBarItselfInTheMetricsOwnDirection) {
  const PublicSet share{.name = "two", .metric = "accuracy", .bar = 0.5};
  EXPECT_TRUE(set_result(share, {run_of(0, 1, 0.5, 10)}).passed());
  EXPECT_FALSE(set_result(share, {run_of(0, 1, 0.4999, 10)}).passed());
  const PublicSet error{.name = "two", .metric = "rmse", .bar = 0.5};
  EXPECT_TRUE(set_result(error, {run_of(0, 1, 0.5, 10)}).passed());
  EXPECT_TRUE(set_result(error, {run_of(0, 1, 0.2, 10)}).passed());
  EXPECT_FALSE(set_result(error, {run_of(0, 1, 0.5001, 10)}).passed());
  EXPECT_EQ(set_result(error, {run_of(0, 1, 0.2, 10)}).deviation, 0);
  EXPECT_THROW(set_result(error, {}), platform::Error);
}

TEST(SetResults, TellTheTimeOfTrainingsThatRanThrough) {
  const PublicSet set{.name = "two", .metric = "accuracy", .bar = 0.5};
  FinishedRun resumed = run_of(0, 2, 0.5, 10, 1);
  resumed.resumed = true;
  EXPECT_EQ(set_result(set, {run_of(0, 1, 0.5, 10, 30), resumed}).train_seconds, 30);
  EXPECT_EQ(set_result(set, {resumed}).train_seconds, 1);
}

TEST(SetResults, TheTimeLeftIsThatOfTheSetsOwnRunsOrOfAll) {
  const PublicSet two{.name = "two"}, other{.name = "other"};
  const std::vector<PlannedRun> open{{.set = &two}, {.set = &other}};
  FinishedRun slow = run_of(0, 1, 0.5, 10, 50);
  slow.set = "third";
  EXPECT_EQ(seconds_left(open, {}), -1);
  EXPECT_EQ(seconds_left({}, {}), 0);
  EXPECT_EQ(seconds_left(open, {run_of(0, 1, 0.5, 10, 10), slow}), 20 + 60);
}

TEST(FinishedRuns, AreTheSameAfterTheirFile) {
  FinishedRun run = run_of(1, 7, 0.25, 10);
  run.resumed = true;
  run.program_digest = "sha256:1";
  run.threads = 2;
  run.best_step = 50;
  EXPECT_EQ(platform::canonical_json(to_json(finished_run_from_json(to_json(run)))),
            platform::canonical_json(to_json(run)));
  platform::json::object broken = to_json(run).as_object();
  broken.erase("score");
  EXPECT_THROW(finished_run_from_json(broken), platform::Error);
}

}  // namespace
}  // namespace finetune
