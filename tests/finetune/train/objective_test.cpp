// What the objectives minimise, against their formulas written plainly in double: of single pairs, of a model's logits,
// and of a training.
#include "finetune/train/objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finetune/adapter/reference.h"
#include "finetune/train/checkpoint.h"
#include "tests/support/stop_after.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// The formulas of the papers, term by term.
double plain_loss(const Objective& objective, const PairLogprobs& pair) {
  const double chosen = pair.chosen.sum / static_cast<double>(pair.chosen.tokens);
  const double rejected = pair.rejected.sum / static_cast<double>(pair.rejected.tokens);
  if (objective.kind == ObjectiveKind::kOrpo) {
    const auto odds = [](double mean) { return std::exp(mean) / (1 - std::exp(mean)); };
    return -chosen - objective.beta * std::log(sigmoid(std::log(odds(chosen) / odds(rejected))));
  }
  const double h = pair.chosen.sum - pair.rejected.sum - pair.reference_margin;
  return -(1 - objective.label_smoothing) * std::log(sigmoid(objective.beta * h)) -
         objective.label_smoothing * std::log(sigmoid(-objective.beta * h)) - objective.rpo_alpha * chosen;
}

struct Case {
  const char* name;
  Objective objective;
};
const Case kCases[] = {{"Dpo", {.kind = ObjectiveKind::kDpo}},
                       {"ConservativeDpo", {.kind = ObjectiveKind::kDpo, .beta = 0.5, .label_smoothing = 0.2}},
                       {"DpoWithTheChosenAnswersLoss", {.kind = ObjectiveKind::kDpo, .beta = 0.3, .rpo_alpha = 0.7}},
                       {"Orpo", {.kind = ObjectiveKind::kOrpo, .beta = 0.4}}};

