// Trainings by the objectives of pairs, and by a teacher: what they learn, how they go on, and what they refuse.
#include <gtest/gtest.h>

#include <cmath>

#include "finetune/train/checkpoint.h"
#include "tests/finetune/train/objective_fixture.h"
#include "tests/support/stop_after.h"

namespace finetune {
namespace {

class TrainingOnPairs : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    write([](int i) { return pair_of(i); });
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  template <typename Make>
  void write(Make&& make) const {
    std::string lines;
    for (int i = 0; i < 64; ++i) lines += platform::canonical_json(platform::to_json(make(i))) + "\n";
    platform::write_file_atomically(path("data.jsonl"), lines);
  }
  TrainRequest request(const std::string& name, ObjectiveKind kind) const {
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config.objective.kind = kind;
    request.config.min_steps = request.config.max_steps = 60;
    request.config.batch_examples = 8;
    request.config.r = 4;
    request.config.dropout = 0.1;
    request.config.learning_rate = 5e-3;
    request.output_folder = path(name);
    request.threads = 1;
    return request;
  }
  EvaluationReport evaluate(const std::string& name) const {
    EvaluateRequest request;
    request.base_folder = path("base");
    request.adapter_folder = path(name);
    request.dataset = path("data.jsonl");
    request.predictions_file = path("predictions.jsonl");
    request.threads = 1;
    return evaluate_adapter(request);
  }
  void expect_refused(const TrainRequest& request, const std::string& words) const {
    TrainObserver observer;
    try {
      train_adapter(request, observer);
      ADD_FAILURE() << "accepted where this was to be refused: " << words;
    } catch (const platform::Error& error) {
      EXPECT_EQ(error.code(), platform::ErrorCode::kInvalidInput);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
  platform::TemporaryFolder folder_;
};

// Remembers the last validation pass.
struct Remembers final : TrainObserver {
  TrainProgress last;
  void on_step(const TrainProgress& progress) override {
    if (progress.validation_loss) last = progress;
  }
};

TEST_F(TrainingOnPairs, LearnsToPreferWhatIsChosenAndEvaluationSaysSo) {
  for (const ObjectiveKind kind : {ObjectiveKind::kDpo, ObjectiveKind::kOrpo}) {
    const std::string name(to_string(kind));
    Remembers observer;
    const TrainResult result = train_adapter(request(name, kind), observer);
    EXPECT_EQ(result.metric, "loss");
    EXPECT_EQ(observer.last.reward_accuracy, 1.0) << name;
    EXPECT_GT(observer.last.reward_margin, 0.0) << name;
    const EvaluationReport report = evaluate(name);
    const std::optional<Score> accuracy = report.score("reward_accuracy");
    ASSERT_TRUE(accuracy) << name;
    EXPECT_EQ(accuracy->value, 1.0) << name;
    EXPECT_LE(accuracy->low, accuracy->value);
    EXPECT_GT(report.score("reward_margin")->value, 0.0) << name;
    EXPECT_NEAR(report.score("loss")->value, *result.validation_metric, 1e-4) << "both parts have the same pairs";
    EXPECT_FALSE(report.score("perplexity"));
    EXPECT_NE(platform::read_file(path("predictions.jsonl")).find("reward_margin"), std::string::npos);
  }
}

TEST_F(TrainingOnPairs, TheOtherWayRoundIsLearntTheOtherWayRound) {
  TrainObserver observer;
  train_adapter(request("straight", ObjectiveKind::kDpo), observer);
  write([](int i) {
    platform::Example example = pair_of(i);
    std::swap(example.chosen, example.rejected);
    return example;
  });
  EXPECT_EQ(evaluate("straight").score("reward_accuracy")->value, 0.0);
}

TEST_F(TrainingOnPairs, AnInterruptedTrainingEndsInTheSameBytes) {
  for (const ObjectiveKind kind : {ObjectiveKind::kDpo, ObjectiveKind::kOrpo, ObjectiveKind::kDistillation}) {
    const std::string name(to_string(kind));
    if (kind == ObjectiveKind::kDistillation) {
      const Base base = Base::load(path("base"));
      write([&](int i) {
        platform::Example example = pair_of(i);
        example.completion = *example.chosen;
        example.chosen.reset();
        example.rejected.reset();
        example.teacher = teacher_of(base.tokenizer, example.completion);
        example.teacher->tokenizer = base.tokenizer_digest;
        return example;
      });
    }
    const auto asked = [&](const std::string& folder) {
      TrainRequest made = request(folder + name, kind);
      made.config.min_steps = made.config.max_steps = 24;
      made.config.micro_batch_tokens = 40;
      return made;
    };
    TrainObserver observer;
    const TrainResult whole = train_adapter(asked("whole"), observer);
    std::optional<TrainResult> pieces;
    for (int stops = 0; !pieces && stops < 200; ++stops) {
      support::StopAtQuestion stopping(20 + 7 * (stops % 9));
      try {
        pieces = train_adapter(asked("pieces"), stopping);
      } catch (const platform::Error& error) {
        ASSERT_EQ(error.code(), platform::ErrorCode::kCancelled) << error.what();
      }
    }
    ASSERT_TRUE(pieces) << "no progress";
    EXPECT_EQ(pieces->adapter_digest, whole.adapter_digest) << name;
  }
}

TEST_F(TrainingOnPairs, ExamplesOfTheWrongShapeAreRefusedByName) {
  expect_refused(request("a", ObjectiveKind::kSft), "example p0 is a pair of answers");
  TrainRequest classify = request("a", ObjectiveKind::kDpo);
  classify.task = Task::kClassify;
  expect_refused(classify, "objective dpo is for the task lm, not classify");
  TrainRequest metric = request("a", ObjectiveKind::kOrpo);
  metric.config.metric = "perplexity";
  expect_refused(metric, "auto, reward_accuracy, loss, reward_margin");
  write([](int i) {
    platform::Example example = pair_of(i);
    if (i != 4) return example;
    example.chosen.reset();
    example.rejected.reset();
    example.completion = " high";
    return example;
  });
  expect_refused(request("a", ObjectiveKind::kDpo), "example p4 has no chosen and rejected answer");
  write([](int i) {
    platform::Example example = pair_of(i);
    example.prompt += " {{ number:load }}";
    example.numbers["load"] = i;
    return example;
  });
  expect_refused(request("a", ObjectiveKind::kDpo), "cannot read the slot of load");
}

// The teacher is sure of another first token than the completion has: with its share at 1 the student follows it.
TEST_F(TrainingOnPairs, AStudentFollowsItsTeacherWhereTheTeacherHasAllOfTheLoss) {
  const Base base = Base::load(path("base"));
  const std::int32_t other = base.tokenizer.encode("spindle").front(), own = base.tokenizer.encode(" cold").front();
  ASSERT_NE(other, own);
  const auto make = [&](const std::string& digest) {
    return [&, digest](int i) {
      platform::Example example = pair_of(i);
      example.chosen.reset();
      example.rejected.reset();
      example.completion = " cold";
      example.teacher = platform::Teacher{digest, {{{other, -0.01f}}}};
      return example;
    };
  };
  write(make(base.tokenizer_digest));
  TrainRequest asked = request("student", ObjectiveKind::kDistillation);
  asked.config.objective.kd_ratio = 1;
  asked.config.weight_average = 0;
  asked.config.evaluations = 1;
  asked.config.min_steps = asked.config.max_steps = 200;
  TrainObserver observer;
  train_adapter(asked, observer);
  kernels::Context context = kernels::Context::cpu(1);
  LoadedAdapter student = load_adapter(context, path("base"), path("student"));
  const auto first_token = [&](const std::string& completion) {
    platform::Example example = pair_of(0);
    example.chosen.reset();
    example.rejected.reset();
    example.completion = completion;
    const EncodedExample encoded = encode_example(student.rules(), example, true);
    const EncodedExample* batch[] = {&encoded};
    return static_cast<double>(student.model->outputs(context, batch).at(0).at(0));
  };
  EXPECT_GT(first_token("spindle"), std::log(0.8));
  EXPECT_LT(first_token(" cold"), std::log(0.1));
  write(make("sha256:other"));
  expect_refused(asked, "example p0 has a teacher whose tokens are those of sha256:other");
  write([&](int i) {
    platform::Example example = make(base.tokenizer_digest)(i);
    example.teacher.reset();
    return example;
  });
  expect_refused(asked, "has a teacher's probabilities");
}

TEST_F(TrainingOnPairs, PairsAndSingleAnswersAreNotScoredTogether) {
  TrainObserver observer;
  train_adapter(request("adapter", ObjectiveKind::kOrpo), observer);
  write([](int i) {
    platform::Example example = pair_of(i);
    if (i != 7) return example;
    example.chosen.reset();
    example.rejected.reset();
    example.completion = " high";
    return example;
  });
  try {
    evaluate("adapter");
    FAIL() << "was scored";
  } catch (const platform::Error& error) {
    EXPECT_NE(std::string(error.what()).find("example p7 is no pair"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace finetune
