#include "finetune/train/training_job.h"

#include <gtest/gtest.h>

#include <set>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/adapter/manifest.h"
#include "finetune/formats/safetensors.h"
#include "finetune/generate/predictor.h"
#include "finetune/train/checkpoint.h"
#include "finetune/train/example_encoding.h"
#include "platform/dataset/example.h"
#include "tests/support/stop_after.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

// Three classes that follow from one number and one word.
void write_dataset(const std::filesystem::path& file, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    platform::Example example;
    example.id = "r" + std::to_string(i);
    example.split = i % 5 == 3   ? platform::Split::kValidation
                    : i % 5 == 4 ? platform::Split::kTest
                                 : platform::Split::kTrain;
    const int kind = i % 3;
    example.prompt = std::string("bearing ") + (kind == 2 ? "hot" : "cold") + " {{ number:load }}";
    example.numbers["load"] = kind == 0 ? 1.0 + 0.01 * i : -1.0 - 0.01 * i;
    example.label = kind == 0 ? "high" : kind == 1 ? "low" : "hot";
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(file, lines);
}

class TrainingJob : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(folder_.path() / "base");
    write_dataset(folder_.path() / "data.jsonl", 120);
  }
  TrainRequest request(const std::string& name, std::int64_t steps) const {
    TrainRequest request;
    request.base_folder = folder_.path() / "base";
    request.dataset = folder_.path() / "data.jsonl";
    request.config.max_steps = steps;
    request.config.batch_examples = 16;
    request.config.r = 4;
    request.config.dropout = 0.1;
    request.config.token_dropout = 0.1;
    request.config.learning_rate = 5e-3;
    request.config.side_network = false;  // it would leave nothing to learn of this data
    request.work_folder = folder_.path() / (name + ".work");
    request.output_folder = folder_.path() / name;
    request.threads = 1;
    return request;
  }
  platform::TemporaryFolder folder_;
};

TEST_F(TrainingJob, LearnsWhatTheDataSaysAndBeatsTheMajority) {
  TrainObserver observer;
  const TrainResult result = train_adapter(request("adapter", 150), observer);
  EXPECT_EQ(result.adapter_digest, adapter_digest(folder_.path() / "adapter"));
  EvaluateRequest evaluation;
  evaluation.base_folder = folder_.path() / "base";
  evaluation.adapter_folder = folder_.path() / "adapter";
  evaluation.dataset = folder_.path() / "data.jsonl";
  evaluation.predictions_file = folder_.path() / "predictions.jsonl";
  evaluation.threads = 1;
  const EvaluationReport report = evaluate_adapter(evaluation);
  EXPECT_GE(report.score("accuracy")->value, 0.9);
  EXPECT_LT(report.baseline("majority", "accuracy")->value, 0.5);
  EXPECT_GE(report.baseline("linear", "accuracy")->value, 0.9);
  EXPECT_EQ(platform::canonical_json(to_json(evaluation_report_from_json(to_json(report)))),
            platform::canonical_json(to_json(report)));
  EXPECT_TRUE(std::filesystem::exists(evaluation.predictions_file));
}

