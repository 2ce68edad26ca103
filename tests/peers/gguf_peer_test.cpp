// Our GGUF files in llama.cpp and in the format's Python package. ANNEAL_PEER_PYTHON names a Python that has
// llama-cpp-python, gguf and numpy.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>

#include "finetune/formats/gguf.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/process.h"
#include "tests/support/gguf_cases.h"
#include "tests/support/tiny_base.h"

namespace finetune {
namespace {

namespace json = platform::json;
using kernels::Tensor;

const char* python() { return std::getenv("ANNEAL_PEER_PYTHON"); }

// What a script prints: the last line that is an object.
json::value run_script(const std::string& script, const std::filesystem::path& argument) {
  const platform::CommandOutput output = platform::run_command({python(), "tests/peers/" + script, argument});
  EXPECT_EQ(output.exit_code, 0) << output.text;
  const auto begin = output.text.rfind("\n{");
  const std::string line = output.text.substr(begin == std::string::npos ? 0 : begin + 1);
  return platform::parse_json(line.substr(0, line.find('\n')), script);
}

struct Answers {
  Tensor logits;  // [tokens of all documents, V]
  json::array tokens;
};

class GgufPeer : public testing::Test {
 protected:
  void SetUp() override {
    if (python() == nullptr) GTEST_SKIP() << "ANNEAL_PEER_PYTHON names no Python with llama-cpp-python and gguf";
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  Answers ask(const std::filesystem::path& model, const std::optional<std::filesystem::path>& lora,
              const std::vector<std::vector<std::int32_t>>& documents, const std::vector<std::string>& texts) const {
    json::array lists;
    for (const auto& ids : documents) lists.push_back(json::array(ids.begin(), ids.end()));
    json::object request{{"model", model.string()},
                         {"documents", std::move(lists)},
                         {"texts", platform::to_json(texts)},
                         {"out", path("logits.f32").string()}};
    if (lora) request["lora"] = lora->string();
    platform::write_file_atomically(path("request.json"), json::serialize(request));
    const json::value answer = run_script("llama_cpp_answers.py", path("request.json"));
    const std::string bytes = platform::read_file(path("logits.f32"));
    const std::int64_t width = answer.at("vocabulary").as_int64();
    Tensor logits({static_cast<std::int64_t>(bytes.size() / sizeof(float)) / width, width});
    std::memcpy(logits.raw_data(), bytes.data(), bytes.size());
    return {std::move(logits), answer.at("tokens").as_array()};
  }

  GgufExportResult export_base(const std::filesystem::path& base, const std::string& type) const {
    return export_gguf_base({.base_folder = base, .output_file = path(type + ".gguf"), .type = type});
  }

  platform::TemporaryFolder folder_;
};

std::int64_t largest_of(const Tensor& logits, std::int64_t row) {
  const float* begin = logits.data<float>() + row * logits.size(1);
  return std::max_element(begin, begin + logits.size(1)) - begin;
}

// Greedy decoding takes the same way in both if at every step of ours theirs would choose the same token.
int different_choices(const Tensor& ours, const Tensor& theirs) {
  int different = 0;
  for (std::int64_t row = 0; row < ours.size(0); ++row) different += largest_of(ours, row) != largest_of(theirs, row);
  return different;
}

// A document and the tokens that our engine writes behind it, up to `limit`.
std::vector<std::int32_t> written_on(Base& base, Adapter* adapter, std::vector<std::int32_t> ids, std::size_t limit) {
  if (ids.size() > limit) ids.resize(limit);
  while (ids.size() < limit) {
    const Tensor logits = support::logits_of(base, adapter, ids);
    ids.push_back(static_cast<std::int32_t>(largest_of(logits, logits.size(0) - 1)));
  }
  return ids;
}

// How far llama.cpp may be from us: beside weights in float16 it rounds activations to float16, beside 8-bit weights to
// 8 bits, which moves near ties of these small random models; Gemma's activation it looks up in float16.
struct Tolerance {
  double logits;
  int choices;
};
Tolerance tolerance_of(const std::string& type, const std::string& name) {
  if (type == "q8_0") return {0.12, 4};
  if (type == "f16") return {5e-3, 0};
  return {name.starts_with("gemma") ? 1e-3 : 1e-5, 0};
}

TEST_F(GgufPeer, LlamaCppAnswersAsWeDoForEveryFamilyAndType) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& golden : support::golden_models()) {
    const std::string name = golden.filename().string();
    if (support::llama_cpp_lacks(golden)) continue;
    support::copy_golden_base(golden, path(name));
    Base base = Base::load(path(name));
    const support::GoldenModel model(golden);
    for (const std::string type : {"f32", "f16", "q8_0"}) {
      const GgufExportResult result = export_base(path(name), type);
      const std::size_t length = static_cast<std::size_t>(std::min<std::int64_t>(36, result.context));
      // A quantised file is judged by the values that it holds.
      Base held = Base::load(path(type + ".gguf"));
      const std::vector<std::int32_t> ids = written_on(held, nullptr, model.whole("greedy.prompt"), length);
      if (type == "f32" && length == 36 && !name.starts_with("gemma")) {
        const std::vector<std::int32_t> golden_tokens = model.whole("greedy.tokens");
        EXPECT_TRUE(std::equal(golden_tokens.begin(), golden_tokens.end(), ids.begin() + 12)) << name;
      }
      const Tensor ours = support::logits_of(held, nullptr, ids);
      const Answers theirs = ask(path(type + ".gguf"), {}, {ids}, {"bearing 12 hot, 베어링"});
      const double error = support::relative_error(theirs.logits, ours);
      std::cout << name << " " << type << ": logits differ by " << error << ", choices by "
                << different_choices(ours, theirs.logits) << " of " << ids.size() << "\n";
      const Tolerance allowed = tolerance_of(type, name);
      EXPECT_LT(error, allowed.logits) << name << " " << type;
      EXPECT_LE(different_choices(ours, theirs.logits), allowed.choices) << name << " " << type;
      const std::vector<std::int32_t> wanted = base.tokenizer.encode("bearing 12 hot, 베어링");
      EXPECT_EQ(theirs.tokens.at(0), json::value(json::array(wanted.begin(), wanted.end()))) << name;
    }
    ++checked;
  }
  std::printf("cases checked: %d\n", checked);
  EXPECT_GT(checked, 0);
}

TEST_F(GgufPeer, LlamaCppAddsAnAdapterAsWeDo) {
  SKIP_WITHOUT_GOLDEN("models");
  int checked = 0;
  for (const auto& golden : support::golden_models()) {
    const std::string name = golden.filename().string();
    if (support::llama_cpp_lacks(golden)) continue;
    support::copy_golden_base(golden, path(name));
    Base base = Base::load(path(name));
    const std::int64_t context = export_base(path(name), "f32").context;
    for (const std::string kind : {"lora", "rslora", "patterns"}) {
      if (!std::filesystem::exists(golden / "adapters" / kind)) continue;
      Adapter lora = Adapter::load(golden / "adapters" / kind, base.config, base.weights);
      export_gguf_adapter({.base_folder = path(name), .output_file = path("adapter.gguf"), .type = "f32", .threads = 1},
                          golden / "adapters" / kind);
      const support::GoldenModel model(golden);
      const std::vector<std::int32_t> ids = written_on(base, &lora, model.whole("greedy.prompt"),
                                                       static_cast<std::size_t>(std::min<std::int64_t>(36, context)));
      const Tensor ours = support::logits_of(base, &lora, ids);
      const Tensor bare = support::logits_of(base, nullptr, ids);
      const Answers theirs = ask(path("f32.gguf"), path("adapter.gguf"), {ids}, {});
      const double error = support::relative_error(theirs.logits, ours);
      std::cout << name << " " << kind << ": logits differ by " << error << ", the adapter changes them by "
                << support::relative_error(bare, ours) << "\n";
      EXPECT_LT(error, tolerance_of("f32", name).logits) << name << " " << kind;
      EXPECT_EQ(different_choices(ours, theirs.logits), 0) << name << " " << kind;
      EXPECT_GT(support::relative_error(bare, ours), 0.02) << name << " " << kind;
      ++checked;
    }
  }
  std::printf("cases checked: %d\n", checked);
  EXPECT_GT(checked, 0);
}

TEST_F(GgufPeer, LlamaCppReadsTheShippedBaseItsTokensIncluded) {
  const std::filesystem::path nano = "finetune/bases/anneal-nano";
  const std::vector<std::string> texts = {"spindle load high: 12.5 Nm", "베어링 온도가 높습니다. 85도",
                                          "it's 2026-11-25, isn't it?\n\n  yes", "The bearing of pump 3 runs hot."};
  for (const std::string type : {"f32", "f16", "q8_0"}) {
    export_base(nano, type);
    Base held = Base::load(path(type + ".gguf"));
    std::vector<std::int32_t> ids = held.tokenizer.encode(texts[3]);
    ids.insert(ids.begin(), *held.tokenizer.bos_id());
    ids = written_on(held, nullptr, ids, 64);
    const Tensor ours = support::logits_of(held, nullptr, ids);
    const Answers theirs = ask(path(type + ".gguf"), {}, {ids}, texts);
    const int different = different_choices(ours, theirs.logits);
    std::cout << "anneal-nano " << type << ": logits differ by " << support::relative_error(theirs.logits, ours)
              << ", choices by " << different << " of 64\n";
    EXPECT_LE(different, type == "q8_0" ? 3 : 0) << type;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::vector<std::int32_t> wanted = held.tokenizer.encode(texts[i]);
      EXPECT_EQ(theirs.tokens.at(i), json::value(json::array(wanted.begin(), wanted.end()))) << texts[i];
    }
  }
}

