// Lora: the trained low-rank adapters beside the frozen linear layers of a model. The files are PEFT's
// (formats/peft.h); the computation is model/linear_layers.h. Move-only; one writer or many readers.
#pragma once

#include <filesystem>
#include <functional>

#include "finetune/formats/peft.h"
#include "finetune/model/linear_adapter.h"
#include "kernels/core/context.h"
#include "kernels/core/random.h"

namespace finetune {

class Lora {
 public:
  /// No adapter on any layer.
  Lora() = default;
  /// A uniform in +-1/sqrt(in), B zero, magnitudes the norms of the weights' rows: the adapted model starts as the
  /// base. Throws kInvalidInput if nothing is targeted.
  Lora(const ModelConfig& model, const ModelWeights& weights, LoraConfig config, kernels::Random& random);
  /// From a PEFT folder. Throws kCorrupt where a module or shape does not belong to the model.
  static Lora load(const std::filesystem::path& folder, const ModelConfig& model);

  const LoraConfig& config() const { return config_; }
  bool empty() const { return adapters_.empty(); }
  LinearAdapters& adapters() { return adapters_; }
  bool adapts(std::size_t layer, LinearKind kind) const {
    return layer < adapters_.size() && adapters_[layer][index_of(kind)].has_value();
  }
  /// Visits every trained weight that is there: per module A, B, bias, magnitude.
  void for_each(const std::function<void(Weight&)>& visit);
  /// Allocates zero gradients.
  void make_trainable();
  void save(const std::filesystem::path& folder) const;
  /// Writes what the adapters do into the model's weights, rounded once to their own type. Throws kInvalidInput for a
  /// bias on B, for which a family without biases has no place, and for a quantised model.
  void merge_into(kernels::Context& context, ModelWeights& weights) const;

 private:
  LoraConfig config_;
  ModelConfig model_;
  LinearAdapters adapters_;
};

}  // namespace finetune
