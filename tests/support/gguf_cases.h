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
  write_byte_tokenizer(folder);
}

/// Cases that llama.cpp computes otherwise; their export must say so.
inline bool llama_cpp_lacks(const std::string& name) {
  return name.starts_with("hyperclovax") || name == "llama_dynamic" || name == "exaone4_hybrid";
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
