// Adapters made here, loaded by PEFT: the same logits. Runs where ANNEAL_PEER_PYTHON names a Python that has torch,
// transformers and peft.
#include "finetune/adapter/adapted_model.h"
#include "finetune/adapter/combine.h"
#include "finetune/adapter/merge.h"
#include "finetune/train/training_job.h"
#include "tests/peers/peft_peer.h"
#include "tests/support/gguf_cases.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;
namespace json = platform::json;

// float32 on both sides, summed in another order.
constexpr double kAllowed = 2e-5;
// An adapter that changed less would not be judged by that.
constexpr double kLeastEffect = 50 * kAllowed;

struct Kind {
  const char* name;
  const char* settings;  // as in a training configuration
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

Tensor logits_of(Base& base, Adapter* adapter) { return support::logits_of(base, adapter, kIds); }

class AdapterPeer : public peers::PeftPeer {
 protected:
  void ask(const std::string& name, json::object job, Tensor ours) {
    PeftPeer::ask(name, std::move(job), kIds, std::move(ours));
  }
  void compare() { PeftPeer::compare(kAllowed); }
};

TEST_F(AdapterPeer, EveryKindOnGoldenModelsMeansTheSameInPeft) {
  for (const std::string model_name :
       {"exaone4_own", "gemma3", "gemma3_own", "llama2", "llama_biases", "qwen2_own", "qwen3"}) {
    if (support::golden_paths("models/" + model_name).empty()) continue;
    const std::filesystem::path model_folder = support::golden_paths("models/" + model_name).front();
    support::GoldenModel model(model_folder);
    const Tensor plain = logits_of(model.base, nullptr);
    ask(model_name + "/base", {{"base", model_folder.string()}}, plain.clone());
    for (const Kind& kind : kKinds) {
      json::object settings = platform::parse_json(kind.settings, "settings").as_object();
      if (!settings.contains("peft_type")) {
        settings["r"] = 4;
        if (!settings.contains("alpha")) settings["alpha"] = 8;
      }
      kernels::Random random(21);
      Adapter adapter(model.base.config, model.base.weights, peft_config(train_config_from_json(settings)), random);
      adapter.for_each([&](Weight& weight) {
        for (float& value : weight.value.values<float>()) value += static_cast<float>(random.normal()) * 0.05f;
      });
      const std::string name = model_name + "/" + kind.name;
      adapter.save(path(name));
      Tensor adapted = logits_of(model.base, &adapter);
      EXPECT_GE(support::relative_error(adapted, plain), kLeastEffect) << name << " does nothing";
      ask(name, {{"base", model_folder.string()}, {"adapter", path(name).string()}}, std::move(adapted));
    }
  }
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
    for (const auto& [key, value] : json::object{{"max_steps", 40}, {"min_steps", 40}, {"learning_rate", 1e-2}})
      if (!object.contains(key)) object[key] = value;
    if (!object.contains("peft_type") && !object.contains("r")) object["r"] = 4;
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