class ObjectiveOfPairs : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(All, ObjectiveOfPairs, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(ObjectiveOfPairs, LossAndSlopesAreThoseOfTheFormula) {
  const Objective& objective = GetParam().objective;
  for (const PairLogprobs& pair : {PairLogprobs{{-3.5, 4}, {-2.0, 3}, 0.8}, PairLogprobs{{-0.4, 7}, {-9.0, 2}, -1.5},
                                   PairLogprobs{{-40.0, 12}, {-0.1, 1}, 3.0}}) {
    const PairLoss got = pair_loss(objective, pair);
    EXPECT_NEAR(got.loss, plain_loss(objective, pair), 1e-12 * std::fabs(got.loss) + 1e-13);
    const double step = 1e-5;
    const auto slope = [&](AnswerLogprob PairLogprobs::*answer) {
      PairLogprobs up = pair, down = pair;
      (up.*answer).sum += step;
      (down.*answer).sum -= step;
      return (plain_loss(objective, up) - plain_loss(objective, down)) / (2 * step);
    };
    EXPECT_NEAR(got.dchosen, slope(&PairLogprobs::chosen), 1e-7);
    EXPECT_NEAR(got.drejected, slope(&PairLogprobs::rejected), 1e-7);
  }
}

TEST_P(ObjectiveOfPairs, StaysFiniteWhereAModelIsSure) {
  for (const double chosen : {0.0, -1e-30, -1e5}) {
    for (const double rejected : {0.0, -1e-30, -1e5}) {
      const PairLoss loss = pair_loss(GetParam().objective, {{chosen, 3}, {rejected, 5}, 0});
      EXPECT_TRUE(std::isfinite(loss.loss) && std::isfinite(loss.dchosen) && std::isfinite(loss.drejected))
          << chosen << " " << rejected << ": " << loss.loss << " " << loss.dchosen << " " << loss.drejected;
    }
  }
}

TEST(ObjectiveOfPairs, RewardsTheChosenAnswerByTheReferenceOrByItsMean) {
  const PairLogprobs pair{{-6, 3}, {-5, 5}, -2.5};
  EXPECT_DOUBLE_EQ(pair_loss({.kind = ObjectiveKind::kDpo, .beta = 0.2}, pair).margin, 0.2 * (-1 + 2.5));
  EXPECT_DOUBLE_EQ(pair_loss({.kind = ObjectiveKind::kOrpo, .beta = 0.2}, pair).margin, 0.2 * (-2 + 1));
  EXPECT_DOUBLE_EQ(pair_loss({}, pair).margin, -1);
}

platform::Example pair_of(int i) {
  platform::Example example;
  example.id = "p" + std::to_string(i);
  example.split = i % 4 == 2   ? platform::Split::kValidation
                  : i % 4 == 3 ? platform::Split::kTest
                               : platform::Split::kTrain;
  example.prompt = i / 4 % 2 == 0 ? "spindle load" : "bearing";
  // The longer answer is the better one half of the time, so that length does not decide.
  example.chosen = i / 4 % 2 == 0 ? " high" : " hot, bearing hot";
  example.rejected = i / 4 % 2 == 0 ? " low, spindle low" : " cold";
  if (i % 3 == 0) example.weight = 0.5;
  return example;
}

// A tiny base with LoRA that is alive, and four pairs of different weights.
struct Setting {
  platform::TemporaryFolder folder;
  Base base;
  AdapterParts parts;
  kernels::Context context = kernels::Context::cpu(1);
  std::vector<EncodedExample> pairs;
  std::optional<AdaptedModel> model;

  static Base make_base(const std::filesystem::path& folder) {
    support::write_tiny_base(folder);
    return Base::load(folder);
  }
  explicit Setting(const Objective& objective) : base(make_base(folder.path())) {
    PeftConfig lora;
    lora.r = 3;
    lora.lora_alpha = 6;
    lora.target_modules = {"q_proj", "v_proj", "down_proj", "lm_head"};
    parts.start(base, lora, 11);
    kernels::Random random(12);
    parts.adapter.for_each([&](Weight& weight) {
      for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.1f;
    });
    parts.make_trainable();
    const EncodingRules rules{.tokenizer = &base.tokenizer, .schema = &parts.schema};
    for (int i : {0, 4, 8, 12}) pairs.push_back(encode_example(rules, pair_of(i), true));
    model.emplace(base, parts);
    model->set_objective(objective);
    if (objective.kind == ObjectiveKind::kDpo) set_reference_margins(context, *model, pairs, 4096, {});
  }
  std::vector<const EncodedExample*> batch() const {
    std::vector<const EncodedExample*> all;
    for (const EncodedExample& pair : pairs) all.push_back(&pair);
    return all;
  }
  // log p of one document's targets, from its logits and in double.
  AnswerLogprob plain_logprob(const EncodedExample& document) {
    const std::span<const std::int32_t> ids(document.ids);
    const Tensor& hidden =
        model->transformer().forward(context, pack_documents({&ids, 1}), nullptr, ActivationMode::kNone);
    Tensor logits({hidden.size(0), base.config.vocab_size});
    model->transformer().logits(context, hidden, logits);
    AnswerLogprob answer;
    for (std::size_t n = 0; n < document.targets.size(); ++n) {
      if (document.targets[n] < 0) continue;
      const float* row = logits.data<float>() + static_cast<std::int64_t>(n) * logits.size(1);
      double sum = 0;
      for (std::int64_t v = 0; v < logits.size(1); ++v) sum += std::exp(static_cast<double>(row[v]));
      answer.sum += static_cast<double>(row[document.targets[n]]) - std::log(sum);
      ++answer.tokens;
    }
    return answer;
  }
  PairLogprobs plain_pair(const EncodedExample& pair) {
    model->transformer().set_adapter_active(false);
    const double reference = plain_logprob(pair).sum - plain_logprob(pair.rejected[0]).sum;
    model->transformer().set_adapter_active(true);
    return {plain_logprob(pair), plain_logprob(pair.rejected[0]), reference};
  }
  std::vector<std::vector<float>> gradients() {
    std::vector<std::vector<float>> all;
    for (Weight* weight : parts.weights()) {
      const auto values = weight->gradient.values<float>();
      all.emplace_back(values.begin(), values.end());
      weight->gradient.fill_zero();
    }
    return all;
  }
};

// Relative to the largest of each weight.
void expect_near(const std::vector<std::vector<float>>& got, const std::vector<std::vector<float>>& wanted,
                 double tolerance) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    double largest = 0, difference = 0;
    for (std::size_t k = 0; k < got[i].size(); ++k) {
      largest = std::max(largest, std::fabs(static_cast<double>(wanted[i][k])));
      difference = std::max(difference, std::fabs(static_cast<double>(wanted[i][k]) - static_cast<double>(got[i][k])));
    }
    EXPECT_GT(largest, 0) << "weight " << i;
    EXPECT_LE(difference, tolerance * largest) << "weight " << i;
  }
}

