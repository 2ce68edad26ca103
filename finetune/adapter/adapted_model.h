// AdaptedModel: a base with one adapter's parts (PEFT's, sensor encoder, head), computed together: losses with
// gradients for training, outputs for prediction. It borrows both and owns the transformer's activations. Belongs to
// one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "finetune/adapter/head.h"
#include "finetune/adapter/sensor_encoder.h"
#include "finetune/model/adapter.h"
#include "finetune/model/base.h"
#include "finetune/model/transformer.h"
#include "finetune/train/example_encoding.h"
#include "kernels/ops/cross_entropy.h"

namespace finetune {

struct AdapterParts {
  Task task = Task::kLanguageModel;
  std::vector<std::string> labels;
  double target_mean = 0;
  double target_deviation = 1;
  Adapter adapter;
  SensorSchema schema;
  std::optional<SensorEncoder> encoder;
  std::optional<Head> head;

  /// Fresh parts for a base; labels, schema and target statistics must be set before.
  void start(const Base& base, const PeftConfig& config, std::uint64_t seed);
  /// The same with an adapter that was trained before.
  void start_from(const Base& base, Adapter trained, std::uint64_t seed);
  /// Encoder and head weights, in file order.
  std::vector<Weight*> sensor_weights();
  std::vector<Weight*> weights();
  void make_trainable();
  /// Writes adapter_config.json, adapter_model.safetensors and, where there is something in it, sensor.safetensors.
  void save(const std::filesystem::path& folder);
  /// Reads the three files; labels, schema, task and target statistics must be set before.
  void load(const std::filesystem::path& folder, const Base& base);
};

using Batch = std::span<const EncodedExample* const>;

class AdaptedModel {
 public:
  AdaptedModel(Base& base, AdapterParts& parts);

  /// Adds the batch's gradients, multiplied by `scale` (1 / total weight of the step). `class_weights`: [K] or null.
  kernels::LossSum train(kernels::Context& context, Batch batch, float scale, const kernels::Tensor* class_weights,
                         ActivationMode mode, std::uint64_t dropout_seed);
  kernels::LossSum loss(kernels::Context& context, Batch batch, const kernels::Tensor* class_weights);
  /// classify: logits; regress: the value in its unit; lm: log probability of each supervised token. One row an
  /// example.
  std::vector<std::vector<float>> outputs(kernels::Context& context, Batch batch);
  /// The same, but regress: the head's own output, standardised.
  std::vector<std::vector<float>> raw_outputs(kernels::Context& context, Batch batch);

  Transformer& transformer() { return transformer_; }
  /// Embeddings of the batch's slots, or null without slots.
  const kernels::Tensor* slot_embeddings(kernels::Context& context, Batch batch);

 private:
  const kernels::Tensor& hidden_of(kernels::Context& context, Batch batch, ActivationMode mode);
  kernels::LossSum loss_of(kernels::Context& context, Batch batch, const kernels::Tensor& hidden, float scale,
                           const kernels::Tensor* class_weights, kernels::Tensor* dhidden);
  kernels::LossSum token_loss(kernels::Context& context, Batch batch, const kernels::Tensor& hidden, float scale,
                              kernels::Tensor* dhidden);

  Base& base_;
  AdapterParts& parts_;
  Transformer transformer_;
  PackedBatch packed_;
  kernels::Tensor dhidden_, dslots_;
};

/// Groups indices into runs of at most `max_tokens` tokens (one example at least), keeping their order.
std::vector<std::vector<std::size_t>> group_by_tokens(const std::vector<EncodedExample>& examples,
                                                      const std::vector<std::size_t>& order, std::int64_t max_tokens);

}  // namespace finetune
