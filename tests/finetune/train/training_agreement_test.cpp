// However a step is cut into batches, laid out, computed or interrupted, it is the same step: every family with
// everything that can be trained in it, adapters and the whole model.
//
// There is no padded layout here: documents are packed, each at positions from 0. That a packed batch is what other
// engines make of a padded one is told by family_golden_test and adapter_golden_test, whose traces come from padded
// batches; here padding is written behind documents as tokens without targets.
#include <gtest/gtest.h>

#include <cmath>

#include "finetune/adapter/adapted_model.h"
#include "finetune/bases/corpus.h"
#include "finetune/formats/safetensors.h"
#include "finetune/train/pretrainer.h"
#include "finetune/train/training_job.h"
#include "tests/support/no_tokenizer.h"
#include "tests/support/stop_after.h"
#include "tests/support/tiny_base.h"
#include "tests/support/tiny_families.h"

namespace finetune {
namespace {

using kernels::Tensor;
using support::TinyFamily;

// What is trained. Without settings it is every weight of the model.
struct Trained {
  const char* name;
  const char* settings;  // of a TrainConfig
};
constexpr Trained kTrained[] = {{"EveryWeight", nullptr},
                                {"Lora", R"({"r": 3, "alpha": 6})"},
                                {"RsLora", R"({"r": 3, "alpha": 6, "use_rslora": true})"},
                                {"Dora", R"({"r": 3, "alpha": 6, "use_dora": true})"},
                                {"Ia3", R"({"peft_type": "IA3"})"},
                                {"Bottleneck", R"({"peft_type": "BOTTLENECK", "bottleneck_size": 5})"}};

constexpr std::int64_t kVocabulary = 40;

// Documents shorter and longer than the windows of the families, one without any target, one that counts half; long
// ones begin with a prompt, which is no target.
std::vector<EncodedExample> make_documents() {
  kernels::Random random(21);
  std::vector<EncodedExample> documents;
  for (const int length : {6, 3, 9, 1, 12, 2, 7, 4}) {
    EncodedExample document;
    for (int i = 0; i < length; ++i) document.ids.push_back(static_cast<std::int32_t>(random.below(kVocabulary)));
    for (int i = 0; i < length; ++i)
      document.targets.push_back(i + 1 < length && i >= length / 3 ? document.ids[static_cast<std::size_t>(i) + 1]
                                                                   : kernels::kIgnoredTarget);
    document.weight = length == 9 ? 0.5f : 1.0f;
    documents.push_back(std::move(document));
  }
  return documents;
}

using Gradients = std::vector<std::vector<float>>;

// One tiny model, and what is trained in it.
struct Training {
  Base base;
  AdapterParts parts;
  kernels::Context context = kernels::Context::cpu(1);
  std::optional<AdaptedModel> model;
  std::vector<Weight*> weights;

  static Base base_of(ModelConfig config) {
    ModelWeights weights = support::lively_weights(config);
    return {std::move(config), std::move(weights), support::no_tokenizer(), "", "", {}, {}};
  }
  Training(const TinyFamily& family, const Trained& trained)
      : Training(support::family_config(family, kVocabulary), trained) {}
  Training(ModelConfig config, const Trained& trained) : base(base_of(std::move(config))) {
    if (trained.settings == nullptr) {
      base.weights.make_trainable();
      base.weights.for_each([&](Weight& weight) { weights.push_back(&weight); });
    } else {
      parts.start(base, peft_config(train_config_from_json(platform::parse_json(trained.settings, "settings"))), 11);
      // What starts at zero, or as the identity, moves away from it, so that every gradient is alive.
      kernels::Random random(12);
      parts.adapter.for_each([&](Weight& weight) {
        for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.1f;
      });
      parts.make_trainable();
      weights = parts.weights();
    }
    model.emplace(base, parts);
  }

