// Writing for other engines: a base, or the LoRA of a text adapter, as GGUF for llama.cpp, and an adapter's PEFT files
// checked against what vLLM serves. What the other engine would compute otherwise is refused by name, never written.
// One thread.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace finetune {

struct GgufExportRequest {
  std::filesystem::path base_folder;
  std::filesystem::path output_file;
  /// f32, f16, bf16, q8_0, q4_0 or q4_k, of the matrices; norms and biases stay f32. Rows that do not fill the blocks
  /// of a type are written as q8_0 or f16. Of an adapter: f32 or f16.
  std::string type = "f16";
  std::string pre_tokenizer;                             // its name in llama.cpp; empty: by its pattern
  int threads = 0;                                       // 0 = one per core
  std::function<void(std::string_view stage)> on_stage;  // told what begins; may be empty
  std::function<void()> on_tensor;                       // after each tensor; may be empty
};

struct GgufExportResult {
  std::string architecture;
  std::int64_t tensors = 0;
  std::int64_t other_type = 0;    // tensors whose rows do not fill the blocks of the type asked for
  std::int64_t context = 0;       // positions
  std::int64_t full_context = 0;  // of the base; more where llama.cpp lacks its windows
};

/// Writes the base. Throws kInvalidInput for a family, a setting or a tokenizer that llama.cpp does not have.
GgufExportResult export_gguf_base(const GgufExportRequest& request);

/// Writes an adapter's LoRA for use beside the exported base; alpha is such that llama.cpp scales by alpha / rank as
/// the training did, rank-stabilised or not. Checks base, tokenizer, hashes and probe as load_adapter does; a folder
/// that PEFT wrote, which has none of these, by its shapes alone. Throws kInvalidInput for what such a file cannot
/// hold: DoRA, a bias on B, a sensor encoder, a head.
GgufExportResult export_gguf_adapter(const GgufExportRequest& request, const std::filesystem::path& adapter_folder);

/// Copies adapter_config.json and adapter_model.safetensors. `engine`: empty, or vllm, which serves plain and
/// rank-stabilised LoRA of one rank and no more. Throws kInvalidInput naming what the engine refuses, kConflict where
/// the output holds something.
void export_peft_adapter(const std::filesystem::path& adapter_folder, const std::filesystem::path& output_folder,
                         std::string_view engine);

}  // namespace finetune
