// Weights of a decoder, by place and by name. A weight that is trained has a gradient of its own shape; a frozen one
// has none and none is ever formed; one that the family lacks has no value. Loading checks names, shapes and
// finiteness. Move-only; a forward pass reads, a backward pass writes gradients only, so several threads may read one
// object.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/formats/weight_source.h"
#include "finetune/model/model_config.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/matmul.h"

namespace finetune {

struct Weight {
  std::string name;
  kernels::Tensor value;
  kernels::Tensor gradient;  // float32, or empty when frozen
  bool present() const { return value.count() > 0; }
  bool trained() const { return gradient.count() > 0; }
  kernels::Tensor* gradient_or_null() { return trained() ? &gradient : nullptr; }
};

/// A weight of a matrix product, [out, in].
struct LinearWeight : Weight {
  kernels::PackedWeight packed;  // views `value`, or holds the codes of a quantised weight, whose `value` is empty
  Weight bias;                   // [out], where the family has one
  /// The values as they are used: a view, or a restored copy of a quantised weight.
  kernels::Tensor dense(kernels::Context& context) const;
};

struct LayerWeights {
  Weight attention_norm, attention_branch_norm;        // [H]
  Weight feed_forward_norm, feed_forward_branch_norm;  // [H]
  Weight query_norm, key_norm;                         // [D]
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
  /// Visits every weight that is present once, in file order. A quantised one has no values to visit.
  void for_each(const std::function<void(Weight&)>& visit);
  void for_each(const std::function<void(const Weight&)>& visit) const;
  /// True if the linear layers are held in 4 or 8 bits.
  bool quantised() const;
  /// Gives every weight a zero gradient: full-parameter training. Values must be float32. Throws kInvalidInput for a
  /// quantised model.
  void make_trainable();
  /// To be called after values changed.
  void refresh();
};

/// How matrices are held: in float32 (small models, training speed), in 16 bits, or, for a frozen base that is large
/// beside the memory, the linear layers of the blocks in 8 or 4 bits (kernels/ops/quantise.h) and the embedding and
/// head in 16 bits where they are stored so.
enum class WeightPrecision { kFloat32, kBFloat16, kFloat16, kInt8, kNf4, kNf4Nested };
/// The setting `base_dtype`: float32, bfloat16, float16, int8, nf4, nf4_double (nf4 with its scales in 8 bits).
std::string_view to_string(WeightPrecision precision);
/// Throws kInvalidInput listing the names.
WeightPrecision weight_precision_from(std::string_view name);

/// Throws kCorrupt naming the tensor for a missing, unexpected, wrongly shaped or non-finite one, kInvalidInput for one
/// that float16 cannot hold. Norms and biases become float32.
ModelWeights load_weights(const std::filesystem::path& base, const ModelConfig& config, WeightPrecision precision);
/// The weights of a base as they are stored: a folder of safetensors, or a GGUF file (gguf_weights.h).
std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& base, const ModelConfig& config);
/// Normal weights of deviation 0.02, output projections scaled down by sqrt(2 L), norms one (as they act), biases zero.
ModelWeights random_weights(const ModelConfig& config, kernels::Random& random);
/// Writes config.json and model.safetensors in `type`. Throws kInvalidInput for a quantised model.
void save_model(const std::filesystem::path& folder, const ModelConfig& config, const ModelWeights& weights,
                kernels::DataType type);

/// Weights of the model, the tied head once.
std::int64_t parameter_count(const ModelConfig& config);

}  // namespace finetune