TEST_F(TrainingJob, SaysWhichFieldsOfTheDataNothingReads) {
  struct Notices final : TrainObserver {
    std::vector<std::string> said;
    void on_notice(const std::string& notice) override { said.push_back(notice); }
  };
  Notices none, one;
  train_adapter(request("read", 1), none);
  EXPECT_TRUE(none.said.empty());
  std::string lines;
  for (platform::Example& example : read_examples(folder_.path() / "data.jsonl")) {
    example.numbers["presure"] = 1.0;
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(folder_.path() / "more.jsonl", lines);
  TrainRequest unread = request("unread", 1);
  unread.dataset = folder_.path() / "more.jsonl";
  train_adapter(unread, one);
  ASSERT_EQ(one.said.size(), 1u);
  EXPECT_NE(one.said[0].find("number:presure"), std::string::npos) << one.said[0];
}

TEST_F(TrainingJob, AnInterruptedTrainingEndsInTheSameBytes) {
  TrainObserver observer;
  const TrainResult whole = train_adapter(request("whole", 60), observer);
  for (const std::int64_t steps : {7, 31, 44}) {
    support::StopAfter stopping(steps);
    try {
      train_adapter(request("pieces", 60), stopping);
      FAIL() << "was not stopped";
    } catch (const platform::Error& error) {
      ASSERT_EQ(error.code(), platform::ErrorCode::kCancelled);
    }
  }
  const TrainResult pieces = train_adapter(request("pieces", 60), observer);
  EXPECT_EQ(pieces.adapter_digest, whole.adapter_digest);
  for (const char* name : {"adapter_model.safetensors", "sensor.safetensors", "anneal.json"}) {
    EXPECT_EQ(platform::read_file(folder_.path() / "whole" / name),
              platform::read_file(folder_.path() / "pieces" / name))
        << name;
  }
}

// Every way to adapt: it trains, its adapter loads (so the probe passes), an interrupted training ends in the same
// bytes, and what PEFT needs to know stands in its configuration.
TEST_F(TrainingJob, EveryKindOfAdapterLearnsLoadsAndResumesToTheSameBytes) {
  struct Kind {
    const char* settings;
    const char* in_config;
  };
  const Kind kinds[] = {
      {R"({"use_dora": true})", R"("use_dora": true)"},
      {R"({"use_rslora": true})", R"("use_rslora": true)"},
      {R"({"lora_bias": true, "dropout": 0.1})", R"("lora_bias": true)"},
      {R"({"target_modules": ".*layers\\.1\\..*(q|v)_proj"})", R"(layers\\.1)"},
      {R"({"target_modules": "all-linear", "layers_to_transform": [1], "exclude_modules": ["down_proj"]})",
       R"("exclude_modules")"},
      {R"({"loraplus_lr_ratio": 4.0, "neftune_noise_alpha": 5.0})", R"("q_proj")"},
      {R"({"use_dora": true, "dropout": 0.2})", R"("use_dora": true)"},
      {R"({"peft_type": "IA3", "learning_rate": 5e-2})", R"("feedforward_modules")"},
      {R"({"peft_type": "BOTTLENECK", "bottleneck_size": 4})", R"("bottleneck_size": 4)"},
      {R"({"target_modules": ["q_proj", "embed_tokens"]})", R"("embed_tokens")"},
      {R"({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head", "norm"]})", R"("norm")"},
      {R"({"trainable_token_indices": [5, 250, 17]})", R"("trainable_token_indices")"},
      {R"({"init_lora_weights": "pissa", "use_rslora": true})", R"("r": 8)"},
      {R"({"init_lora_weights": "gaussian", "rank_pattern": {"layers.1.mlp.up_proj": 2}})",
       R"("layers.1.mlp.up_proj": 2)"}};
  int number = 0;
  for (const Kind& kind : kinds) {
    const std::string name = "kind" + std::to_string(number++);
    platform::json::object settings = platform::parse_json(kind.settings, "settings").as_object();
    for (const auto& [key, value] : platform::json::object{{"max_steps", 40},
                                                           {"min_steps", 40},
                                                           {"batch_examples", 16},
                                                           {"learning_rate", 5e-3},
                                                           {"side_network", false}})
      if (!settings.contains(key)) settings[key] = value;
    if (!settings.contains("peft_type")) settings["r"] = 4;
    const auto asked = [&](const std::string& folder) {
      TrainRequest made = request(folder, 40);
      made.config = train_config_from_json(settings);
      return made;
    };
    TrainObserver observer;
    const TrainResult whole = train_adapter(asked(name), observer);
    support::StopAfter stopping(17);
    EXPECT_THROW(train_adapter(asked(name + "p"), stopping), platform::Error) << kind.settings;
    EXPECT_EQ(train_adapter(asked(name + "p"), observer).adapter_digest, whole.adapter_digest) << kind.settings;
    const Predictor loaded(folder_.path() / "base", folder_.path() / name, 1);
    EXPECT_NE(platform::read_file(folder_.path() / name / "adapter_config.json").find(kind.in_config),
              std::string::npos)
        << kind.settings;
  }
}

