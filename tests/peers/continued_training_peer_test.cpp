// Adapters that go from our program to PEFT and back in the middle of their training: the same data and optimizer give
// the same weights, whichever of the two trained before and whichever goes on.
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/train/training_job.h"
#include "tests/peers/peft_peer.h"
#include "tests/support/gguf_cases.h"
#include "tests/support/tiny_base.h"
#include "tests/support/published_families.h"

namespace finetune {
namespace {

using kernels::Tensor;
namespace json = platform::json;

constexpr int kSteps = 8;

struct Optimizing {
  const char* name;
  double learning_rate, clip_norm;
};
const Optimizing kOptimizers[] = {{"sgd", 2e-2, 0.0}, {"adamw", 2e-3, 1.0}};

// In our words and in PEFT's.
struct Kind {
  const char* name;
  const char* family;
  const char* settings;
  const char* create;
};
const Kind kKinds[] = {
    {"lora", "llama", R"({"r": 4, "alpha": 8})",
     R"({"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                                       "up_proj", "down_proj"]})"},
    {"rslora", "qwen2",
     R"({"r": 4, "alpha": 6, "use_rslora": true, "target_modules": ["q_proj", "v_proj", "down_proj"]})",
     R"({"r": 4, "lora_alpha": 6, "use_rslora": true, "target_modules": ["q_proj", "v_proj", "down_proj"]})"},
    {"dora", "exaone4", R"({"r": 4, "alpha": 8, "use_dora": true})",
     R"({"r": 4, "lora_alpha": 8, "use_dora": true, "target_modules": ["q_proj", "o_proj", "up_proj"]})"},
    {"patterns", "qwen3",
     R"({"r": 4, "alpha": 8, "rank_pattern": {"layers.1.self_attn.q_proj": 2}, "alpha_pattern": {"up_proj": 5}})",
     R"({"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "up_proj"],
         "rank_pattern": {"layers.1.self_attn.q_proj": 2, "v_proj": 6}, "alpha_pattern": {"up_proj": 5}})"},
    {"saved_head", "llama", R"({"r": 4, "alpha": 8, "target_modules": ["q_proj"], "modules_to_save": ["lm_head"]})",
     R"({"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "modules_to_save": ["lm_head"]})"},
    {"lora", "gemma3", R"({"r": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]})",
     R"({"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]})"},
    {"lora", "gemma2", R"({"r": 4, "alpha": 8, "target_modules": ["k_proj", "down_proj"]})",
     R"({"r": 4, "lora_alpha": 8, "target_modules": ["k_proj", "down_proj"]})"},
    {"dora", "hyperclovax", R"({"r": 4, "alpha": 8, "use_dora": true, "target_modules": ["q_proj", "up_proj"]})",
     R"({"r": 4, "lora_alpha": 8, "use_dora": true, "target_modules": ["q_proj", "up_proj"]})"},
    {"dora", "mistral", R"({"r": 4, "alpha": 8, "use_dora": true, "target_modules": ["v_proj", "gate_proj"]})",
     R"({"r": 4, "lora_alpha": 8, "use_dora": true, "target_modules": ["v_proj", "gate_proj"]})"},
    {"rslora", "smollm3", R"({"r": 4, "alpha": 6, "use_rslora": true, "target_modules": ["o_proj", "up_proj"]})",
     R"({"r": 4, "lora_alpha": 6, "use_rslora": true, "target_modules": ["o_proj", "up_proj"]})"},
};

std::string name_of(const Kind& kind, const Optimizing& optimizing) {
  return std::string(kind.family) + "/" + kind.name + "/" + optimizing.name;
}

class ContinuedTrainingPeer : public peers::PeftPeer {
 protected:
  void SetUp() override {
    PeftPeer::SetUp();
    if (IsSkipped()) return;
    support::write_text_examples(path("data.jsonl"), 6);
    for (const support::PublishedFamily& family : support::published_families())
      support::write_published_family(path(family.name), family, false);
  }

  // Every step takes all examples, at one rate, and the last step's weights are the result, as in the script.
  TrainRequest request(const Kind& kind, const std::string& out, const Optimizing& optimizing) const {
    TrainRequest request;
    request.base_folder = path(kind.family);
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config.min_steps = request.config.max_steps = kSteps;
    request.config.batch_examples = 6;
    request.config.optimizer = optimizing.name;
    request.config.learning_rate = optimizing.learning_rate;
    request.config.clip_norm = optimizing.clip_norm;
    request.config.weight_decay = 0;
    request.config.schedule = "constant";
    request.config.weight_average = 0;
    request.output_folder = path(out);
    request.threads = 1;
    return request;
  }
  void start_ours(const Kind& kind, const std::string& out) const {
    TrainRequest fresh = request(kind, out, kOptimizers[1]);
    json::object settings = platform::parse_json(kind.settings, "settings").as_object();
    settings["min_steps"] = settings["max_steps"] = 10;
    settings["learning_rate"] = 1e-2;
    fresh.config = train_config_from_json(settings);
    TrainObserver observer;
    train_adapter(fresh, observer);
  }
  void go_on_with_ours(const Kind& kind, const std::string& parent, const std::string& out,
                       const Optimizing& optimizing) const {
    TrainRequest more = request(kind, out, optimizing);
    more.init_adapter = path(parent);
    TrainObserver observer;
    train_adapter(more, observer);
  }
  json::object job(const Kind& kind, const std::string& name, const Optimizing& optimizing) const {
    return {{"name", name},
            {"base", path(kind.family).string()},
            {"documents", documents(kind)},
            {"optimizer", optimizing.name},
            {"learning_rate", optimizing.learning_rate},
            {"clip_norm", optimizing.clip_norm},
            {"steps", kSteps}};
  }
  // The examples as training encodes them.
  json::array documents(const Kind& kind) const {
    const Tokenizer tokenizer = Tokenizer::load(path(kind.family));
    const EncodingRules rules{.tokenizer = &tokenizer, .task = Task::kLanguageModel};
    json::array all;
    for (const platform::Example& example : read_examples(path("data.jsonl"))) {
      const EncodedExample encoded = encode_example(rules, example, true);
      all.push_back(json::object{{"ids", json::array(encoded.ids.begin(), encoded.ids.end())},
                                 {"targets", json::array(encoded.targets.begin(), encoded.targets.end())}});
    }
    return all;
  }

