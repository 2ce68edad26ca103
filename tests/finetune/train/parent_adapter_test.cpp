#include "finetune/train/parent_adapter.h"

#include <gtest/gtest.h>

#include "finetune/commands/commands.h"
#include "finetune/generate/predictor.h"
#include "platform/dataset/example.h"
#include "tests/support/stop_after.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

namespace json = platform::json;
using platform::Error;
using platform::ErrorCode;

// Below every number of float32: what was read is what is written.
constexpr double kStandingStill = 1e-60;

class ContinuedTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    support::write_text_examples(path("text.jsonl"), 12);
    write_loads("loads.jsonl", "load");
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  // Two classes that follow from one number.
  void write_loads(const std::string& name, const std::string& field) const {
    std::string lines;
    for (int i = 0; i < 20; ++i) {
      platform::Example example;
      example.id = "e" + std::to_string(i);
      example.prompt = "load {{ number:" + field + " }}";
      example.numbers[field] = i % 2 == 0 ? 1.0 : -1.0;
      example.label = i % 2 == 0 ? "high" : "low";
      lines += platform::canonical_json(platform::to_json(example)) + "\n";
    }
    platform::write_file_atomically(path(name), lines);
  }
  TrainRequest request(const std::string& out, const json::object& settings, Task task = Task::kLanguageModel) const {
    json::object all{{"min_steps", 20}, {"max_steps", 20}, {"learning_rate", 5e-3}};
    for (const auto& [key, value] : settings) all[key] = value;
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path(task == Task::kLanguageModel ? "text.jsonl" : "loads.jsonl");
    request.task = task;
    request.config = train_config_from_json(all);
    request.output_folder = path(out);
    request.threads = 1;
    return request;
  }
  TrainRequest request_from(const std::string& parent, const std::string& out, const json::object& settings,
                            Task task = Task::kLanguageModel) const {
    TrainRequest made = request(out, settings, task);
    made.init_adapter = path(parent);
    return made;
  }
  static std::string train(const TrainRequest& request) {
    TrainObserver observer;
    const std::string digest = train_adapter(request, observer).adapter_digest;
    remove_checkpoint(request);
    return digest;
  }
  void expect_refusal(const TrainRequest& request, ErrorCode code, const std::string& setting) const {
    try {
      train(request);
      ADD_FAILURE() << "was not refused: " << setting;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_EQ(error.path(), setting) << error.what();
    }
    EXPECT_FALSE(std::filesystem::exists(request.output_folder)) << setting;
    EXPECT_FALSE(std::filesystem::exists(request.output_folder.string() + ".work")) << setting;
  }
  std::string weights(const std::string& folder, const char* file = "adapter_model.safetensors") const {
    return platform::read_file(path(folder) / file);
  }
  json::value settings_of(const std::string& folder) const {
    return finetune::to_json(peft_config_from_json(platform::read_json_file(path(folder) / "adapter_config.json")));
  }
  static json::object standing_still() {
    return {{"learning_rate", kStandingStill}, {"weight_average", 0}, {"max_steps", 2}, {"min_steps", 2}};
  }
  platform::TemporaryFolder folder_;
};

TEST_F(ContinuedTraining, BeginsWithItsParentsWeightsOfEveryKind) {
  const char* kinds[] = {
      R"({"r": 4})",
      R"({"r": 4, "use_rslora": true, "dropout": 0.1})",
      R"({"r": 4, "use_dora": true})",
      R"({"r": 4, "lora_bias": true})",
      R"({"r": 4, "rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {"up_proj": 5}})",
      R"({"r": 4, "init_lora_weights": "pissa"})",
      R"({"peft_type": "IA3"})",
      R"({"peft_type": "BOTTLENECK", "bottleneck_size": 4})",
      R"({"r": 4, "target_modules": ["q_proj", "embed_tokens"]})",
      R"({"r": 4, "target_modules": ["q_proj"], "modules_to_save": ["lm_head", "norm"]})",
      R"({"r": 4, "trainable_token_indices": [5, 17]})"};
  int number = 0;
  for (const char* kind : kinds) {
    const std::string parent = "parent" + std::to_string(number), child = "child" + std::to_string(number);
    ++number;
    const std::string digest = train(request(parent, platform::parse_json(kind, "settings").as_object()));
    train(request_from(parent, child, standing_still()));
    EXPECT_TRUE(weights(child) == weights(parent)) << kind;
    EXPECT_EQ(settings_of(child), settings_of(parent)) << kind;
    EXPECT_EQ(read_manifest(path(child)).training.at("parent"), json::value(digest)) << kind;
  }
}

