// Weights of a Llama-shaped model, by name and by place. A weight that is trained has a gradient of its own shape; a
// frozen one has none and none is ever formed. Loading checks names, shapes and finiteness. Move-only; a forward pass
// reads, a backward pass writes gradients only, so several threads may read one object.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/model/model_config.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/matmul.h"

namespace finetune {

/// The seven linear layers of a block, in the order of computation.
enum class LinearKind { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };
inline constexpr std::size_t kLinearCount = 7;
inline constexpr std::array<LinearKind, kLinearCount> kLinearKinds = {
    LinearKind::kQuery, LinearKind::kKey, LinearKind::kValue, LinearKind::kOutput,
    LinearKind::kGate,  LinearKind::kUp,  LinearKind::kDown};
inline std::size_t index_of(LinearKind kind) { return static_cast<std::size_t>(kind); }
/// "self_attn.q_proj", ..., "mlp.down_proj".
std::string_view module_suffix(LinearKind kind);
/// "model.layers.3.self_attn.q_proj".
std::string module_name(std::int64_t layer, LinearKind kind);
std::int64_t in_features(const ModelConfig& config, LinearKind kind);
std::int64_t out_features(const ModelConfig& config, LinearKind kind);

struct Weight {
  std::string name;
  kernels::Tensor value;
  kernels::Tensor gradient;  // float32, or empty when frozen
  bool trained() const { return gradient.count() > 0; }
};

/// A weight of a matrix product, [out, in].
struct LinearWeight : Weight {
  kernels::PackedWeight packed;  // views `value`
};

struct LayerWeights {
  Weight input_norm;           // [H]
  Weight post_attention_norm;  // [H]
  std::array<LinearWeight, kLinearCount> linears;
};

struct ModelWeights {
  LinearWeight embedding;  // [V, H]; also the head when tied
  std::vector<LayerWeights> layers;
  Weight final_norm;  // [H]
  LinearWeight head;  // [V, H]; empty when tied
  bool tied = false;

  const LinearWeight& output_head() const { return tied ? embedding : head; }
  LinearWeight& output_head() { return tied ? embedding : head; }
  /// Visits every weight once, in file order.
  void for_each(const std::function<void(Weight&)>& visit);
  void for_each(const std::function<void(const Weight&)>& visit) const;
  /// Gives every weight a zero gradient: full-parameter training. Values must be float32.
  void make_trainable();
  /// To be called after values changed.
  void refresh();
};

/// Matrices are held in float32 (small models, training speed) or as stored.
enum class WeightPrecision { kFloat32, kStored };

/// Throws kCorrupt naming the tensor for a missing, unexpected, wrongly shaped or non-finite one. Norms become float32.
ModelWeights load_weights(const std::filesystem::path& folder, const ModelConfig& config, WeightPrecision precision);
/// Normal weights of deviation 0.02, output projections scaled down by sqrt(2 L), norms one.
ModelWeights random_weights(const ModelConfig& config, kernels::Random& random);
/// Writes config.json and model.safetensors in `type`.
void save_model(const std::filesystem::path& folder, const ModelConfig& config, const ModelWeights& weights,
                kernels::DataType type);

}  // namespace finetune