  /// Adds the gradients of these documents, in micro-batches of `size`; returns the loss.
  double train(const std::vector<EncodedExample>& documents, std::size_t size,
               ActivationMode mode = ActivationMode::kKeep) {
    double loss = 0, weight = 0;
    std::vector<const EncodedExample*> all;
    for (const EncodedExample& document : documents) {
      all.push_back(&document);
      weight += static_cast<double>(document.weight) * static_cast<double>(document.supervised());
    }
    const float scale = weight > 0 ? static_cast<float>(1 / weight) : 1.0f;
    for (std::size_t i = 0; i < all.size(); i += size)
      loss +=
          model->train(context, Batch(all).subspan(i, std::min(size, all.size() - i)), scale, nullptr, mode, 5).loss;
    return weight > 0 ? loss / weight : loss;
  }
  std::vector<std::vector<float>> log_probabilities(const std::vector<EncodedExample>& documents, std::size_t size) {
    std::vector<std::vector<float>> rows;
    std::vector<const EncodedExample*> all;
    for (const EncodedExample& document : documents) all.push_back(&document);
    for (std::size_t i = 0; i < all.size(); i += size) {
      for (auto& row : model->outputs(context, Batch(all).subspan(i, std::min(size, all.size() - i))))
        rows.push_back(std::move(row));
    }
    return rows;
  }
  Gradients gradients() const {
    Gradients all;
    for (Weight* weight : weights)
      all.emplace_back(weight->gradient.values<float>().begin(), weight->gradient.values<float>().end());
    return all;
  }
  /// Largest difference, relative to the largest value of the same weight; of a weight whose gradients are small beside
  /// those of the others, to a thousandth of the largest of all.
  void expect_near(const Gradients& wanted, double tolerance) const {
    double largest_of_all = 0;
    for (const auto& each : wanted) {
      for (const float value : each) largest_of_all = std::max(largest_of_all, std::fabs(static_cast<double>(value)));
    }
    ASSERT_GT(largest_of_all, 0);
    const Gradients got = gradients();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      double largest = 1e-3 * largest_of_all, difference = 0;
      for (std::size_t k = 0; k < got[i].size(); ++k) {
        const double value = static_cast<double>(wanted[i][k]);
        ASSERT_TRUE(std::isfinite(got[i][k])) << weights[i]->name;
        largest = std::max(largest, std::fabs(value));
        difference = std::max(difference, std::fabs(value - static_cast<double>(got[i][k])));
      }
      EXPECT_LE(difference, tolerance * largest) << weights[i]->name;
    }
  }
};

class TrainingOfFamily : public ::testing::TestWithParam<std::tuple<TinyFamily, Trained>> {
 protected:
  static const TinyFamily& family() { return std::get<0>(GetParam()); }
  static const Trained& trained() { return std::get<1>(GetParam()); }
};

std::string name_of(const ::testing::TestParamInfo<std::tuple<TinyFamily, Trained>>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(All, TrainingOfFamily,
                         ::testing::Combine(::testing::ValuesIn(support::kTinyFamilies), ::testing::ValuesIn(kTrained)),
                         name_of);

constexpr double kRounding = 3e-5;  // of float32 sums in another order, through three layers and back

TEST_P(TrainingOfFamily, EightMicroBatchesOfOneAreOneOfEight) {
  const std::vector<EncodedExample> documents = make_documents();
  Training whole(family(), trained());
  const double loss = whole.train(documents, documents.size());
  for (const std::size_t size : {1, 3}) {
    Training pieces(family(), trained());
    EXPECT_NEAR(pieces.train(documents, size), loss, 2e-6 * loss) << size;
    pieces.expect_near(whole.gradients(), kRounding);
  }
}

TEST_P(TrainingOfFamily, APackedDocumentIsScoredAsAlone) {
  const std::vector<EncodedExample> documents = make_documents();
  Training training(family(), trained());
  const auto packed = training.log_probabilities(documents, documents.size());
  const auto alone = training.log_probabilities(documents, 1);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    ASSERT_EQ(packed[i].size(), static_cast<std::size_t>(documents[i].supervised()));
    for (std::size_t k = 0; k < packed[i].size(); ++k)
      EXPECT_NEAR(packed[i][k], alone[i][k], 1e-5 * (1 + std::fabs(static_cast<double>(alone[i][k]))));
  }
}

TEST_P(TrainingOfFamily, PaddingBehindADocumentChangesNothing) {
  if (support::turns_by_length(family())) GTEST_SKIP() << "positions turn by the document's length";
  const std::vector<EncodedExample> documents = make_documents();
  std::vector<EncodedExample> padded = documents;
  for (EncodedExample& document : padded) {
    document.ids.resize(12, 0);
    document.targets.resize(12, kernels::kIgnoredTarget);
  }
  Training packed(family(), trained()), with_padding(family(), trained());
  const double loss = packed.train(documents, documents.size());
  EXPECT_NEAR(with_padding.train(padded, padded.size()), loss, 2e-6 * loss);
  with_padding.expect_near(packed.gradients(), kRounding);
}

TEST_P(TrainingOfFamily, RecomputedActivationsGiveTheSameBits) {
  const std::vector<EncodedExample> documents = make_documents();
  Training kept(family(), trained()), again(family(), trained());
  const double loss = kept.train(documents, 5);
  EXPECT_EQ(again.train(documents, 5, ActivationMode::kRecompute), loss);
  EXPECT_EQ(again.gradients(), kept.gradients());
}

TEST_P(TrainingOfFamily, AMicroBatchWithoutTargetsAddsNothing) {
  const std::vector<EncodedExample> documents = make_documents();
  Training training(family(), trained());
  training.train(documents, documents.size());
  const Gradients before = training.gradients();
  std::vector<EncodedExample> without = documents;
  for (EncodedExample& document : without) document.targets.assign(document.ids.size(), kernels::kIgnoredTarget);
  for (const ActivationMode mode : {ActivationMode::kKeep, ActivationMode::kRecompute}) {
    EXPECT_EQ(training.train(without, without.size(), mode), 0.0);
    EXPECT_EQ(training.gradients(), before) << "no bit, and no NaN, which differs from itself";
  }
}

// Where a family has windows, those of this suite are shorter than the documents. They act, and end at documents.
class TrainingWithWindows : public ::testing::TestWithParam<Trained> {};
INSTANTIATE_TEST_SUITE_P(All, TrainingWithWindows, ::testing::ValuesIn(kTrained),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(TrainingWithWindows, AWindowInsideAPackedDocumentIsThatOfTheDocumentAlone) {
  int checked = 0;
  for (const TinyFamily& family : support::kTinyFamilies) {
    ModelConfig config = support::family_config(family, kVocabulary);
    const bool windows = std::any_of(config.layers.begin(), config.layers.end(),
                                     [](const LayerPlan& layer) { return layer.window > 0; });
    if (!windows) continue;
    ++checked;
    std::vector<EncodedExample> longer = make_documents();
    std::erase_if(longer, [](const EncodedExample& document) { return document.ids.size() < 6; });
    Training packed(config, GetParam()), alone(config, GetParam());
    const double loss = packed.train(longer, longer.size());
    EXPECT_NEAR(alone.train(longer, 1), loss, 2e-6 * loss) << family.name;
    alone.expect_near(packed.gradients(), kRounding);
    for (LayerPlan& layer : config.layers) layer.window = 0;
    Training unbounded(config, GetParam());
    EXPECT_GT(std::fabs(unbounded.train(longer, longer.size()) - loss), 1e-4 * loss) << family.name;
  }
  EXPECT_GE(checked, 5);
}

// From files, with validation, averages and dropout, through the door that workflows use.
class ResumedTrainingOfFamily : public TrainingOfFamily {
 protected:
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  void SetUp() override { support::write_tiny_base(path("base"), 7, support::family_config(family(), 300)); }
  void train_adapter_to(const std::string& name, TrainObserver& observer) const {
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    platform::json::object settings = platform::parse_json(trained().settings, "settings").as_object();
    for (const auto& [key, value] : platform::json::object{
             {"min_steps", 6}, {"max_steps", 6}, {"batch_examples", 4}, {"micro_batch_tokens", 16}, {"evaluations", 3}})
      settings[key] = value;
    if (!settings.contains("peft_type")) settings["dropout"] = 0.1;
    request.config = train_config_from_json(settings);
    request.output_folder = path(name);
    request.threads = 1;
    train_adapter(request, observer);
  }
  void pretrain_to(const std::string& name, TrainObserver& observer) const {
    PretrainRequest request;
    request.model = support::family_config(family(), 300);
    request.corpus = path("corpus.txt");
    request.tokenizer_folder = path("base");
    request.output_folder = path(name);
    request.steps = 6;
    request.sequence_tokens = std::min<std::int64_t>(24, request.model.max_positions);
    request.batch_sequences = 2;
    request.checkpoint_steps = 2;
    request.threads = 1;
    pretrain(request, observer);
  }
  void train_to(const std::string& name, TrainObserver& observer) const {
    trained().settings == nullptr ? pretrain_to(name, observer) : train_adapter_to(name, observer);
  }
  platform::TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(All, ResumedTrainingOfFamily,
                         ::testing::Combine(::testing::ValuesIn(support::kTinyFamilies), ::testing::ValuesIn(kTrained)),
                         name_of);

TEST_P(ResumedTrainingOfFamily, EndsInTheBytesOfAnUninterruptedOne) {
  support::write_text_examples(path("data.jsonl"), 10);
  write_corpus(path("corpus.txt"), 4000, 1);
  TrainObserver observer;
  train_to("whole", observer);
  for (const std::int64_t steps : {1, 3}) {
    support::StopAfter stopping(steps);
    EXPECT_THROW(train_to("pieces", stopping), platform::Error) << "was not stopped";
  }
  train_to("pieces", observer);
  const bool every_weight = trained().settings == nullptr;
  for (const char* name :
       {every_weight ? "model.safetensors" : "adapter_model.safetensors", every_weight ? "loss.jsonl" : "anneal.json"})
    EXPECT_EQ(platform::read_file(path("pieces") / name), platform::read_file(path("whole") / name)) << name;
}

// A whole training with many small micro-batches against one with a single large one. Plain gradient descent, since
// Adam would make a large step of a gradient that is nothing but rounding.
TEST(TrainingAgreement, StepsDoNotDependOnTheSizeOfTheirMicroBatches) {
  const platform::TemporaryFolder folder;
  support::write_tiny_base(folder.path() / "base");
  support::write_text_examples(folder.path() / "data.jsonl", 16);
  for (const Trained& trained : kTrained) {
    if (trained.settings == nullptr) continue;
    const auto weights_with = [&](std::int64_t tokens) {
      TrainRequest request;
      request.base_folder = folder.path() / "base";
      request.dataset = folder.path() / "data.jsonl";
      request.task = Task::kLanguageModel;
      request.config = train_config_from_json(platform::parse_json(trained.settings, "settings"));
      request.config.optimizer = "sgd";
      request.config.learning_rate = 0.05;
      request.config.min_steps = request.config.max_steps = 12;
      request.config.batch_examples = 8;
      request.config.micro_batch_tokens = tokens;
      request.output_folder = folder.path() / (std::string(trained.name) + std::to_string(tokens));
      request.threads = 1;
      TrainObserver observer;
      train_adapter(request, observer);
      return request.output_folder / "adapter_model.safetensors";
    };
    const SafetensorsFile one_by_one(weights_with(1)), together(weights_with(4096));
    for (const std::string& name : together.names()) {
      const Tensor a = one_by_one.read_as(name, kernels::DataType::kFloat32);
      const Tensor b = together.read_as(name, kernels::DataType::kFloat32);
      double largest = 1e-6, difference = 0;
      for (std::int64_t i = 0; i < b.count(); ++i) {
        largest = std::max(largest, std::fabs(static_cast<double>(b.data<float>()[i])));
        difference = std::max(
            difference, std::fabs(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i])));
      }
      EXPECT_LE(difference, 1e-4 * largest) << trained.name << " " << name;
    }
  }
}

}  // namespace
}  // namespace finetune
