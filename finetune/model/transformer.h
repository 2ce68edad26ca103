// Transformer: forward and backward of a decoder over packed documents, written by hand over the kernels. A block is
// two branches, attention and feed-forward, each with norms before and behind it as the family has them, added to the
// stream. It borrows the weights and the adapters and owns the activations, whose memory is reused from batch to batch.
// Gradients accumulate (+=) into whatever is trained: adapters, and base weights only when they have gradients.
// Belongs to one thread. Letters: N tokens, H hidden, S slots.
#pragma once

#include <cstdint>
#include <vector>

#include "finetune/model/adapter.h"
#include "finetune/model/attention_block.h"
#include "finetune/model/embedding_layer.h"
#include "finetune/model/feed_forward_block.h"
#include "finetune/model/key_value_cache.h"
#include "finetune/model/linear_layers.h"
#include "finetune/model/model_config.h"
#include "finetune/model/output_head.h"
#include "finetune/model/packed_batch.h"
#include "finetune/model/rotary_tables.h"
#include "finetune/model/weights.h"
#include "kernels/core/context.h"

namespace finetune {

/// What forward leaves for backward: nothing, every block's activations, or every block's input (the rest is computed
/// again).
enum class ActivationMode { kNone, kKeep, kRecompute };

class Transformer {
 public:
  /// `adapter` may be null. Both must outlive the object.
  Transformer(const ModelConfig& config, ModelWeights& weights, Adapter* adapter);
  Transformer(const Transformer&) = delete;

  /// Final hidden states (after the last norm), [N, H], valid until the next call. `slots`: [S, H] or null without
  /// slots; they stand in the stream as they are, where a family scales its token embeddings too.
  const kernels::Tensor& forward(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor* slots,
                                 ActivationMode mode);
  /// Continues one sequence by the batch's single document: positions start at cache.length, which grows by N. The last
  /// row is that of its last token. Throws kTooLarge over the cache's capacity.
  const kernels::Tensor& forward_cached(kernels::Context& context, const PackedBatch& batch,
                                        const kernels::Tensor* slots, KeyValueCache& cache);
  /// After forward in mode kKeep or kRecompute with the same batch. dhidden: [N, H], overwritten. dslots: [S, H], =, or
  /// null.
  void backward(kernels::Context& context, const PackedBatch& batch, kernels::Tensor& dhidden, kernels::Tensor* dslots);

  /// Logits of hidden states, as the family scales and caps them.  hidden: [M, H]; logits: [M, V].
  void logits(kernels::Context& context, const kernels::Tensor& hidden, kernels::Tensor& logits);
  /// The head as the last forward pass has prepared it, for losses.
  OutputHead& output_head() { return head_; }
  /// The stream before layer `layer`, [N, H], of the last forward in mode kKeep or kRecompute.
  const kernels::Tensor& layer_input(std::size_t layer) const { return kept_[layer].input; }

  /// Adds uniform noise of +-alpha / sqrt(length * H) to token embeddings where activations are kept (NEFTune: Jain et
  /// al. 2023); slots stay as they are. 0 = none.
  void set_embedding_noise(float alpha) { embedding_noise_ = alpha; }
  /// Names the dropout masks and the noise of the next forward and its backward; dropout acts only where activations
  /// are kept.
  void set_dropout_seed(std::uint64_t seed) { dropout_seed_ = seed; }
  /// Off: the bare base answers (for probes).
  void set_adapter_active(bool active) { adapter_active_ = active; }

 private:
  struct BranchActivations {
    kernels::Tensor normed, rstd;         // [N, H], [N]: behind the norm before the branch
    kernels::Tensor output, output_rstd;  // [N, H], [N]: before the norm behind it
  };
  struct BlockActivations {
    kernels::Tensor input, middle;  // [N, H]: the stream before each branch
    BranchActivations attention_branch, feed_forward_branch;
    AttentionActivations attention;
    FeedForwardActivations feed_forward;
    LinearActivations linears;
  };
  struct BranchNorms {
    Weight &before, &after;
  };

  void embed(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor* slots);
  void add_noise(const PackedBatch& batch);
  const kernels::Tensor* continued(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor* slots,
                                   KeyValueCache& cache);
  void begin(kernels::Context& context, const PackedBatch& batch, const kernels::Tensor& positions, ActivationMode mode,
             bool continues);
  void block_forward(kernels::Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                     KeyValueCache* cache);
  void block_backward(kernels::Context& context, std::size_t layer, const PackedBatch& batch, BlockActivations& saved,
                      kernels::Tensor& dstream);
  template <typename Body>
  void branch_forward(kernels::Context& context, const BranchNorms& norms, BranchActivations& saved, Body&& body);
  template <typename Body>
  void branch_backward(kernels::Context& context, const BranchNorms& norms, const kernels::Tensor& input,
                       BranchActivations& saved, kernels::Tensor& dstream, Body&& body);
  void finish(kernels::Context& context, const kernels::Tensor& stream);

  const ModelConfig config_;
  ModelWeights& base_;
  ActiveWeights weights_;
  EmbeddingLayer embedding_;
  OutputHead head_;
  LinearLayers linears_;
  RotaryTables rotaries_;
  AttentionBlock attention_;
  FeedForwardBlock feed_forward_;
  ActivationMode mode_ = ActivationMode::kNone;
  std::vector<BlockActivations> kept_;  // kKeep: one a layer; kRecompute: only `input` is used
  BlockActivations scratch_;            // the block that is computed again, or not kept
  kernels::Tensor stream_, branch_, final_rstd_, hidden_;
  kernels::Tensor dbranch_, dinput_;
  std::uint64_t dropout_seed_ = 0;
  float embedding_noise_ = 0.0f;
  bool adapter_active_ = true;
};

}  // namespace finetune