TEST_F(ContinuedTraining, KeepsHeadSlotsLabelsAndStatisticsOfItsParent) {
  train(request("parent", {}, Task::kClassify));
  // Other statistics and a class less in the new data change nothing of how a value is read.
  std::string lines;
  for (int i = 0; i < 6; ++i) {
    platform::Example example;
    example.id = "n" + std::to_string(i);
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = 100.0 + i;
    example.label = "high";
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(path("loads.jsonl"), lines);
  train(request_from("parent", "child", standing_still(), Task::kClassify));
  EXPECT_TRUE(weights("child", "sensor.safetensors") == weights("parent", "sensor.safetensors"));
  const Manifest parent = read_manifest(path("parent")), child = read_manifest(path("child"));
  EXPECT_EQ(child.labels, parent.labels);
  EXPECT_EQ(child.sensors, parent.sensors);
}

// Pairs of a load and what it means, as text and as a number.
TEST_F(ContinuedTraining, AnAdapterOfTextsWithSlotsLearnsWhatAFreshHeadNeeds) {
  std::string lines;
  for (int i = 0; i < 12; ++i) {
    platform::Example example;
    example.id = "v" + std::to_string(i);
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = i % 2 == 0 ? 1.0 : -1.0;
    example.completion = i % 2 == 0 ? " high" : " low";
    example.value = i % 2 == 0 ? 60.0 : 40.0;
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(path("text.jsonl"), lines);
  platform::write_file_atomically(path("loads.jsonl"), lines);
  train(request("parent", {{"r", 4}}));
  train(request_from("parent", "child", {}, Task::kRegress));
  const Manifest child = read_manifest(path("child"));
  EXPECT_NEAR(child.target_mean, 50, 1e-9);
  EXPECT_NEAR(child.target_deviation, 10, 1e-6);
  EXPECT_GT(child.side_size.members, 0);
}

TEST_F(ContinuedTraining, AHeadKeepsItsForm) {
  std::string lines;
  for (int i = 0; i < 12; ++i) {
    platform::Example example;
    example.id = "q" + std::to_string(i);
    example.prompt = "load {{ number:load }}";
    example.numbers["load"] = i;
    example.value = 3.0 * i;
    lines += platform::canonical_json(platform::to_json(example)) + "\n";
  }
  platform::write_file_atomically(path("loads.jsonl"), lines);
  const json::object quantiles{{"quantiles", json::array{0.1, 0.5, 0.9}}};
  train(request("parent", quantiles, Task::kRegress));
  train(request_from("parent", "child", {}, Task::kRegress));
  EXPECT_EQ(read_manifest(path("child")).form.quantiles, (std::vector<double>{0.1, 0.5, 0.9}));
  expect_refusal(request_from("parent", "other", {{"quantiles", json::array{0.4, 0.5, 0.6}}}, Task::kRegress),
                 ErrorCode::kConflict, "quantiles");
}

TEST_F(ContinuedTraining, AnAdapterOfTextsTakesAFreshHead) {
  train(request("parent", {{"r", 4}}));
  train(request_from("parent", "child", standing_still(), Task::kClassify));
  EXPECT_TRUE(weights("child") == weights("parent"));
  const Predictor loaded(path("base"), path("child"), 1);
  EXPECT_EQ(read_manifest(path("child")).labels.size(), 2u);
}

TEST_F(ContinuedTraining, GoesOnFromAFolderOfPeftsOwn) {
  const std::string digest = train(request("parent", {{"r", 4}}));
  std::filesystem::remove(path("parent") / "anneal.json");
  const std::string first = train(request_from("parent", "child", {}));
  EXPECT_TRUE(weights("child") != weights("parent"));
  const json::value named = read_manifest(path("child")).training.at("parent");
  EXPECT_TRUE(named.as_string().starts_with("sha256:"));
  EXPECT_NE(named, json::value(digest));
  EXPECT_EQ(train(request_from("parent", "again", {})), first);
}

TEST_F(ContinuedTraining, RefusesAParentWhoseEffectIsNoNumber) {
  train(request("parent", {{"r", 4}}));
  std::filesystem::remove(path("parent") / "anneal.json");  // which would refuse it by its digest
  PeftAdapter adapter = read_peft_adapter(path("parent"));
  for (auto& [name, module] : adapter.modules) {
    for (float& value : module.b.values<float>()) value = 1e38f;
  }
  write_peft_adapter(path("parent"), adapter);
  expect_refusal(request_from("parent", "child", {}), ErrorCode::kConflict, "init_adapter");
}

TEST_F(ContinuedTraining, ASettingOfAnotherKindThanItsParentsIsRefused) {
  train(request("parent", {{"peft_type", "IA3"}}));
  expect_refusal(request_from("parent", "child", {{"r", 4}}), ErrorCode::kInvalidInput, "r");
  train(request_from("parent", "child", standing_still()));
  EXPECT_TRUE(weights("child") == weights("parent"));
}

TEST_F(ContinuedTraining, AnInterruptedOneEndsInTheSameBytesAndAnotherParentIsAnotherRequest) {
  train(request("parent", {{"r", 4}}));
  train(request("other", {{"r", 4}, {"learning_rate", 1e-3}}));
  const std::string whole = train(request_from("parent", "child", {}));
  support::StopAfter stopping(7);
  EXPECT_THROW(train_adapter(request_from("parent", "pieces", {}), stopping), Error);
  TrainObserver observer;
  EXPECT_THROW(train_adapter(request_from("other", "pieces", {}), observer), Error);
  EXPECT_EQ(train(request_from("parent", "pieces", {})), whole);
}

TEST_F(ContinuedTraining, RefusesWhatItsParentIsNotAndLeavesNothingBehind) {
  train(request("parent", {{"r", 4}}));
  const auto refused = [&](const json::object& settings, ErrorCode code, const std::string& setting) {
    expect_refusal(request_from("parent", "child", settings), code, setting);
  };
  refused({{"r", 8}}, ErrorCode::kConflict, "r");
  refused({{"use_dora", true}}, ErrorCode::kConflict, "use_dora");
  refused({{"target_modules", {"q_proj"}}}, ErrorCode::kConflict, "target_modules");
  refused({{"init_lora_weights", "pissa"}}, ErrorCode::kConflict, "init_lora_weights");
  refused({{"base_dtype", "nf4"}}, ErrorCode::kConflict, "base_dtype");
  expect_refusal(request_from("nowhere", "child", {}), ErrorCode::kNotFound, "init_adapter");
  expect_refusal(request_from("base", "child", {}), ErrorCode::kNotFound, "init_adapter");

  support::write_tiny_base(path("base2"), 8);
  TrainRequest elsewhere = request_from("parent", "child", {});
  elsewhere.base_folder = path("base2");
  expect_refusal(elsewhere, ErrorCode::kConflict, "");

  train(request("classes", {}, Task::kClassify));
  expect_refusal(request_from("classes", "child", {}), ErrorCode::kConflict, "task");
  TrainRequest turned = request_from("classes", "child", {}, Task::kClassify);
  turned.labels = {"low", "high"};
  expect_refusal(turned, ErrorCode::kConflict, "labels");
  write_loads("loads.jsonl", "speed");
  TrainObserver observer;
  EXPECT_THROW(train_adapter(request_from("classes", "child", {}, Task::kClassify), observer), Error);

  TrainRequest over_itself = request_from("parent", "parent", {});
  const std::string before = weights("parent");
  EXPECT_THROW(train_adapter(over_itself, observer), Error);
  EXPECT_TRUE(weights("parent") == before);
}

TEST_F(ContinuedTraining, IsAskedForByAnOptionOrInTheConfiguration) {
  train(request("parent", {{"r", 4}}));
  platform::write_file_atomically(path("plain.yaml"),
                                  "task: lm\nmax_steps: 2\nlearning_rate: 1e-60\nweight_average: 0\n");
  platform::write_file_atomically(path("from.yaml"),
                                  "task: lm\nmax_steps: 2\nlearning_rate: 1e-60\nweight_average: 0\ninit_adapter: " +
                                      path("parent").string() + "\n");
  const auto command = [&](const char* config, const char* out, const Arguments& more) {
    Arguments arguments{"--base",    path("base"), "--data", path("text.jsonl"), "--config", path(config),
                        "--threads", "1",          "--out",  path(out)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const int code = train_command(arguments);
    testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    return code;
  };
  ASSERT_EQ(command("plain.yaml", "by_option", {"--init-adapter", path("parent")}), 0);
  ASSERT_EQ(command("from.yaml", "by_key", {}), 0);
  EXPECT_TRUE(weights("by_option") == weights("parent"));
  EXPECT_TRUE(weights("by_key") == weights("parent"));
}

}  // namespace
}  // namespace finetune
