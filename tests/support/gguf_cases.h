// The golden models as bases that llama.cpp has too. For tests only.
#pragma once

#include "finetune/adapter/gguf_export.h"
#include "finetune/model/transformer.h"
#include "tests/support/byte_tokenizer.h"
#include "tests/support/golden_models.h"

namespace support {

/// A copy of a golden model's base, with a tokenizer. Gemma's scale is set to that of its published sizes, which is
/// llama.cpp's.
inline void copy_golden_base(const std::filesystem::path& golden, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const auto& entry : std::filesystem::directory_iterator(golden)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("model")) std::filesystem::copy(entry.path(), folder / name);
  }
  platform::json::value config = platform::read_json_file(golden / "config.json");
  if (config.as_object().contains("query_pre_attn_scalar"))
    config.as_object()["query_pre_attn_scalar"] = config.as_object()["head_dim"];
  platform::write_json_file(folder / "config.json", config);
  write_byte_tokenizer(folder, config.at("vocab_size").as_int64());
}

/// Whether llama.cpp computes such a base otherwise, so that its export must say so: what gguf_architecture.cpp lists,
/// read from config.json alone.
inline bool llama_cpp_lacks(const std::filesystem::path& folder) {
  const finetune::ModelConfig config = finetune::read_model_config(folder);
  const bool windows = std::any_of(config.layers.begin(), config.layers.end(),
                                   [](const finetune::LayerPlan& layer) { return layer.window > 0; });
  const std::string rotary = config.rotaries.front().type;
  return config.model_type == "hyperclovax" || rotary == "dynamic" || rotary == "longrope" ||
         (config.model_type == "exaone4" && windows && config.layer_count != 64);
}

/// Architectures whose windows llama.cpp does not know: the file's context ends there.
inline bool llama_cpp_lacks_windows(const finetune::ModelConfig& config) {
  return config.model_type == "mistral" || config.model_type.starts_with("qwen") || config.model_type == "smollm3";
}

/// Logits of one document, [N, V].
inline kernels::Tensor logits_of(finetune::Base& base, finetune::Adapter* adapter,
                                 const std::vector<std::int32_t>& ids) {
  kernels::Context context = kernels::Context::cpu(1);
  finetune::Transformer transformer(base.config, base.weights, adapter);
  const std::span<const std::int32_t> document(ids);
  const kernels::Tensor& hidden =
      transformer.forward(context, finetune::pack_documents({&document, 1}), nullptr, finetune::ActivationMode::kNone);
  kernels::Tensor logits({hidden.size(0), base.config.vocab_size});
  transformer.logits(context, hidden, logits);
  return logits;
}

}  // namespace support
