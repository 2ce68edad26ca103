// Choosing the next token from a row of logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/core/context.h"
#include "kernels/core/random.h"
#include "kernels/core/tensor.h"

namespace kernels {

/// In the order in which they act.
struct SampleOptions {
  /// Positive logits of tokens that came before are divided by it, negative ones multiplied; 1 changes nothing.
  float repetition_penalty = 1.0f;
  /// No token may complete a sequence of this many tokens that came before; 0 allows all.
  std::int32_t no_repeat_ngram = 0;
  /// 0 is greedy: the largest logit, the lowest index among equals.
  float temperature = 1.0f;
  /// Keep only this many of the largest; 0 keeps all.
  std::int32_t top_k = 0;
  /// Of those, keep the smallest set whose probabilities reach this sum; 1 keeps all.
  float top_p = 1.0f;
  /// Of those, keep what is at least this share of the most probable one; 0 keeps all.
  float min_p = 0.0f;
  /// Of those, keep the smallest set nearest to the entropy whose probabilities reach this sum; 1 keeps all.
  float typical_p = 1.0f;
};

struct TokenShare {
  std::int32_t token = 0;
  double probability = 0;
};

/// softmax(logits / temperature) of the tokens that the options keep, adding up to 1. logits: [V]; `before`: the tokens
/// so far, for the first two options. On the CPU. Throws std::invalid_argument on an option out of range and when no
/// logit is a finite number or none is left.
std::vector<TokenShare> token_shares(Context& context, const Tensor& logits, const SampleOptions& options,
                                     std::span<const std::int32_t> before = {});

/// One row of a batch. `before` and `allowed` are borrowed.
struct SampleRow {
  SampleOptions options;
  std::span<const std::int32_t> before;
  /// Bit t of the words: whether token t may come; beyond their end none may. Empty allows all.
  std::span<const std::uint64_t> allowed;
  /// What is drawn with, in [0, 1): Random::uniform(). Not used by a greedy choice.
  double uniform = 0.0;
};

/// Draws an index from token_shares() of every row, its logits that may not come at -infinity. On CUDA, where nothing
/// waits, the draw is the CPU's for equal numbers, but for those within about 2^-26 of a border between two tokens;
/// typical_p below 1 is computed on the host, and a row without a finite logit throws at the next synchronisation.
/// logits: [N, V], bfloat16 or float16 too on CUDA; tokens: [N] int32.
void sample_tokens(Context& context, const Tensor& logits, std::span<const SampleRow> rows, Tensor& tokens);

/// The same of one row, which the host waits for. A greedy choice draws nothing from `random`, any other draws exactly
/// one number.
std::int32_t sample_token(Context& context, const Tensor& logits, const SampleOptions& options, Random& random,
                          std::span<const std::int32_t> before = {});

}  // namespace kernels
