#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <set>
#include <string>

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

// Families that the forward pass does not compute yet; each must be refused by name until it leaves this list.
const std::set<std::string> kNotYet{
    "exaone35",          "exaone4_global", "exaone4_hybrid",   "gemma2",       "gemma3",          "hyperclovax",
    "hyperclovax_plain", "later_axk1",     "later_exaone_moe", "later_mamba2", "later_qwen3_moe", "later_qwen3_next",
    "later_solar_open",  "llama_biases",   "llama_dynamic",    "llama_yarn",   "mistral",         "qwen2",
    "qwen2_window",      "qwen3",          "smollm3"};

TEST(TransformerGolden, LogitsOfEveryFamilyAreThoseOfOtherEnginesOrTheFamilyIsRefused) {
  if (!std::filesystem::exists(golden_folder())) GTEST_SKIP() << "no golden outputs at " << golden_folder();
  int checked = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (!entry.is_directory()) continue;
    if (kNotYet.contains(entry.path().filename().string())) {
      EXPECT_THROW(read_model_config(entry.path()), platform::Error) << entry.path() << " is read now: take it off";
      ++refused;
      continue;
    }
    check_logits(entry.path());
    ++checked;
  }
  std::printf("families checked: %d, not yet: %d\n", checked, refused);
  EXPECT_GE(checked, 3);
}

}  // namespace
}  // namespace finetune