TEST_P(ObjectiveOfPairs, AModelsLossIsTheFormulaOfItsLogits) {
  Setting setting(GetParam().objective);
  double wanted = 0, weight = 0;
  for (const EncodedExample& pair : setting.pairs) {
    wanted += static_cast<double>(pair.weight) * plain_loss(GetParam().objective, setting.plain_pair(pair));
    weight += static_cast<double>(pair.weight);
  }
  const kernels::LossSum got = setting.model->loss(setting.context, setting.batch(), nullptr);
  EXPECT_NEAR(got.loss, wanted, 2e-6 * wanted);
  EXPECT_DOUBLE_EQ(got.weight, weight);
  EXPECT_EQ(got.count, 4);
}

// The chain rule in double: the slopes of the formula times the gradients of the two log probabilities, which come
// from the cross-entropy of each answer alone.
TEST_P(ObjectiveOfPairs, AModelsGradientIsTheChainRuleOverItsAnswers) {
  Setting setting(GetParam().objective);
  std::vector<std::vector<double>> sum;
  for (const EncodedExample& pair : setting.pairs) {
    const PairLogprobs plain = setting.plain_pair(pair);
    const double step = 1e-5;
    for (const bool chosen : {true, false}) {
      PairLogprobs up = plain, down = plain;
      (chosen ? up.chosen : up.rejected).sum += step;
      (chosen ? down.chosen : down.rejected).sum -= step;
      const double slope = (plain_loss(GetParam().objective, up) - plain_loss(GetParam().objective, down)) / (2 * step);
      EncodedExample alone = chosen ? pair : pair.rejected[0];
      alone.rejected.clear();
      alone.weight = 1;
      const EncodedExample* batch[] = {&alone};
      setting.model->set_objective({});
      setting.model->train(setting.context, batch, 1.0f, nullptr, ActivationMode::kKeep, 0);
      const auto of_answer = setting.gradients();  // of -log p
      sum.resize(of_answer.size());
      for (std::size_t i = 0; i < of_answer.size(); ++i) {
        sum[i].resize(of_answer[i].size());
        for (std::size_t k = 0; k < of_answer[i].size(); ++k)
          sum[i][k] -= 0.25 * static_cast<double>(pair.weight) * slope * static_cast<double>(of_answer[i][k]);
      }
    }
  }
  setting.model->set_objective(GetParam().objective);
  setting.model->train(setting.context, setting.batch(), 0.25f, nullptr, ActivationMode::kKeep, 0);
  std::vector<std::vector<float>> wanted;
  for (const auto& each : sum) wanted.emplace_back(each.begin(), each.end());
  expect_near(setting.gradients(), wanted, 2e-5);
}

