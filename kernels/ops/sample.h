// Choosing the next token from a row of logits.
#pragma once

#include <cstdint>

#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"

namespace kernels {

struct SampleOptions {
  /// 0 is greedy: the largest logit, the lowest index among equals.
  float temperature = 1.0f;
  /// Keep only this many of the largest; 0 keeps all.
  std::int32_t top_k = 0;
  /// Of those, keep the smallest set whose probabilities reach this sum; 1 keeps all.
  float top_p = 1.0f;
};

/// Draws an index from softmax(logits / temperature) after top_k, then top_p. logits: [V]. A greedy choice draws
/// nothing from `random`, any other draws exactly one number. Throws std::invalid_argument when no logit is a finite
/// number.
std::int32_t sample_token(Context& context, const Tensor& logits, const SampleOptions& options, Random& random);

}  // namespace kernels
