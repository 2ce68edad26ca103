// The gradient of every weight of a base, as full-parameter training computes it. For tests only.
#pragma once

#include <vector>

#include "finetune/model/base.h"
#include "finetune/model/transformer.h"
#include "finetune/train/example_encoding.h"
#include "kernels/ops/cross_entropy.h"

namespace support {

/// Leaves in the weights the gradients of the mean loss over the documents' supervised tokens, packed.
inline void compute_full_gradients(finetune::Base& base, const std::vector<finetune::EncodedExample>& documents,
                                   finetune::ActivationMode mode) {
  base.weights.make_trainable();
  finetune::Transformer transformer(base.config, base.weights, nullptr);
  kernels::Context context = kernels::Context::cpu(1);
  std::vector<std::span<const std::int32_t>> ids;
  std::vector<std::int32_t> targets;
  std::int64_t supervised = 0;
  for (const finetune::EncodedExample& document : documents) {
    ids.emplace_back(document.ids);
    targets.insert(targets.end(), document.targets.begin(), document.targets.end());
    supervised += document.supervised();
  }
  const finetune::PackedBatch batch = finetune::pack_documents(ids);
  const kernels::Tensor& hidden = transformer.forward(context, batch, nullptr, mode);
  kernels::Tensor dhidden(hidden.shape());
  finetune::LinearWeight& head = base.weights.output_head();
  kernels::linear_cross_entropy(context, hidden, head.packed, kernels::Tensor::from(targets), nullptr,
                                base.config.head_options(1.0f / static_cast<float>(supervised)), &dhidden,
                                &head.gradient);
  transformer.backward(context, batch, dhidden, nullptr);
}

}  // namespace support