// Byte-level tokenizers of every pattern that has a name there, and those with byte fallback, over the texts of the
// golden tokenizers. llama.cpp does not compose characters (NFC) and does not fold U+017F, so a few are cut otherwise.
TEST_F(GgufPeer, LlamaCppCutsTextsAsOurTokenizersDo) {
  SKIP_WITHOUT_GOLDEN("tokenizers/llama3");
  const std::filesystem::path folder = support::golden_paths("tokenizers/llama3").front().parent_path();
  for (const std::string name :
       {"gpt2_bytelevel", "llama3", "qwen", "exaone35", "k_exaone", "deepseek", "llama2_spm", "gemma"}) {
    std::filesystem::create_directories(path(name));
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
      std::filesystem::copy(folder / name / file, path(name) / file);
    const Tokenizer tokenizer = Tokenizer::load(path(name));
    const ModelConfig config = support::tiny_config(tokenizer.vocabulary_size());
    kernels::Random random(1);
    save_model(path(name), config, random_weights(config, random), kernels::DataType::kFloat32);
    export_base(path(name), "f16");
    std::vector<std::string> texts;
    for (const json::value& line : support::golden_lines(folder / name / "cases.jsonl")) {
      const std::string text(line.at("text").as_string());
      if (!text.empty() && text.size() < 2000 && texts.size() < 229) texts.push_back(text);
    }
    const Answers theirs = ask(path("f16.gguf"), {}, {{1}}, texts);
    std::size_t same = 0;
    std::string shown;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::vector<std::int32_t> wanted = tokenizer.encode(texts[i], {.parse_special_tokens = false});
      const bool equal = theirs.tokens.at(i) == json::value(json::array(wanted.begin(), wanted.end()));
      same += equal;
      if (!equal && shown.size() < 400) shown += "\n    " + json::serialize(json::value(texts[i])).substr(0, 80);
    }
    std::cout << name << ": " << same << " of " << texts.size() << " texts cut alike" << shown << "\n";
    EXPECT_GE(same * 100, texts.size() * 95) << name;
  }
}

