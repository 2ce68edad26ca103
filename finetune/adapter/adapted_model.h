// AdaptedModel: a base with one adapter's parts (PEFT's, sensor encoder, head, side network and trees), computed
// together: losses with gradients for training, outputs for prediction. It borrows both and owns the transformer's
// activations. Belongs to one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "finetune/adapter/answer_memory.h"
#include "finetune/adapter/head.h"
#include "finetune/adapter/head_loss.h"
#include "finetune/adapter/sensor_encoder.h"
#include "finetune/adapter/side_network.h"
#include "finetune/adapter/side_trees.h"
#include "finetune/model/adapter.h"
#include "finetune/model/base.h"
#include "finetune/model/transformer.h"
#include "finetune/train/example_encoding.h"
#include "kernels/ops/cross_entropy.h"

namespace finetune {

/// Of the network beside the base; no members: there is none.
struct SideSize {
  std::int64_t members = 0;
  std::int64_t width = 64;
};

struct AdapterParts {
  Task task = Task::kLanguageModel;
  std::vector<std::string> labels;
  double target_mean = 0;
  double target_deviation = 1;
  HeadForm form;
  SideSize side_size;
  Adapter adapter;
  SensorSchema schema;
  std::optional<SensorEncoder> encoder;
  std::optional<Head> head;
  std::optional<SideNetwork> side;
  SideTrees side_trees;  // where there is a side network, and trees were found to be of use beside it
  bool side_is_fitted = false;
  AnswerMemory memory;  // lm

  HeadTarget head_target() const;
  /// Fresh parts for a base; labels, schema, form, target statistics and the side's size must be set before.
  void start(const Base& base, const PeftConfig& config, std::uint64_t seed);
  /// The same with an adapter that was trained before.
  void start_from(const Base& base, Adapter trained, std::uint64_t seed);
  /// Encoder and head weights, in file order. What stands beside the base is fitted before and stays as it is.
  std::vector<Weight*> sensor_weights();
  std::vector<Weight*> weights();
  void make_trainable();
  /// Writes adapter_config.json, adapter_model.safetensors and, where there is something in them,
  /// sensor.safetensors and answers.jsonl.
  void save(const std::filesystem::path& folder);
  /// Reads those files but the answers; what start() needs must be set before.
  void load(const std::filesystem::path& folder, const Base& base);
};

using Batch = std::span<const EncodedExample* const>;

class AdaptedModel {
 public:
  AdaptedModel(Base& base, AdapterParts& parts);

  /// What an lm's loss is; sft until it is set.
  void set_objective(const Objective& objective) { objective_ = objective; }

  /// Adds the batch's gradients, multiplied by `scale` (1 / total weight of the step). `class_weights`: [K] or null. A
  /// loss counts over supervised tokens, or where the objective is of pairs over pairs.
  kernels::LossSum train(kernels::Context& context, Batch batch, float scale, const kernels::Tensor* class_weights,
                         ActivationMode mode, std::uint64_t dropout_seed);
  kernels::LossSum loss(kernels::Context& context, Batch batch, const kernels::Tensor* class_weights);
  /// What the head and its neighbours give, logits or standardised values, of which head_answer() makes the answer; lm:
  /// log probability of each supervised token, of a pair the chosen answer's and behind them the rejected one's. One
  /// row an example.
  std::vector<std::vector<float>> outputs(kernels::Context& context, Batch batch);

  /// False: the bare base under the head, without adapter and what stands beside it.
  void set_adapter_active(bool active);
  Transformer& transformer() { return transformer_; }
  /// Embeddings of the batch's slots, or null without slots.
  const kernels::Tensor* slot_embeddings(kernels::Context& context, Batch batch);

 private:
  kernels::Tensor& head_outputs(kernels::Context& context, Batch batch, const kernels::Tensor& hidden);
  const kernels::Tensor& hidden_of(kernels::Context& context, Batch batch, ActivationMode mode);
  kernels::LossSum loss_of(kernels::Context& context, Batch batch, const kernels::Tensor& hidden, float scale,
                           const kernels::Tensor* class_weights, kernels::Tensor* dhidden);
  kernels::LossSum token_loss(kernels::Context& context, Batch batch, const kernels::Tensor& hidden, float scale,
                              kernels::Tensor* dhidden);
  kernels::LossSum pairs_loss(kernels::Context& context, Batch batch, const kernels::Tensor& hidden, float scale,
                              kernels::Tensor* dhidden);
  kernels::LossSum tokens_loss(kernels::Context& context, const kernels::Tensor& hidden, const kernels::Tensor& targets,
                               const kernels::Tensor& row_weights, const kernels::TeacherProbabilities* teacher,
                               float scale, kernels::Tensor* dhidden);
  std::vector<float> log_probabilities(kernels::Context& context, const kernels::Tensor& hidden,
                                       const kernels::Tensor& targets);

  Base& base_;
  AdapterParts& parts_;
  Transformer transformer_;
  Objective objective_;
  PackedBatch packed_;
  kernels::Tensor dhidden_, dslots_;
  bool side_active_ = true;
};

/// What a pair's row of outputs says.
PairLogprobs pair_logprobs(const EncodedExample& pair, std::span<const float> outputs);

/// Groups indices into runs of at most `max_tokens` tokens (one example at least, a pair whole), keeping their order.
std::vector<std::vector<std::size_t>> group_by_tokens(const std::vector<EncodedExample>& examples,
                                                      const std::vector<std::size_t>& order, std::int64_t max_tokens);

}  // namespace finetune