  // Every tensor of our folder against PEFT's float64 run, measured by its float32 run.
  void expect_same_weights(const std::string& ours, const SafetensorsFile& theirs, const std::string& name) const {
    const SafetensorsFile stored(path(ours) / "adapter_model.safetensors");
    double largest = 0, peers = 0;
    std::size_t compared = 0;
    for (const std::string& tensor : stored.names()) {
      const Tensor wanted = theirs.read(name + "/float64/" + tensor);
      const double peer = support::relative_error(theirs.read(name + "/float32/" + tensor), wanted);
      const double error = support::relative_error(stored.read(tensor), wanted);
      EXPECT_LE(error, 4 * peer + 1e-5) << name << " " << tensor;
      largest = std::max(largest, error);
      peers = std::max(peers, peer);
      ++compared;
    }
    const std::vector<std::string> names = theirs.names();
    EXPECT_EQ(compared + 2,
              static_cast<std::size_t>(std::count_if(
                  names.begin(), names.end(), [&](const auto& each) { return each.starts_with(name + "/float64/"); })))
        << name << ": tensors that only one of the two has";
    std::printf("%-28s weights differ by %.1e of their size, PEFT's float32 by %.1e\n", name.c_str(), largest, peers);
  }
  Tensor logits_of_first(const Kind& kind, const std::filesystem::path& adapter_folder) const {
    Base base = Base::load(path(kind.family));
    Adapter adapter = Adapter::load(adapter_folder, base.config, base.weights);
    const json::array all = documents(kind);
    return support::logits_of(base, &adapter, json::value_to<std::vector<std::int32_t>>(all.at(0).at("ids")));
  }
};

TEST_F(ContinuedTrainingPeer, PeftGoesOnFromOurFolderAsWeDo) {
  json::array jobs;
  for (const Kind& kind : kKinds) {
    const std::string parent = std::string(kind.family) + "." + kind.name;
    start_ours(kind, parent);
    for (const Optimizing& optimizing : kOptimizers) {
      const std::string name = name_of(kind, optimizing);
      go_on_with_ours(kind, parent, name + ".ours", optimizing);
      json::object asked = job(kind, name, optimizing);
      asked["adapter"] = path(parent).string();
      jobs.push_back(std::move(asked));
    }
  }
  const SafetensorsFile theirs = peers::run_jobs("training_in_peft.py", folder_.path(), jobs);
  for (const Kind& kind : kKinds) {
    for (const Optimizing& optimizing : kOptimizers)
      expect_same_weights(name_of(kind, optimizing) + ".ours", theirs, name_of(kind, optimizing));
  }
  std::printf("cases checked: %zu\n", jobs.size());
}

TEST_F(ContinuedTrainingPeer, WeGoOnFromPeftsFolderAsPeftDoes) {
  json::array first, second;
  for (const Kind& kind : kKinds) {
    for (const Optimizing& optimizing : kOptimizers) {
      const std::string name = name_of(kind, optimizing);
      json::object made = job(kind, name, {"adamw", 1e-2, 1.0});
      made["create"] = platform::parse_json(kind.create, "create");
      made["seed"] = 5;
      made["save"] = path(name + ".peft").string();
      first.push_back(std::move(made));
      json::object more = job(kind, name, optimizing);
      more["adapter"] = path(name + ".peft").string();
      second.push_back(std::move(more));
    }
  }
  const SafetensorsFile trained = peers::run_jobs("training_in_peft.py", folder_.path(), first);
  for (const Kind& kind : kKinds) {
    const std::string name = name_of(kind, kOptimizers[0]);
    const double error =
        support::relative_error(logits_of_first(kind, path(name + ".peft")), trained.read(name + "/float32/logits"));
    std::printf("%-28s logits of PEFT's adapter differ by %.1e of their size\n", name.c_str(), error);
    EXPECT_LE(error, 2e-5) << name;
  }
  const SafetensorsFile continued = peers::run_jobs("training_in_peft.py", folder_.path(), second);
  for (const Kind& kind : kKinds) {
    for (const Optimizing& optimizing : kOptimizers) {
      const std::string name = name_of(kind, optimizing);
      go_on_with_ours(kind, name + ".peft", name + ".ours", optimizing);
      expect_same_weights(name + ".ours", continued, name);
    }
  }
  std::printf("cases checked: %zu\n", second.size());
}

}  // namespace
}  // namespace finetune
