// Adapters made here, loaded by PEFT: the same logits. Runs where ANNEAL_PEER_PYTHON names a Python that has torch,
// transformers and peft.
#include <gtest/gtest.h>

#include <cstdlib>

#include "finetune/adapter/adapted_model.h"
#include "finetune/adapter/combine.h"
#include "finetune/adapter/merge.h"
#include "finetune/formats/safetensors.h"
#include "finetune/train/training_job.h"
#include "tests/support/golden_models.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;
namespace json = platform::json;

// float32 on both sides, summed in another order.
constexpr double kAllowed = 2e-5;

struct Kind {
  const char* name;
  const char* settings;  // as in a training configuration
  double least_effect = 1e-2;
};
const Kind kKinds[] = {
    {"lora", R"({"target_modules": "all-linear"})"},
    {"rslora", R"({"use_rslora": true, "target_modules": ["q_proj", "down_proj"]})"},
    {"dora", R"({"use_dora": true, "dropout": 0.1})"},
    {"bias", R"({"lora_bias": true, "target_modules": ["q_proj", "v_proj"]})"},
    {"patterns", R"({"rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {"up_proj": 5}})"},
    {"layers", R"({"target_modules": ["v_proj"], "layers_to_transform": [1]})"},
    {"gaussian", R"({"init_lora_weights": "gaussian"})"},
    {"pissa", R"({"init_lora_weights": "pissa"})"},
    {"pissa_rslora", R"({"init_lora_weights": "pissa_niter_16", "use_rslora": true})"},
    {"ia3", R"({"peft_type": "IA3"})"},
    {"ia3_chosen",
     R"({"peft_type": "IA3", "target_modules": ["q_proj", "up_proj"], "feedforward_modules": ["up_proj"]})"},
    {"embedding", R"({"target_modules": ["embed_tokens", "q_proj"]})"},
    {"head", R"({"target_modules": ["lm_head", "q_proj"]})"},
    {"saved", R"({"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "norm"]})"},
    {"saved_embedding", R"({"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]})"},
    {"tokens", R"({"target_modules": ["q_proj"], "trainable_token_indices": [5, 17, 30]})"},
};

const std::vector<std::int32_t> kIds{5, 9, 200, 17, 33, 8, 3, 30, 5, 100};

Tensor logits_of(Base& base, Adapter* adapter) {
  kernels::Context context = kernels::Context::cpu(1);
  Transformer transformer(base.config, base.weights, adapter);
  const std::span<const std::int32_t> document(kIds);
  const Tensor& hidden = transformer.forward(context, pack_documents({&document, 1}), nullptr, ActivationMode::kNone);
  Tensor logits({hidden.size(0), base.config.vocab_size});
  transformer.logits(context, hidden, logits);
  return logits;
}

class AdapterPeer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("ANNEAL_PEER_PYTHON") == nullptr)
      GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with torch, transformers and peft";
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  // What is asked of the peer, with our answer.
  void ask(const std::string& name, json::object job, Tensor ours) {
    job["name"] = name;
    job["ids"] = json::array(kIds.begin(), kIds.end());
    jobs_.push_back(std::move(job));
    ours_[name] = std::move(ours);
  }
  void compare() {
    platform::write_json_file(
        path("jobs.json"), json::object{{"logits", path("logits.safetensors").string()}, {"jobs", std::move(jobs_)}});
    const std::string command = std::string("'") + std::getenv("ANNEAL_PEER_PYTHON") +
                                "' tests/peers/adapters_in_peft.py '" + path("jobs.json").string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    const SafetensorsFile theirs(path("logits.safetensors"));
    for (const auto& [name, ours] : ours_) {
      const double error = support::relative_error(ours, theirs.read(name));
      std::printf("%-32s logits differ by %.1e of their size\n", name.c_str(), error);
      EXPECT_LE(error, kAllowed) << name;
    }
    std::printf("cases checked: %zu\n", ours_.size());
  }

  platform::TemporaryFolder folder_;
  json::array jobs_;
  std::map<std::string, Tensor> ours_;
};

