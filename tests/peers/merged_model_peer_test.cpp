// Merged models in transformers: a base of every family, tied and untied, adapted and merged by our programs; its
// folder gives there the logits and the greedy tokens that our engine gives with the adapter beside the base.
#include "finetune/adapter/loaded_adapter.h"
#include "finetune/commands/commands.h"
#include "finetune/model/key_value_cache.h"
#include "finetune/train/training_job.h"
#include "tests/peers/peft_peer.h"
#include "tests/support/gguf_cases.h"
#include "tests/support/tiny_base.h"
#include "tests/support/published_families.h"

namespace finetune {
namespace {

using kernels::Tensor;
namespace json = platform::json;

// float32 on both sides, summed in another order; the sum W + s B A is rounded once more.
constexpr double kAllowed = 2e-5;
constexpr std::size_t kNewTokens = 16;
const std::vector<std::int32_t> kIds{115, 112, 105, 110, 100, 108, 101, 32, 108, 111, 97, 100};

struct Kind {
  const char* name;
  const char* settings;
  bool unties;
};
const Kind kKinds[] = {
    {"lora", R"({"r": 4})", false},
    {"dora", R"({"r": 4, "use_dora": true})", false},
    {"embedding", R"({"r": 4, "target_modules": ["q_proj", "embed_tokens"]})", true},
    {"head", R"({"r": 4, "target_modules": ["q_proj", "lm_head"]})", true},
    {"saved_head", R"({"r": 4, "target_modules": ["q_proj"], "modules_to_save": ["lm_head"]})", true},
};

// As `anneal generate` computes: token by token over the cache.
std::vector<std::int32_t> written_behind(LoadedAdapter& loaded, std::vector<std::int32_t> ids) {
  kernels::Context context = kernels::Context::cpu(1);
  Transformer& transformer = loaded.model->transformer();
  KeyValueCache cache(loaded.base->config, static_cast<std::int64_t>(ids.size() + kNewTokens));
  std::vector<std::int32_t> written;
  while (written.size() < kNewTokens) {
    const std::span<const std::int32_t> document(ids);
    const Tensor& hidden = transformer.forward_cached(context, pack_documents({&document, 1}), nullptr, cache);
    Tensor logits({1, loaded.base->config.vocab_size});
    transformer.logits(context, hidden.slice_rows(hidden.size(0) - 1, hidden.size(0)), logits);
    const auto values = logits.values<float>();
    written.push_back(static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin()));
    ids = {written.back()};
  }
  return written;
}

class MergedModelPeer : public peers::PeftPeer {
 protected:
  // One family calls its embedding otherwise.
  std::string own_names(const std::string& base, std::string settings) const {
    const std::string usual = "embed_tokens", embedding(read_model_config(path(base)).names.embedding);
    if (const std::size_t at = settings.find(usual); at != std::string::npos)
      settings.replace(at, usual.size(), embedding.substr(embedding.rfind('.') + 1));
    return settings;
  }
  void train(const std::string& base, const std::string& out, const char* settings) const {
    json::object all = platform::parse_json(own_names(base, settings), "settings").as_object();
    all["min_steps"] = all["max_steps"] = 20;
    all["learning_rate"] = 1e-2;
    TrainRequest request;
    request.base_folder = path(base);
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config = train_config_from_json(all);
    request.output_folder = path(out);
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
  }
  // By the commands that a person types; both names of it.
  void merge(const std::string& base, const std::string& adapter, const std::string& out) const {
    const Arguments arguments{"--base", path(base), "--adapter", path(adapter), "--out", path(out), "--threads", "1"};
    Arguments long_form{"merge"};
    long_form.insert(long_form.end(), arguments.begin(), arguments.end());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = std::hash<std::string>{}(out) % 2 == 0 ? merge_command(arguments) : adapter_command(long_form);
    testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    ASSERT_EQ(code, 0);
  }
};

TEST_F(MergedModelPeer, TransformersGivesTheLogitsAndTokensOfOurEngineWithTheAdapter) {
  support::write_text_examples(path("data.jsonl"), 12);
  for (const support::PublishedFamily& family : support::published_families()) {
    for (const bool tied : {true, false}) {
      const std::string base = std::string(family.name) + (tied ? "/tied" : "/untied");
      support::write_published_family(path(base), family, tied);
      for (const Kind& kind : kKinds) {
        const std::string name = base + "/" + kind.name, adapter = name + ".adapter", merged = name + ".merged";
        train(base, adapter, kind.settings);
        merge(base, adapter, merged);
        kernels::Context context = kernels::Context::cpu(1);
        LoadedAdapter loaded = load_adapter(context, path(base), path(adapter));
        const Tensor bare = support::logits_of(*loaded.base, nullptr, kIds);
        Tensor adapted = support::logits_of(*loaded.base, &loaded.parts->adapter, kIds);
        EXPECT_GT(support::relative_error(adapted, bare), 1e-2) << name << " does nothing";
        const json::value config = platform::read_json_file(path(merged) / "config.json");
        EXPECT_EQ(config.at("tie_word_embeddings").as_bool(), tied && !kind.unties) << name;
        ask(name, {{"base", path(merged).string()}}, kIds, std::move(adapted), written_behind(loaded, kIds));
      }
    }
  }
  compare(kAllowed);
}

}  // namespace
}  // namespace finetune