// However the base is held, the adapter loads beside the base held so again, and tells how that was.
TEST_F(TrainingJob, EveryFormOfTheBaseTrainsLoadsAndResumesToTheSameBytes) {
  std::set<std::string> weights;
  for (const std::string form : {"float32", "bfloat16", "float16", "int8", "nf4", "nf4_double"}) {
    const auto asked = [&](const std::string& name) {
      TrainRequest made = request(form + name, 40);
      made.config.min_steps = 40;
      made.config.base_dtype = form;
      return made;
    };
    TrainObserver observer;
    const TrainResult whole = train_adapter(asked("whole"), observer);
    support::StopAfter stopping(17);
    EXPECT_THROW(train_adapter(asked("pieces"), stopping), platform::Error) << form;
    EXPECT_EQ(train_adapter(asked("pieces"), observer).adapter_digest, whole.adapter_digest) << form;
    EXPECT_EQ(read_manifest(folder_.path() / (form + "whole")).base_dtype, form);
    const Predictor loaded(folder_.path() / "base", folder_.path() / (form + "whole"), 1);
    weights.insert(platform::read_file(folder_.path() / (form + "whole") / "adapter_model.safetensors"));
  }
  // This base is stored in bfloat16, whose values are those of float32 and of float16.
  EXPECT_GE(weights.size(), 4u);
}