TEST_F(GgufPeer, ThePythonPackageReadsEveryTypeWithItsValues) {
  const std::filesystem::path nano = "finetune/bases/anneal-nano";
  for (const std::string type : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k"}) {
    const GgufExportResult result = export_base(nano, type);
    const json::value found = run_script("gguf_read.py", path(type + ".gguf"));
    EXPECT_EQ(found.at("architecture").as_string(), "llama");
    const GgufFile file(path(type + ".gguf"));
    ASSERT_EQ(found.at("tensors").as_object().size(), static_cast<std::size_t>(result.tensors));
    for (const GgufTensorInfo& tensor : file.tensors()) {
      const json::value& theirs = found.at("tensors").at(tensor.name);
      EXPECT_EQ(theirs.at("shape"), json::value(json::array(tensor.shape.begin(), tensor.shape.end())));
      EXPECT_EQ(theirs.at("type").as_string(), gguf_layout(tensor.type).name);
      double sum = 0, size = 0;
      const Tensor values = file.read(tensor.name);
      for (const float value : values.values<float>()) {
        sum += static_cast<double>(value);
        size += std::abs(static_cast<double>(value));
      }
      EXPECT_NEAR(theirs.at("sum").to_number<double>(), sum, 1e-6 * size) << tensor.name;
    }
  }
}

}  // namespace
}  // namespace finetune
