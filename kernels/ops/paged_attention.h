// Decode attention over a cache of pages: the keys and values of all sequences lie in one pool, and a table says which
// pages belong to a sequence, so that sequences grow, end and share prefixes without a copy. Lengths and table lie
// where the operation computes: nothing is read back from a device, and a captured graph stays valid while they change.
// Letters as in attention.h; P pages of S tokens each, M pages at most a sequence.
#pragma once

#include "kernels/ops/attention.h"

namespace kernels {

/// How the rows of a pool lie: [P, S, Hkv, D] (a token's heads side by side) or [P, Hkv, S, D] (a head's tokens).
enum class PageLayout { kTokensFirst, kHeadsFirst };

struct PagedCache {
  const Tensor* keys = nullptr;         // [P, S, Hkv, D] or [P, Hkv, S, D]
  const Tensor* values = nullptr;       // the same
  const Tensor* block_table = nullptr;  // [B, M] int32: token j of sequence b is row j % S of page [b, j / S]
  const Tensor* lengths = nullptr;      // [B] int32, at most M S; the newest token, the query's own, is the last
  PageLayout layout = PageLayout::kTokensFirst;
};

/// o[b] = attention of one query token over the first lengths[b] tokens of sequence b; zeros where that is 0, as for an
/// unused place in a batch. q, o: [B, H, D]; H must be a multiple of Hkv. `causal` is implied. Table entries of pages
/// that no token seen lies in, after the end or before the sliding window, are not read.
/// A length or a page out of range is refused: at once on the CPU, at the next wait on a device.
void paged_attention_decode(Context& context, const Tensor& q, const PagedCache& cache, const AttentionOptions& options,
                            Tensor& o);

}  // namespace kernels
