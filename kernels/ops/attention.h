// Softmax attention over packed documents with grouped query heads. A token sees only its own document; query head h
// reads key/value head h / (H / Hkv). Scores are made tile by tile, never whole. Letters: N tokens, H query heads, Hkv
// key/value heads, D head size, B documents. On a device D is at most 256, and cu_seqlens is read by the kernels alone:
// what is wrong with it is thrown by the next wait.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

struct AttentionOptions {
  /// Multiplies the scores; usually 1 / sqrt(D).
  float scale = 1.0f;
  /// Scores become cap * tanh(score / cap) before the mask; 0 means none.
  float softcap = 0.0f;
  /// Token i sees j only if i - j < window (and, not causal, j - i < window); 0 means no window.
  std::int64_t sliding_window = 0;
  bool causal = true;
};

/// o = softmax(scale q k^T + mask) v per document and head; lse = log of the softmax's denominator.
/// q, o: [N, H, D]; k, v: [N, Hkv, D]; cu_seqlens: [B + 1] int32 prefix sums from 0 to N (equal neighbours: an empty
/// document); lse: [N, H], kept for backward. H must be a multiple of Hkv.
void attention_forward(Context& context, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& cu_seqlens,
                       const AttentionOptions& options, Tensor& o, Tensor& lse);

/// dq, dk, dv =, from d_o and what forward read and wrote. d_o, dq: [N, H, D]; dk, dv: [N, Hkv, D]. None may overlap.
void attention_backward(Context& context, const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Tensor& o, const Tensor& lse, const Tensor& cu_seqlens, const AttentionOptions& options,
                        Tensor& dq, Tensor& dk, Tensor& dv);

/// One query's view of a key/value cache: its first `length` rows, the newest (its own token) last.
struct CachedSequence {
  const Tensor* keys = nullptr;    // [T_max, Hkv, D]
  const Tensor* values = nullptr;  // [T_max, Hkv, D]
  std::int64_t length = 0;
};

/// o[b] = attention of one query token over sequences[b].  q, o: [B, H, D]; 1 <= length <= T_max. Several rows may
/// share a cache with growing lengths, which is how a prompt is continued. `causal` is implied.
void attention_decode(Context& context, const Tensor& q, std::span<const CachedSequence> sequences,
                      const AttentionOptions& options, Tensor& o);

}  // namespace kernels