TEST_F(AdapterPeer, EveryKindOnGoldenModelsMeansTheSameInPeft) {
  int models = 0;
  for (const char* model_name : {"llama2", "llama_biases", "qwen3", "gemma3"}) {
    const std::filesystem::path model_folder = support::golden_folder() / "models" / model_name;
    if (!std::filesystem::exists(model_folder)) continue;
    ++models;
    support::GoldenModel model(model_folder);
    const Tensor plain = logits_of(model.base, nullptr);
    ask(std::string(model_name) + "/base", {{"base", model_folder.string()}}, plain.clone());
    for (const Kind& kind : kKinds) {
      json::object settings = platform::parse_json(kind.settings, "settings").as_object();
      settings["r"] = 4;
      if (!settings.contains("alpha")) settings["alpha"] = 8;
      kernels::Random random(21);
      Adapter adapter(model.base.config, model.base.weights, peft_config(train_config_from_json(settings)), random);
      adapter.for_each([&](Weight& weight) {
        for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.05f;
      });
      const std::string name = std::string(model_name) + "/" + kind.name;
      adapter.save(path(name));
      Tensor adapted = logits_of(model.base, &adapter);
      EXPECT_GE(support::relative_error(adapted, plain), kind.least_effect) << name << " does nothing";
      ask(name, {{"base", model_folder.string()}, {"adapter", path(name).string()}}, std::move(adapted));
    }
  }
  if (models == 0) GTEST_SKIP() << "no golden outputs at " << support::golden_folder();
  compare();
}

// A tiny base with its tokenizer, adapted by the code of `anneal train`, then merged and combined.
class TrainedAdapterPeer : public AdapterPeer {
 protected:
  void SetUp() override {
    AdapterPeer::SetUp();
    if (IsSkipped()) return;
    support::write_tiny_base(path("base"));
    support::write_text_examples(path("data.jsonl"), 12);
  }
  void train(const std::string& name, const char* settings) const {
    json::object object = platform::parse_json(settings, "settings").as_object();
    for (const auto& [key, value] :
         json::object{{"r", 4}, {"max_steps", 40}, {"min_steps", 40}, {"learning_rate", 1e-2}})
      if (!object.contains(key)) object[key] = value;
    TrainRequest request;
    request.base_folder = path("base");
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config = train_config_from_json(object);
    request.output_folder = path(name);
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
  }
  void ask_about_adapter(const std::string& name) {
    Base base = Base::load(path("base"));
    Adapter adapter = Adapter::load(path(name), base.config, base.weights);
    ask(name, {{"base", path("base").string()}, {"adapter", path(name).string()}}, logits_of(base, &adapter));
  }
};

TEST_F(TrainedAdapterPeer, EveryKindThatWasTrainedMeansTheSameInPeft) {
  for (const Kind& kind : kKinds) {
    train(kind.name, kind.settings);
    ask_about_adapter(kind.name);
  }
  compare();
}

TEST_F(TrainedAdapterPeer, MergedModelsAreWhatPeftMerges) {
  for (const char* name : {"lora", "dora", "ia3", "saved"}) {
    const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [&](const Kind& each) { return std::string(each.name) == name; });
    train(name, kind->settings);
    MergeRequest request;
    request.base_folder = path("base");
    request.adapter_folder = path(name);
    request.output_folder = path(std::string(name) + ".merged");
    request.threads = 1;
    merge_adapter(request);
    Base merged = Base::load(request.output_folder);
    ask(std::string(name) + ".merged", {{"base", request.output_folder.string()}}, logits_of(merged, nullptr));
  }
  compare();
}

TEST_F(TrainedAdapterPeer, CombinedAdaptersAreWhatPeftCombines) {
  train("first", R"({"target_modules": ["q_proj", "v_proj"]})");
  train("second", R"({"target_modules": ["q_proj", "v_proj"], "alpha": 3})");
  for (const char* type : {"linear", "cat", "svd"}) {
    CombineRequest request;
    request.base_folder = path("base");
    request.adapter_folders = {path("first"), path("second")};
    request.weights = {0.8, -0.5};
    request.type = combination_type_from(type);
    request.output_folder = path(type);
    request.threads = 1;
    combine_adapters(request);
    Base base = Base::load(path("base"));
    Adapter adapter = Adapter::load(path(type), base.config, base.weights);
    ask(std::string("by both/") + type,
        {{"base", path("base").string()},
         {"adapters", json::array{path("first").string(), path("second").string()}},
         {"weights", json::array{0.8, -0.5}},
         {"type", type},
         {"svd_rank", 0}},
        logits_of(base, &adapter));
    ask(std::string("ours in peft/") + type, {{"base", path("base").string()}, {"adapter", path(type).string()}},
        logits_of(base, &adapter));
  }
  compare();
}

}  // namespace
}  // namespace finetune