TEST_P(ObjectiveOfPairs, MicroBatchesChangeNeitherLossNorGradient) {
  Setting whole(GetParam().objective), pieces(GetParam().objective);
  const double one = whole.model->train(whole.context, whole.batch(), 0.25f, nullptr, ActivationMode::kKeep, 0).loss;
  double four = 0;
  for (const EncodedExample* pair : pieces.batch())
    four += pieces.model->train(pieces.context, Batch(&pair, 1), 0.25f, nullptr, ActivationMode::kRecompute, 0).loss;
  EXPECT_NEAR(four, one, 1e-5 * one);
  expect_near(pieces.gradients(), whole.gradients(), 2e-5);
  // A batch counts both answers, and takes a pair whole or not at all.
  const std::int64_t two = whole.pairs[0].tokens() + whole.pairs[1].tokens();
  EXPECT_EQ(group_by_tokens(whole.pairs, {0, 1, 2, 3}, two).front().size(), 2u);
  EXPECT_EQ(group_by_tokens(whole.pairs, {0, 1, 2, 3}, two - 1).front().size(), 1u);
  EXPECT_EQ(group_by_tokens(whole.pairs, {0, 1, 2, 3}, 1).size(), 4u);
}

// One answer with a teacher for all but its last two tokens, and one without.
std::vector<platform::Example> taught_examples() {
  platform::Example taught;
  taught.id = "t0";
  taught.prompt = "spindle load";
  taught.completion = " high, spindle hot";
  platform::Example alone = taught;
  alone.id = "t1";
  alone.completion = " low";
  taught.teacher.emplace();
  return {taught, alone};
}

// The teacher's lists of an answer: its own tokens with 0.6, and two others.
platform::Teacher teacher_of(const Tokenizer& tokenizer, const std::string& answer) {
  platform::Teacher teacher;
  const std::int32_t size = tokenizer.vocabulary_size();
  for (const std::int32_t token : tokenizer.encode(answer))
    teacher.tokens.push_back(
        {{token, std::log(0.6f)}, {(token + 1) % size, std::log(0.2f)}, {(token + 7) % size, -3.0f}});
  return teacher;
}

// Against the logits in double: what the formula says, written with one outcome for all other tokens.
TEST(Distillation, AModelsLossIsTheFormulaOfItsLogits) {
  const Objective objective{.kind = ObjectiveKind::kDistillation, .kd_ratio = 0.7, .kd_temperature = 2.0};
  Setting setting(objective);
  std::vector<platform::Example> raw = taught_examples();
  raw[0].teacher = teacher_of(setting.base.tokenizer, raw[0].completion);
  raw[0].teacher->tokens.pop_back();
  const EncodingRules rules{.tokenizer = &setting.base.tokenizer, .schema = &setting.parts.schema};
  double wanted = 0;
  std::int64_t of_teacher = 0;
  setting.pairs.clear();
  for (const platform::Example& example : raw) setting.pairs.push_back(encode_example(rules, example, true));
  for (const EncodedExample& document : setting.pairs) {
    const std::span<const std::int32_t> ids(document.ids);
    const Tensor& hidden = setting.model->transformer().forward(setting.context, pack_documents({&ids, 1}), nullptr,
                                                                ActivationMode::kNone);
    Tensor logits({hidden.size(0), setting.base.config.vocab_size});
    setting.model->transformer().logits(setting.context, hidden, logits);
    for (std::size_t n = 0; n < document.targets.size(); ++n) {
      if (document.targets[n] < 0) continue;
      std::vector<double> q;
      double total = 0;
      for (std::int64_t v = 0; v < logits.size(1); ++v)
        total += q.emplace_back(
            std::exp(static_cast<double>(logits.data<float>()[static_cast<std::int64_t>(n) * logits.size(1) + v])));
      for (double& each : q) each /= total;
      const double hard = -std::log(q[static_cast<std::size_t>(document.targets[n])]);
      if (document.teacher.empty() || document.teacher[n].empty()) {
        wanted += hard;
        continue;
      }
      ++of_teacher;
      std::vector<double> theirs, mine;
      double rest = 1, my_rest = 1, sum = 0, my_sum = 0, divergence = 0;
      for (const platform::TeacherToken& token : document.teacher[n]) {
        theirs.push_back(std::exp(static_cast<double>(token.logprob)));
        mine.push_back(q[static_cast<std::size_t>(token.token)]);
        rest -= theirs.back();
        my_rest -= mine.back();
      }
      theirs.push_back(rest);
      mine.push_back(my_rest);
      for (double& each : theirs) sum += each = std::sqrt(each);
      for (double& each : mine) my_sum += each = std::sqrt(each);
      for (std::size_t i = 0; i < mine.size(); ++i)
        divergence += theirs[i] / sum * std::log(theirs[i] / sum / (mine[i] / my_sum));
      wanted += 0.3 * hard + 0.7 * 4 * divergence;
    }
  }
  EXPECT_EQ(of_teacher, static_cast<std::int64_t>(raw[0].teacher->tokens.size()));
  EXPECT_NEAR(setting.model->loss(setting.context, setting.batch(), nullptr).loss, wanted, 2e-5 * wanted);
}