TEST_F(TrainingJob, AnAdapterOfACompressedBaseSaysSoWhereTheBaseIsHeldOtherwise) {
  TrainRequest asked = request("adapter", 40);
  asked.config.base_dtype = "nf4";
  TrainObserver observer;
  train_adapter(asked, observer);
  EXPECT_NO_THROW(Predictor(folder_.path() / "base", folder_.path() / "adapter", 1, "nf4"));
  try {
    const Predictor loaded(folder_.path() / "base", folder_.path() / "adapter", 1, "float32");
    FAIL() << "the probe reproduced on another base";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("trained on the base in nf4, not in float32"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(Predictor(folder_.path() / "base", std::nullopt, 1, "nf5"), platform::Error);
}

TEST_F(TrainingJob, AStopAtAnyQuestionLosesNoWholeStepAndChangesNoByte) {
  const auto small_batches = [&](const std::string& name) {
    TrainRequest small = request(name, 60);
    small.config.micro_batch_tokens = 24;
    return small;
  };
  TrainObserver observer;
  const TrainResult whole = train_adapter(small_batches("whole"), observer);
  std::optional<TrainResult> pieces;
  int stops = 0;
  for (; !pieces && stops < 1000; ++stops) {
    support::StopAtQuestion stopping(5 + stops % 29);
    try {
      pieces = train_adapter(small_batches("pieces"), stopping);
    } catch (const platform::Error& error) {
      ASSERT_EQ(error.code(), platform::ErrorCode::kCancelled) << error.what();
      const SafetensorsFile checkpoint(folder_.path() / "pieces.work" / kCheckpointName);
      const auto state = platform::parse_json(checkpoint.metadata().at("state"), "state");
      ASSERT_GE(state.as_object().at("step").as_int64(), stopping.seen);
    }
  }
  ASSERT_TRUE(pieces) << "no progress";
  EXPECT_GT(stops, 10);
  EXPECT_EQ(pieces->adapter_digest, whole.adapter_digest);
}

TEST_F(TrainingJob, ANetworkBesideTheBaseAnswersBeforeTheFirstStepAndIsKeptByAStop) {
  const auto asked = [&](const std::string& name) {
    TrainRequest made = request(name, 30);
    made.config.side_network = true;
    made.config.patience = 0;
    return made;
  };
  TrainObserver observer;
  const TrainResult whole = train_adapter(asked("whole"), observer);
  EXPECT_EQ(whole.steps, 30);
  support::StopAfter stopping(11);
  EXPECT_THROW(train_adapter(asked("pieces"), stopping), platform::Error);
  EXPECT_EQ(train_adapter(asked("pieces"), observer).adapter_digest, whole.adapter_digest);
  TrainRequest at_once = asked("at_once");
  at_once.config.patience = 1;
  const TrainResult early = train_adapter(at_once, observer);
  EXPECT_LT(early.steps, 30) << "steps that better nothing are not made";
  for (const char* name : {"whole", "at_once"}) {
    const EvaluationReport report = evaluate_adapter({.base_folder = folder_.path() / "base",
                                                      .adapter_folder = folder_.path() / name,
                                                      .dataset = folder_.path() / "data.jsonl",
                                                      .threads = 1});
    EXPECT_GE(report.score("accuracy")->value, 0.9) << name;
  }
}

// Every kind of head learns the same number: as ranks, as marks, as quantiles and as what follows a signal.
TEST_F(TrainingJob, OrdinalMultilabelQuantileAndForecastHeadsLearn) {
  std::string lines;
  kernels::Random random(4);
  for (int i = 0; i < 240; ++i) {
    platform::Example example;
    example.id = "r" + std::to_string(i);
    example.split = i % 5 == 3   ? platform::Split::kValidation
                    : i % 5 == 4 ? platform::Split::kTest
                                 : platform::Split::kTrain;
    example.prompt = "spindle {{ number:load }} {{ signal:power }}";
    const double load = 2 * random.uniform() - 1, level = 10 * random.uniform();
    example.numbers["load"] = load;
    example.signals["power"] = {1, "kW", {static_cast<float>(level - 1), static_cast<float>(level)}};
    example.label = load < -0.4 ? "2" : load < 0.4 ? "3" : "10";
    example.labels = std::vector<std::string>{};
    if (load > -0.3) example.labels->push_back("worn");
    if (load < 0.5) example.labels->push_back("cold");
    example.value = 5 * load + 0.5 * (2 * random.uniform() - 1);
    example.values = {level + load, level + 2 * load};
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(folder_.path() / "data.jsonl", lines);
  const auto report_of = [&](Task task, const std::string& name) {
    TrainRequest asked = request(name, 20);
    asked.task = task;
    asked.config.side_network = true;
    if (task == Task::kRegress) asked.config.quantiles = {0.1, 0.5, 0.9};
    if (task == Task::kForecast) asked.config.continues = "power";
    TrainObserver observer;
    train_adapter(asked, observer);
    return evaluate_adapter({.base_folder = asked.base_folder,
                             .adapter_folder = asked.output_folder,
                             .dataset = asked.dataset,
                             .predictions_file = folder_.path() / (name + ".jsonl"),
                             .threads = 1});
  };
  const EvaluationReport ordinal = report_of(Task::kOrdinal, "ordinal");
  EXPECT_GE(ordinal.score("qwk")->value, 0.9);
  const EvaluationReport labels = report_of(Task::kMultilabel, "multilabel");
  EXPECT_GE(labels.score("label_macro_f1")->value, 0.9);
  EXPECT_LT(labels.baseline("majority", "label_macro_f1")->value, 0.9);
  EXPECT_LE(report_of(Task::kRegress, "quantiles").score("rmse")->value, 0.8);
  const EvaluationReport forecast = report_of(Task::kForecast, "forecast");
  EXPECT_LE(forecast.score("rmse")->value, 0.5);
  for (const char* name : {"last", "mean", "linear", "nearest"}) EXPECT_TRUE(forecast.baseline(name, "rmse")) << name;
  Predictor forecaster(folder_.path() / "base", folder_.path() / "forecast", 1);
  Predictor judge(folder_.path() / "base", folder_.path() / "quantiles", 1);
  platform::Example asked = read_examples(folder_.path() / "data.jsonl").front();
  EXPECT_EQ(forecaster.predict(asked).values.size(), 2U);
  const auto quantiles = judge.predict(asked).quantiles;
  ASSERT_EQ(quantiles.size(), 3U);
  EXPECT_LE(quantiles[0].second, quantiles[1].second);
  EXPECT_LE(quantiles[1].second, quantiles[2].second);
}

TEST_F(TrainingJob, RefusesHeadsWhoseExamplesDoNotFitThem) {
  const auto expect_refused = [&](Task task, const std::string& words) {
    TrainRequest asked = request("refused", 5);
    asked.task = task;
    TrainObserver observer;
    try {
      train_adapter(asked, observer);
      FAIL() << "trained " << to_string(task);
    } catch (const platform::Error& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
    EXPECT_FALSE(std::filesystem::exists(asked.output_folder));
  };
  expect_refused(Task::kOrdinal, "list `labels` from low to high");
  expect_refused(Task::kMultilabel, "has a label");
  expect_refused(Task::kRegress, "has no value");
  expect_refused(Task::kForecast, "needs `continues`");
}

TEST_F(TrainingJob, StopsEarlyWhenTheValidationPartGetsWorse) {
  std::string lines;
  for (platform::Example& example : read_examples(folder_.path() / "data.jsonl")) {
    if (example.split == platform::Split::kValidation) example.label = *example.label == "high" ? "low" : "high";
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(folder_.path() / "data.jsonl", lines);
  TrainRequest patient = request("adapter", 120);
  patient.config.min_steps = 0;
  patient.config.patience = 2;
  patient.config.evaluations = 12;
  TrainObserver observer;
  const TrainResult result = train_adapter(patient, observer);
  EXPECT_EQ(result.steps, result.best_step + 20);
  EXPECT_LT(result.steps, 120);
}

TEST_F(TrainingJob, BalancedClassesGiveARareOneItsVoice) {
  std::string lines;
  for (int i = 0; i < 60; ++i) {
    platform::Example example;
    example.id = "c" + std::to_string(i);
    example.prompt = "spindle load";
    example.label = i % 10 == 0 ? "rare" : "usual";
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(folder_.path() / "data.jsonl", lines);
  const auto rare_probability = [&](const std::string& class_weights) {
    TrainRequest training = request(class_weights, 80);
    training.config.class_weights = class_weights;
    TrainObserver observer;
    train_adapter(training, observer);
    Predictor predictor(folder_.path() / "base", folder_.path() / class_weights, 1);
    platform::Example asked;
    asked.prompt = "spindle load";
    return predictor.predict(asked).probabilities.at(0).second;
  };
  EXPECT_LT(rare_probability("none"), 0.25);
  EXPECT_GT(rare_probability("balanced"), 0.35);
}

TEST_F(TrainingJob, WithoutValidationTheAdapterIsTheAverageOfTheStepsAndNotTheLastOne) {
  std::string kept;
  for (const platform::Example& example : read_examples(folder_.path() / "data.jsonl")) {
    if (example.split != platform::Split::kValidation)
      kept += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(folder_.path() / "data.jsonl", kept);
  TrainObserver observer;
  TrainRequest averaged = request("averaged", 30), last = request("last", 30);
  last.config.weight_average = 0;
  const TrainResult smooth = train_adapter(averaged, observer);
  train_adapter(last, observer);
  EXPECT_FALSE(smooth.validation_metric);
  EXPECT_NE(platform::read_file(averaged.output_folder / "adapter_model.safetensors"),
            platform::read_file(last.output_folder / "adapter_model.safetensors"));
}

// Air pressure in pascal: the variation is small beside the value.
void write_regression(const std::filesystem::path& file, int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) {
    platform::Example example;
    example.id = "p" + std::to_string(i);
    example.split = i % 5 == 3   ? platform::Split::kValidation
                    : i % 5 == 4 ? platform::Split::kTest
                                 : platform::Split::kTrain;
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = 0.1 * (i % 21 - 10);
    example.value = 101325.0 + 200.0 * *example.numbers["load"];
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(file, lines);
}

TEST_F(TrainingJob, LearnsANumberWhoseVariationIsSmallBesideItsSize) {
  write_regression(folder_.path() / "data.jsonl", 200);
  TrainObserver observer;
  TrainRequest training = request("adapter", 300);
  training.task = Task::kRegress;
  const TrainResult result = train_adapter(training, observer);
  EXPECT_EQ(result.metric, "rmse");
  EvaluateRequest evaluation;
  evaluation.base_folder = folder_.path() / "base";
  evaluation.adapter_folder = folder_.path() / "adapter";
  evaluation.dataset = folder_.path() / "data.jsonl";
  evaluation.threads = 1;
  const EvaluationReport report = evaluate_adapter(evaluation);
  EXPECT_LT(report.score("rmse")->value, 0.5 * report.baseline("mean", "rmse")->value);
}

TEST_F(TrainingJob, LongPromptsAreReadAfterTrainingAsInIt) {
  TrainRequest training = request("adapter", 60);
  training.config.max_example_tokens = 3;
  TrainObserver observer;
  train_adapter(training, observer);
  EXPECT_EQ(read_manifest(folder_.path() / "adapter").max_tokens, 3);
  kernels::Context context = kernels::Context::cpu(1);
  EXPECT_EQ(load_adapter(context, folder_.path() / "base", folder_.path() / "adapter").rules().max_tokens, 3);
}

TEST_F(TrainingJob, RefusesAMetricThatTheTaskDoesNotHaveAndListsThoseItHas) {
  TrainRequest training = request("adapter", 20);
  training.config.metric = "rmse";
  TrainObserver observer;
  try {
    train_adapter(training, observer);
    FAIL() << "rmse was taken for a classifier";
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.path(), "metric");
    EXPECT_NE(std::string(error.what()).find("accuracy, macro_f1, loss"), std::string::npos) << error.what();
  }
}

TEST_F(TrainingJob, StopsWhenNoStepHasFiniteGradientsAnyMore) {
  TrainRequest endless = request("adapter", 60);
  endless.config.min_steps = 60;
  endless.config.alpha = 1e30;  // what the first step leaves is beyond every float
  endless.config.learning_rate = 1;
  TrainObserver observer;
  try {
    train_adapter(endless, observer);
    FAIL() << "an adapter was made of nothing";
  } catch (const platform::Error& error) {
    const std::string said = error.what();
    EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput) << said;
    EXPECT_NE(said.find("the last 10 steps had gradients that are no finite numbers"), std::string::npos) << said;
    EXPECT_NE(said.find("of 60"), std::string::npos) << said;
    EXPECT_NE(said.find("in the gradient of "), std::string::npos) << said;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "adapter"));
  TrainRequest brief = endless;
  brief.config.min_steps = brief.config.max_steps = 3;
  brief.output_folder = folder_.path() / "brief";
  brief.work_folder = folder_.path() / "brief.work";
  try {
    train_adapter(brief, observer);
    FAIL() << "an adapter without answers was written";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("the trained adapter answers example r0 with"), std::string::npos)
        << error.what();
  }
}

TEST_F(TrainingJob, RefusesTheCheckpointOfAnotherRequest) {
  support::StopAfter stopping(3);
  EXPECT_THROW(train_adapter(request("other", 20), stopping), platform::Error);
  TrainRequest changed = request("other", 20);
  changed.config.learning_rate = 1e-3;
  TrainObserver observer;
  try {
    train_adapter(changed, observer);
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_EQ(error.code(), platform::ErrorCode::kConflict);
  }
}

TEST(TrainConfig, RefusesAnUnknownKeyWithTheNearestKnown) {
  try {
    train_config_from_json(platform::json::object{{"learning_rat", 0.1}});
    FAIL();
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("learning_rate"), std::string::npos);
  }
}

}  // namespace
}  // namespace finetune
