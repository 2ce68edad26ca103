// Lora: the trained low-rank pairs beside the frozen linear layers of a model, with their gradients. The files are
// PEFT's (formats/peft.h). Move-only; one writer or many readers.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "finetune/formats/peft.h"
#include "finetune/model/weights.h"
#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"

namespace finetune {

struct LoraPair {
  Weight a;  // [r, in]
  Weight b;  // [out, r]
  float scaling = 1.0f;
};

class Lora {
 public:
  /// No adapter on any layer.
  Lora() = default;
  /// A uniform in +-1/sqrt(in), B zero: the adapted model starts as the base. Throws kInvalidInput if nothing is
  /// targeted.
  Lora(const ModelConfig& model, LoraConfig config, kernels::Random& random);
  /// From a PEFT folder. Throws kCorrupt where a module or shape does not belong to the model.
  static Lora load(const std::filesystem::path& folder, const ModelConfig& model);

  const LoraConfig& config() const { return config_; }
  bool empty() const { return layers_.empty(); }
  /// nullptr where this layer is not adapted.
  const LoraPair* find(std::size_t layer, LinearKind kind) const;
  LoraPair* find(std::size_t layer, LinearKind kind);
  void for_each(const std::function<void(LoraPair&)>& visit);
  /// Allocates zero gradients.
  void make_trainable();
  void save(const std::filesystem::path& folder) const;
  /// Adds s B A to the model's weights, rounded once to their own type.
  void merge_into(kernels::Context& context, ModelWeights& weights) const;

 private:
  using Layer = std::array<std::optional<LoraPair>, kLinearCount>;
  LoraConfig config_;
  std::vector<Layer> layers_;
};

}  // namespace finetune
