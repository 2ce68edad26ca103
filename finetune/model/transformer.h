// Transformer: forward and backward of a Llama-shaped decoder over packed documents, written by hand over the kernels.
// It borrows the weights and the adapter and owns the activations, whose memory is reused from batch to batch.
// Gradients accumulate (+=) into whatever is trained: adapter pairs, and base weights only when they have gradients.
// Belongs to one thread. Letters: N tokens, H hidden, S slots.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "finetune/model/lora.h"
#include "finetune/model/model_config.h"
#include "finetune/model/packed_batch.h"
#include "finetune/model/weights.h"
#include "kernels/core/context.h"
#include "kernels/ops/lora.h"
#include "kernels/ops/rotary.h"

namespace finetune {

/// What forward leaves for backward: nothing, every block's activations, or every block's input (the rest is computed
/// again).
enum class ActivationMode { kNone, kKeep, kRecompute };

/// Keys and values of one sequence that is being continued.
struct KeyValueCache {
  std::vector<kernels::Tensor> keys, values;  // per layer [T_max, Hkv, D]
  std::int64_t length = 0;
  KeyValueCache(const ModelConfig& config, std::int64_t capacity);
  std::int64_t capacity() const { return keys.front().size(0); }
};

class Transformer {
 public:
  /// `lora` may be null. Both must outlive the object.
  Transformer(const ModelConfig& config, ModelWeights& weights, Lora* lora);

  /// Final hidden states (after the last norm), [N, H], valid until the next call. `slots`: [S, H] or null without
  /// slots.
  const kernels::Tensor& forward(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor* slots,
                                 ActivationMode mode);
  /// Continues one sequence by the batch's single document: positions start at cache.length, which grows by N.
  /// Throws kTooLarge over the cache's capacity.
  const kernels::Tensor& forward_cached(kernels::Context& context, const PackedBatch& batch,
                                        const kernels::Tensor* slots, KeyValueCache& cache);
  /// After forward in mode kKeep or kRecompute with the same batch. dhidden: [N, H], overwritten. dslots: [S, H], =, or
  /// null.
  void backward(kernels::Context& context, const PackedBatch& batch, kernels::Tensor& dhidden, kernels::Tensor* dslots);

  /// Names the dropout masks of the next forward and its backward; dropout acts only where activations are kept.
  void set_dropout_seed(std::uint64_t seed) { dropout_seed_ = seed; }
  /// Off: the bare base answers (for probes).
  void set_adapter_active(bool active) { adapter_active_ = active; }

 private:
  struct BlockActivations {
    kernels::Tensor input, input_normed, input_rstd;       // [N, H], [N, H], [N]
    kernels::Tensor query, key, value, attended, log_sum;  // [N, heads*D], ..., [N, heads]
    kernels::Tensor middle, middle_normed, middle_rstd;    // [N, H], [N, H], [N]
    kernels::Tensor gate, up, gated;                       // [N, I]
    std::array<kernels::Tensor, kLinearCount> low_rank;    // [N, r]
  };
  struct Gradients {
    kernels::Tensor hidden, query, key, value, attended, gated, up;
  };

  void embed(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor* slots);
  void block_forward(kernels::Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                     KeyValueCache* cache);
  void attend(kernels::Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
              KeyValueCache* cache);
  void block_backward(kernels::Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                      kernels::Tensor& dstream);
  void attention_block_backward(kernels::Context& context, std::size_t layer, const PackedBatch& batch,
                                BlockActivations& saved, kernels::Tensor& dstream);
  void linear_forward(kernels::Context& context, std::size_t layer, LinearKind kind, const kernels::Tensor& x,
                      BlockActivations& saved, kernels::Tensor& y, float beta = 0.0f);
  void linear_backward(kernels::Context& context, std::size_t layer, LinearKind kind, const kernels::Tensor& dy,
                       const kernels::Tensor& x, BlockActivations& saved, kernels::Tensor& dx, float beta = 0.0f);
  const LoraPair* pair_of(std::size_t layer, LinearKind kind) const;
  kernels::LoraOptions lora_options(std::size_t layer, LinearKind kind, float scaling) const;
  void finish(kernels::Context& context, const kernels::Tensor& stream);

  ModelConfig config_;
  ModelWeights& weights_;
  Lora* lora_;
  kernels::Tensor inverse_frequencies_;
  kernels::RotaryTable rotary_;
  ActivationMode mode_ = ActivationMode::kNone;
  std::vector<BlockActivations> kept_;  // kKeep: one a layer; kRecompute: only `input` is used
  BlockActivations scratch_;            // the block that is computed again, or not kept
  kernels::Tensor stream_, final_rstd_, hidden_;
  Gradients gradients_;
  std::uint64_t dropout_seed_ = 0;
  bool adapter_active_ = true;
};

}  // namespace finetune