TEST(Distillation, MicroBatchesChangeNeitherLossNorGradient) {
  const Objective objective{.kind = ObjectiveKind::kDistillation, .kd_ratio = 0.7, .kd_temperature = 2.0};
  Setting whole(objective), pieces(objective);
  for (Setting* setting : {&whole, &pieces}) {
    std::vector<platform::Example> raw = taught_examples();
    raw[0].teacher = teacher_of(setting->base.tokenizer, raw[0].completion);
    const EncodingRules rules{.tokenizer = &setting->base.tokenizer, .schema = &setting->parts.schema};
    setting->pairs.clear();
    for (const platform::Example& example : raw) setting->pairs.push_back(encode_example(rules, example, true));
  }
  const double one = whole.model->train(whole.context, whole.batch(), 0.1f, nullptr, ActivationMode::kKeep, 0).loss;
  double two = 0;
  for (const EncodedExample* example : pieces.batch())
    two += pieces.model->train(pieces.context, Batch(&example, 1), 0.1f, nullptr, ActivationMode::kRecompute, 0).loss;
  EXPECT_NEAR(two, one, 1e-5 * one);
  expect_near(pieces.gradients(), whole.gradients(), 2e-5);
}

TEST(Distillation, TheSlopeAlongTheGradientIsItsLength) {
  const Objective objective{.kind = ObjectiveKind::kDistillation, .kd_ratio = 0.7, .kd_temperature = 2.0};
  Setting setting(objective);
  std::vector<platform::Example> raw = taught_examples();
  raw[0].teacher = teacher_of(setting.base.tokenizer, raw[0].completion);
  const EncodingRules rules{.tokenizer = &setting.base.tokenizer, .schema = &setting.parts.schema};
  setting.pairs.clear();
  for (const platform::Example& example : raw) setting.pairs.push_back(encode_example(rules, example, true));
  setting.model->train(setting.context, setting.batch(), 1.0f, nullptr, ActivationMode::kKeep, 0);
  for (Weight* weight : setting.parts.weights()) {
    const std::vector<float> along(weight->gradient.values<float>().begin(), weight->gradient.values<float>().end());
    double norm = 0;
    for (const float value : along) norm += static_cast<double>(value) * static_cast<double>(value);
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1e-6) << weight->name;
    const auto moved = [&](double by) {
      const Tensor before = weight->value.clone();
      std::span<float> values = weight->value.values<float>();
      for (std::size_t i = 0; i < along.size(); ++i)
        values[i] += static_cast<float>(by * static_cast<double>(along[i]) / norm);
      const double loss = setting.model->loss(setting.context, setting.batch(), nullptr).loss;
      weight->value.copy_from(before);
      return loss;
    };
    const double step = 2e-3;
    EXPECT_NEAR((moved(step) - moved(-step)) / (2 * step), norm, 0.02 * norm + 0.01) << weight->name;
  }
}

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
