#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "finetune/formats/safetensors.h"
#include "finetune/model/transformer.h"
#include "kernels/ops/matmul.h"

namespace finetune {
namespace {

using kernels::Tensor;

std::filesystem::path golden_folder() {
  const char* folder = std::getenv("ANNEAL_GOLDEN");
  return std::filesystem::path(folder != nullptr ? folder : "../shared/golden") / "models";
}

double float32_error(const platform::json::value& document) {
  const platform::json::object& peer = document.as_object().at("peer_error").as_object();
  const platform::json::value& entry = peer.at("float32");
  if (entry.is_number()) return entry.to_number<double>();
  return entry.as_object().at("logits").to_number<double>();
}

void check_logits(const std::filesystem::path& folder) {
  kernels::Context context = kernels::Context::cpu(1);
  const ModelConfig config = read_model_config(folder);
  ModelWeights weights = load_weights(folder, config, WeightPrecision::kFloat32);
  Transformer transformer(config, weights, nullptr);
  const SafetensorsFile expected(folder / "expected.safetensors");
  std::vector<std::vector<std::int32_t>> documents;
  for (int document = 0; document < 4; ++document) {
    const Tensor ids = expected.read("batch.0.document." + std::to_string(document) + ".ids");
    documents.emplace_back();
    for (std::int64_t i = 0; i < ids.count(); ++i) {
      documents.back().push_back(ids.type() == kernels::DataType::kInt64
                                     ? static_cast<std::int32_t>(ids.data<std::int64_t>()[i])
                                     : ids.data<std::int32_t>()[i]);
    }
  }
  const std::vector<std::span<const std::int32_t>> spans(documents.begin(), documents.end());
  const Tensor& hidden = transformer.forward(context, pack_documents(spans), nullptr, ActivationMode::kNone);
  Tensor logits({hidden.size(0), config.vocab_size});
  kernels::linear(context, hidden, weights.output_head().packed, logits);
  const Tensor wanted = expected.read_as("logits", kernels::DataType::kFloat32);
  ASSERT_EQ(wanted.count(), logits.count());
  double difference = 0, largest = 0;
  for (std::int64_t i = 0; i < wanted.count(); ++i) {
    const double value = static_cast<double>(wanted.data<float>()[i]);
    largest = std::max(largest, std::fabs(value));
    difference = std::max(difference,
                          std::fabs(value - static_cast<double>(static_cast<const Tensor&>(logits).data<float>()[i])));
  }
  const double allowed = 2 * float32_error(platform::read_json_file(folder / "case.json")) + 1e-6;
  EXPECT_LE(difference / largest, allowed) << folder;
}

TEST(TransformerGolden, LogitsOfTheSupportedFamiliesAreThoseOfOtherEngines) {
  if (!std::filesystem::exists(golden_folder())) GTEST_SKIP() << "no golden outputs at " << golden_folder();
  int checked = 0;
  for (const char* name : {"llama2", "llama3", "llama_linear", "llama_tied"}) {
    if (!std::filesystem::exists(golden_folder() / name)) continue;
    check_logits(golden_folder() / name);
    ++checked;
  }
  std::printf("cases checked: %d\n", checked);
  EXPECT_GE(checked, 2);
}

}  // namespace
}  // namespace finetune
