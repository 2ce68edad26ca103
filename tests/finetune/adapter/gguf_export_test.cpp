#include "finetune/adapter/gguf_export.h"

#include <gtest/gtest.h>

#include <cmath>

#include "finetune/adapter/loaded_adapter.h"
#include "finetune/commands/commands.h"
#include "finetune/formats/gguf.h"
#include "finetune/generate/predictor.h"
#include "finetune/train/training_job.h"
#include "platform/base/digest.h"
#include "platform/dataset/example.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

using kernels::Tensor;

class GgufExport : public testing::Test {
 protected:
  void SetUp() override {
    support::write_tiny_base(path("base"));
    support::write_text_examples(path("data.jsonl"), 12);
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  void train(const std::string& base, const std::string& settings) const {
    TrainRequest request;
    request.base_folder = path(base);
    request.dataset = path("data.jsonl");
    request.task = Task::kLanguageModel;
    request.config = train_config_from_json(platform::parse_json(settings, "settings"));
    request.config.max_steps = 40;
    request.config.learning_rate = 1e-2;
    request.output_folder = path("adapter");
    request.threads = 1;
    TrainObserver observer;
    train_adapter(request, observer);
  }
  // A folder as PEFT writes it, of random matrices.
  void write_peft(const PeftConfig& settings) const {
    const Base base = Base::load(path("base"));
    kernels::Random random(3);
    Adapter lora(base.config, base.weights, settings, random);
    lora.for_each([&](Weight& weight) {
      for (float& value : weight.value.values<float>()) value = static_cast<float>(random.normal());
    });
    lora.save(path("peft"));
  }
  int export_to(const std::string& out, const Arguments& more) const {
    Arguments arguments{"gguf", "--base", path("base"), "--out", path(out), "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return export_command(arguments);
  }
  std::string refusal(const Arguments& more) const {
    try {
      export_to("refused.gguf", more);
    } catch (const platform::Error& error) {
      EXPECT_FALSE(std::filesystem::exists(path("refused.gguf")));
      return error.what();
    }
    return "written";
  }
  platform::TemporaryFolder folder_;
};

// What llama.cpp adds to a weight, alpha / r * B A, in float64 and in the file's order of rows, is what the adapter
// adds.
void expect_same_change(const GgufFile& file, const Base& base, Adapter& lora) {
  const double alpha = *file.number("adapter.lora.alpha");
  const std::int64_t head = base.config.head_dim;
  int pairs = 0;
  for (std::size_t layer = 0; layer < lora.linears().size(); ++layer) {
    for (const LinearKind kind : kLinearKinds) {
      if (!lora.linears()[layer][index_of(kind)]) continue;
      static const char* kNames[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
      const std::string name = "blk." + std::to_string(layer) + "." + kNames[index_of(kind)] + ".weight";
      const Tensor a = file.read(name + ".lora_a"), b = file.read(name + ".lora_b");
      const LinearAdapter& own = *lora.linears()[layer][index_of(kind)];
      const std::int64_t rank = a.size(0), in = a.size(1), out = b.size(0);
      ASSERT_EQ(b.size(1), rank);
      const bool pairs_of_rows = kind == LinearKind::kQuery || kind == LinearKind::kKey;
      for (std::int64_t row = 0; row < out; ++row) {
        // Row t * D/2 + i of a head stands at 2 i + t.
        const std::int64_t channel = row % head;
        const std::int64_t there =
            pairs_of_rows ? row - channel + channel % (head / 2) * 2 + channel / (head / 2) : row;
        for (std::int64_t column = 0; column < in; ++column) {
          double theirs = 0, ours = 0;
          for (std::int64_t r = 0; r < rank; ++r) {
            theirs += static_cast<double>(b.data<float>()[there * rank + r]) *
                      static_cast<double>(a.data<float>()[r * in + column]);
            ours += static_cast<double>(own.b.value.data<float>()[row * rank + r]) *
                    static_cast<double>(own.a.value.data<float>()[r * in + column]);
          }
          theirs *= alpha / static_cast<double>(rank);
          ours *= static_cast<double>(own.scaling);
          ASSERT_NEAR(theirs, ours, 1e-5 * (1 + std::abs(ours))) << name;
        }
      }
      ++pairs;
    }
  }
  EXPECT_EQ(static_cast<std::size_t>(2 * pairs), file.tensors().size());
  EXPECT_GT(pairs, 0);
}

TEST_F(GgufExport, AnAdapterChangesTheWeightsAsItsTrainingDid) {
  PeftConfig plain, stabilised, mixed;
  for (PeftConfig* config : {&plain, &stabilised, &mixed}) {
    config->r = 4;
    config->lora_alpha = 12;
    config->target_pattern = "all-linear";
  }
  stabilised.use_rslora = true;
  mixed.use_rslora = true;
  mixed.rank_pattern = {{"q_proj", 2}, {"down_proj", 6}};
  mixed.alpha_pattern = {{"k_proj", 5.0}};
  const Base base = Base::load(path("base"));
  for (const PeftConfig& config : {plain, stabilised, mixed}) {
    write_peft(config);
    ASSERT_EQ(export_to("adapter.gguf", {"--adapter", path("peft"), "--type", "f32"}), 0);
    const GgufFile file(path("adapter.gguf"));
    EXPECT_EQ(*file.text("general.type"), "adapter");
    EXPECT_EQ(*file.text("adapter.type"), "lora");
    EXPECT_EQ(*file.text("general.architecture"), "llama");
    EXPECT_EQ(*file.number("adapter.lora.alpha"), config.use_rslora ? 24.0 : 12.0);
    Adapter lora = Adapter::load(path("peft"), base.config, base.weights);
    expect_same_change(file, base, lora);
  }
}

TEST_F(GgufExport, RefusesWhatAnAdapterFileCannotHold) {
  PeftConfig config;
  config.target_modules = {"q_proj"};
  config.use_dora = true;
  write_peft(config);
  EXPECT_NE(refusal({"--adapter", path("peft"), "--type", "f16"}).find("DoRA; merge"), std::string::npos);
  EXPECT_THROW(export_command({"peft", "--adapter", path("peft"), "--for", "vllm", "--out", path("vllm")}),
               platform::Error);
  config.use_dora = false;
  config.lora_bias = true;
  write_peft(config);
  EXPECT_NE(refusal({"--adapter", path("peft")}).find("a bias on B"), std::string::npos);
  config.lora_bias = false;
  write_peft(config);
  EXPECT_NE(refusal({"--adapter", path("peft"), "--type", "q8_0"}).find("f32 or f16"), std::string::npos);
  EXPECT_NE(refusal({"--type", "q3"}).find("q4_k"), std::string::npos);
  EXPECT_THROW(export_command({"onnx", "--out", "x"}), platform::Error);
  EXPECT_THROW(export_command({"gguf", "--out", "x"}), platform::Error);
}

TEST_F(GgufExport, NeverReplacesTheBaseOrWhatIsNoGgufFile) {
  const std::filesystem::path weights = path("base") / "model.safetensors";
  const std::string before = platform::read_file(weights);
  EXPECT_THROW(export_to("base/model.safetensors", {}), platform::Error);
  EXPECT_EQ(platform::read_file(weights), before);
  EXPECT_THROW(export_to("base", {}), platform::Error);
  ASSERT_EQ(export_to("x.gguf", {}), 0);
  EXPECT_EQ(export_to("x.gguf", {"--type", "q8_0"}), 0) << "an older export is replaced";
  EXPECT_THROW(export_command({"gguf", "--base", path("x.gguf"), "--out", path("x.gguf"), "--threads", "1"}),
               platform::Error);
}

TEST_F(GgufExport, TheCommandExplainsItselfByExamples) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(export_command({"--help"}), 0);
  const std::string help = testing::internal::GetCapturedStdout();
  for (const char* words :
       {"export gguf --base base --type q8_0", "--adapter adapter --type f16", "--for vllm", "q4_k"})
    EXPECT_NE(help.find(words), std::string::npos) << words << "\n" << help;
}

TEST_F(GgufExport, PeftFilesGoToVllmWhereItServesThem) {
  PeftConfig config;
  config.target_modules = {"q_proj"};
  config.use_rslora = true;
  write_peft(config);
  ASSERT_EQ(export_command({"peft", "--adapter", path("peft"), "--for", "vllm", "--out", path("vllm")}), 0);
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors"})
    EXPECT_EQ(platform::digest_of_file(path("vllm") / name), platform::digest_of_file(path("peft") / name));
  EXPECT_THROW(export_command({"peft", "--adapter", path("peft"), "--out", path("vllm")}), platform::Error);
  config.rank_pattern = {{"layers.0.self_attn.q_proj", 3}};
  write_peft(config);
  EXPECT_THROW(export_command({"peft", "--adapter", path("peft"), "--for", "vllm", "--out", path("other")}),
               platform::Error);
  EXPECT_EQ(export_command({"peft", "--adapter", path("peft"), "--out", path("other")}), 0);
}

TEST_F(GgufExport, AGgufFileIsABaseThatIsTrainedAndWritesOn) {
  ASSERT_EQ(export_to("base.gguf", {"--type", "f16"}), 0);
  train("base.gguf", R"({"r": 4, "base_dtype": "float16"})");
  const Predictor adapted(path("base.gguf"), path("adapter"), 1);
  Predictor file(path("base.gguf"), std::nullopt, 1), folder(path("base"), std::nullopt, 1);
  GenerateOptions options;
  options.max_tokens = 12;
  EXPECT_EQ(file.complete("spindle load", options).text, folder.complete("spindle load", options).text);
  // It is another base than the folder: an adapter of one is not taken for the other's.
  EXPECT_THROW(Predictor(path("base"), path("adapter"), 1), platform::Error);
  EXPECT_EQ(export_to("again.gguf", {"--type", "f16"}), 0);
  EXPECT_EQ(platform::digest_of_file(path("again.gguf")), platform::digest_of_file(path("base.gguf")));
}

TEST_F(GgufExport, TheTokenizerKeepsItsTokensKindsAndSpecialIds) {
  platform::write_file_atomically(path("base") / "chat_template.jinja", "{{ messages[0].content }}");
  ASSERT_EQ(export_to("base.gguf", {"--type", "q8_0"}), 0);
  const GgufFile file(path("base.gguf"));
  const auto& tokens = *file.texts("tokenizer.ggml.tokens");
  const auto& types = std::get<std::vector<std::int32_t>>(std::get<GgufArray>(*file.find("tokenizer.ggml.token_type")));
  const Tokenizer tokenizer = Tokenizer::load(path("base"));
  ASSERT_EQ(tokens.size(), 300u);
  ASSERT_EQ(types.size(), 300u);
  EXPECT_EQ(types[0], 3);
  EXPECT_EQ(types[299], 5);
  EXPECT_EQ(tokens[299], "[PAD299]");
  EXPECT_EQ(*file.text("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(*file.text("tokenizer.ggml.pre"), "qwen2");
  EXPECT_EQ(file.whole("tokenizer.ggml.eos_token_id"), *tokenizer.eos_id());
  EXPECT_EQ(file.whole("tokenizer.ggml.bos_token_id"), *tokenizer.bos_id());
  EXPECT_EQ(*file.text("tokenizer.chat_template"), "{{ messages[0].content }}");
  EXPECT_EQ(file.whole("general.file_type"), 7);
  EXPECT_GT(file.texts("tokenizer.ggml.merges")->size(), 0u);
}

TEST_F(GgufExport, APreTokenizerWithoutANameIsRefusedUnlessOneIsGiven) {
  platform::json::value document = platform::read_json_file(path("base") / "tokenizer.json");
  document.as_object()["pre_tokenizer"] = platform::json::object{
      {"type", "Sequence"},
      {"pretokenizers",
       platform::json::array{
           platform::json::object{{"type", "Split"},
                                  {"pattern", platform::json::object{{"Regex", "[a-c]+"}}},
                                  {"behavior", "Isolated"},
                                  {"invert", false}},
           platform::json::object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  platform::write_json_file(path("base") / "tokenizer.json", document);
  EXPECT_NE(refusal({}).find("--pre"), std::string::npos);
  EXPECT_EQ(export_to("base.gguf", {"--pre", "default"}), 0);
  EXPECT_EQ(*GgufFile(path("base.gguf")).text("tokenizer.ggml.pre"), "default");
}

}  // namespace
}  // namespace finetune
