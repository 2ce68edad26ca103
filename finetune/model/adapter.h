// Adapter: the trained parts beside a frozen base: low-rank, factor or bottleneck adapters of its linear layers,
// low-rank adapters of embedding and head, trained token rows, and whole copies of weights. The files are PEFT's
// (formats/peft.h); the computation is in linear_layers, embedding_layer and output_head. Move-only; one writer or many
// readers.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "finetune/formats/peft.h"
#include "finetune/model/linear_adapter.h"
#include "finetune/model/saved_modules.h"
#include "kernels/core/context.h"
#include "kernels/core/random.h"

namespace finetune {

/// What a merge has done to a model's weights.
struct MergedWeights {
  std::set<std::string> changed;  // names of the weights that are no longer the base's
  bool untied = false;            // the head has become a weight of its own
  /// Largest |stored - exact| / |exact| of a merged layer (Frobenius norms): what rounding to the layer's own type, or
  /// to its 4 or 8 bits, has cost.
  double largest_error = 0;
  std::string largest_error_of;

  void note_error(const std::string& name, double error) {
    if (error <= largest_error) return;
    largest_error = error;
    largest_error_of = name;
  }
};

/// |a - b| / |b|, Frobenius norms of float32 tensors; 0 where b is zero.
double relative_distance(const kernels::Tensor& a, const kernels::Tensor& b);

class Adapter {
 public:
  /// Nothing is adapted.
  Adapter() = default;
  /// Starts as `config.init_lora_weights` says; whichever, the adapted model starts as the base. Throws kInvalidInput
  /// if nothing is targeted, for a combination that has no meaning, and for a name, layer or expression that no module
  /// answers to, naming the setting.
  Adapter(const ModelConfig& model, const ModelWeights& weights, PeftConfig config, kernels::Random& random);
  /// From a PEFT folder. Throws kCorrupt where a module or shape does not belong to the model, kConflict where it
  /// carries another embedding or head than the base's.
  static Adapter load(const std::filesystem::path& folder, const ModelConfig& model, const ModelWeights& weights);

  const PeftConfig& config() const { return config_; }
  LinearAdapters& linears() { return linears_; }
  /// Without parts unless adapted.
  EmbeddingAdapter& embedding() { return embedding_; }
  /// Of the output head; low rank, without parts unless adapted.
  LinearAdapter& head() { return head_; }
  SavedModules& saved() { return saved_; }
  /// Visits every trained weight that is there, layer by layer, then embedding, head and copies.
  void for_each(const std::function<void(Weight&)>& visit);
  /// Allocates zero gradients.
  void make_trainable();
  /// A start by pissa is written as what it has become beside the whole base: a plain adapter of twice the rank.
  void save(const std::filesystem::path& folder) const;
  PeftAdapter to_peft() const;

  /// Writes what the adapter does into the model's weights, each computed in float32 and rounded once to its own type;
  /// one that is held in 4 or 8 bits is restored, changed and quantised again. Throws kInvalidInput for a bottleneck,
  /// and for a bias on B where the family has no bias.
  MergedWeights merge_into(kernels::Context& context, ModelWeights& weights) const;
  /// Takes a merged adapter off again, but for what two roundings to the weights' type leave. Throws kInvalidInput for
  /// what cannot be undone: DoRA, factors of zero, weights and rows that were replaced.
  MergedWeights unmerge_from(kernels::Context& context, ModelWeights& weights) const;

 private:
  void start_linear(kernels::Context& context, const std::string& module, const LinearWeight& weight,
                    LinearAdapter& adapter, kernels::Random& random);
  void start_embedding(const ModelWeights& weights, kernels::Random& random);
  void start_rows(const kernels::Tensor& table);
  void start_head(kernels::Context& context, const ModelWeights& weights, kernels::Random& random);
  void start_saved(kernels::Context& context, const ModelWeights& weights);
  void settle(const ModelConfig& model);
  void refuse_idle_names() const;
  void load_linear(PeftModule module, const std::string& name, LinearAdapter& adapter) const;
  void load_embedding(PeftAdapter& stored);
  void load_head(PeftAdapter& stored);
  void load_saved(PeftAdapter& stored, const ModelWeights& weights);
  void merge_tables(kernels::Context& context, ModelWeights& weights, MergedWeights& merged) const;

  PeftConfig config_;
  ModelConfig model_;
  LinearAdapters linears_;
  EmbeddingAdapter embedding_;
  LinearAdapter head_;
  SavedModules saved_;
};

}  // namespace finetune
