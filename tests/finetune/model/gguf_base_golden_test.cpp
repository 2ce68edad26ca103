// Golden models written as GGUF and read back as bases.
#include <gtest/gtest.h>

#include <cstring>
#include <iostream>

#include "finetune/formats/gguf_tokenizer.h"
#include "finetune/model/gguf_weights.h"
#include "platform/base/error.h"
#include "tests/support/gguf_cases.h"

namespace finetune {
namespace {

using kernels::Tensor;

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw_data(), b.raw_data(), a.size_bytes()) == 0;
}

// The file with what anneal alone reads taken out: another program's file.
void write_without_own_keys(const std::filesystem::path& from, const std::filesystem::path& to) {
  const GgufFile file(from);
  GgufMetadata metadata;
  for (const auto& pair : file.metadata()) {
    if (pair.first != "anneal.config_json" && pair.first != "tokenizer.huggingface.json") metadata.push_back(pair);
  }
  std::vector<GgufStreamedTensor> tensors;
  for (const GgufTensorInfo& tensor : file.tensors())
    tensors.push_back({tensor.name, tensor.type, tensor.shape, [&file, &tensor] { return file.read(tensor.name); }});
  write_gguf(to, metadata, tensors, {});
}

std::vector<std::int32_t> shortened(std::vector<std::int32_t> ids, std::int64_t length) {
  if (static_cast<std::int64_t>(ids.size()) > length) ids.resize(static_cast<std::size_t>(length));
  return ids;
}

TEST(GgufBaseGolden, EveryFamilyThatLlamaCppHasReadsBackWithTheSameLogits) {
  SKIP_WITHOUT_GOLDEN("models");
  int written = 0;
  for (const auto& golden : support::golden_models()) {
    const std::string name = golden.filename().string();
    const platform::TemporaryFolder folder;
    support::copy_golden_base(golden, folder.path() / "base");
    GgufExportRequest request{
        .base_folder = folder.path() / "base", .output_file = folder.path() / "x.gguf", .type = "f32"};
    if (support::llama_cpp_lacks(golden)) {
      EXPECT_THROW(export_gguf_base(request), platform::Error) << name;
      EXPECT_FALSE(std::filesystem::exists(request.output_file)) << name;
      continue;
    }
    const GgufExportResult result = export_gguf_base(request);
    Base base = Base::load(request.base_folder), own = Base::load(request.output_file);
    write_without_own_keys(request.output_file, folder.path() / "plain.gguf");
    Base plain = Base::load(folder.path() / "plain.gguf");
    const support::GoldenModel model(golden);
    const std::vector<std::int32_t> ids = model.whole("batch.0.document.2.ids");
    EXPECT_TRUE(same_bits(support::logits_of(base, nullptr, ids), support::logits_of(own, nullptr, ids))) << name;
    const std::vector<std::int32_t> few = shortened(ids, result.context);
    const double error =
        support::relative_error(support::logits_of(plain, nullptr, few), support::logits_of(base, nullptr, few));
    EXPECT_LE(error, 1e-6) << name;
    std::printf("%s: logits of its GGUF file differ by %.1e\n", name.c_str(), error);
    EXPECT_EQ(own.tokenizer.encode("한 b"), base.tokenizer.encode("한 b")) << name;
    EXPECT_EQ(plain.tokenizer.encode("한 b"), base.tokenizer.encode("한 b")) << name;
    const bool windows = std::any_of(base.config.layers.begin(), base.config.layers.end(), [&](const LayerPlan& layer) {
      return layer.window > 0 && layer.window < result.full_context;
    });
    EXPECT_EQ(result.context < result.full_context, windows && support::llama_cpp_lacks_windows(base.config)) << name;
    ++written;
  }
  std::printf("cases checked: %d\n", written);
  EXPECT_GT(written, 0);
}

// Every type's values, restored in float64 from the golden-checked blocks, are what the base holds.
TEST(GgufBaseGolden, EveryTypeHoldsTheValuesThatItsBlocksStandFor) {
  SKIP_WITHOUT_GOLDEN("models");
  const platform::TemporaryFolder folder;
  support::copy_golden_base("tests/golden/models/qwen2_own", folder.path() / "base");
  const Base base = Base::load(folder.path() / "base");
  const Tensor& whole = base.weights.layers[1].linears[index_of(LinearKind::kKey)].value;
  for (const auto& [type, share] : std::vector<std::pair<std::string, double>>{
           {"f32", 0}, {"f16", 1e-3}, {"bf16", 0}, {"q8_0", 0.006}, {"q4_0", 0.13}, {"q4_k", 0.006}}) {
    GgufExportRequest request{
        .base_folder = folder.path() / "base", .output_file = folder.path() / (type + ".gguf"), .type = type};
    const GgufExportResult result = export_gguf_base(request);
    EXPECT_EQ(result.other_type > 0, type == "q4_k");  // rows of 32 and 64 fill no super-block
    const Base read = Base::load(request.output_file);
    const Tensor& held = read.weights.layers[1].linears[index_of(LinearKind::kKey)].value;
    double largest = 0, difference = 0;
    for (std::int64_t i = 0; i < whole.count(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(whole.data<float>()[i])));
      difference = std::max(difference, std::abs(static_cast<double>(whole.data<float>()[i]) -
                                                 static_cast<double>(held.data<float>()[i])));
    }
    EXPECT_LE(difference, share * largest) << type;
    // Norms stay as they are in every type.
    EXPECT_TRUE(same_bits(read.weights.final_norm.value, base.weights.final_norm.value)) << type;
  }
}

}  // namespace
}  // namespace finetune
