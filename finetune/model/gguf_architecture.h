// How a model stands in a GGUF file, as llama.cpp lays it out: its architecture's name and keys, the names of its
// tensors, and what is stored otherwise than in a Hugging Face folder (rows of q and k in another order, norms with
// their one added, divisors of the frequencies as a tensor). What llama.cpp would compute otherwise is refused by name.
// Pure functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/formats/gguf.h"
#include "finetune/model/model_config.h"

namespace finetune {

/// One row: an architecture of llama.cpp and what its graph computes.
struct GgufArchitecture {
  std::string_view model_type;  // in families.cpp
  std::string_view name;        // general.architecture
  bool pairs = false;           // rotates neighbouring channels: rows of q and k are reordered
  bool divisors = false;        // reads rope_freqs.weight
  bool windows = false;         // reads attention.sliding_window and its pattern
  bool biases = false;          // on o, gate, up and down too
  bool square_output = false;   // heads * head_dim must be the hidden size
};

/// Throws kInvalidInput listing the families that llama.cpp has.
const GgufArchitecture& gguf_architecture(std::string_view model_type);

enum class GgufRole { kMatrix, kQuery, kKey, kNorm, kQueryBias, kKeyBias, kBias };

/// A weight under both names.
struct GgufPlace {
  std::string name;  // model.layers.0.self_attn.q_proj.weight
  std::string gguf;  // blk.0.attn_q.weight
  GgufRole role = GgufRole::kMatrix;
};
/// Every weight of the model, in the file's order.
std::vector<GgufPlace> gguf_places(const ModelConfig& config);

/// Changes float32 values of a weight, or the rows of a LoRA B that adds to it, to the file's layout and back.
void to_gguf_layout(const ModelConfig& config, const GgufArchitecture& architecture, GgufRole role,
                    kernels::Tensor& values);
void from_gguf_layout(const ModelConfig& config, const GgufArchitecture& architecture, GgufRole role,
                      kernels::Tensor& values);

/// Throws kInvalidInput naming the first thing that llama.cpp would compute otherwise: a way of stretching positions,
/// layers without them, a scale, a bias.
void check_gguf_can_hold(const ModelConfig& config, const GgufArchitecture& architecture);
/// Positions up to which llama.cpp sees what the model sees: the model's, or its shortest window where the
/// architecture has no windows there.
std::int64_t gguf_context(const ModelConfig& config, const GgufArchitecture& architecture);
/// The keys of general.* and of the architecture, without the tokenizer's.
GgufMetadata gguf_model_metadata(const ModelConfig& config, const GgufArchitecture& architecture,
                                 std::string_view name);
/// rope_freqs.weight, [head_dim / 2]: frequency / stretched frequency; nullopt where nothing is stretched that way.
std::optional<kernels::Tensor> gguf_divisors(const ModelConfig& config);

/// The configuration of a file: the config.json that it carries under anneal.config_json, else what its keys say.
/// Throws kInvalidInput for an architecture that is not read, kCorrupt for keys that contradict each other.
ModelConfig gguf_model_config(const GgufFile& file);

}  // namespace finetune
