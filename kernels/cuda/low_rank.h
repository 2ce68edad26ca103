// Products with one narrow side, for the low-rank branches of adapters. The rows of a batch lie in any order, those of
// an adapter are worked on together; one adapter for all rows is the special case that ops/lora.h needs. A row's result
// depends on nothing but the row and its adapter: the order of additions is that of fixed pieces.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"
#include "kernels/ops/lora.h"

namespace kernels::cuda {

/// Rows first_row .. first_row + rows of the order below belong to an adapter whose matrices begin at rank `first_rank`
/// of the stack.
struct AdapterSegment {
  std::int64_t first_row = 0, rows = 0;
  std::int64_t first_rank = 0, rank = 0;
  LoraOptions options;
};

/// How the rows of a batch are shared out.
struct AdapterSegments {
  std::span<const AdapterSegment> list;
  const Tensor* order = nullptr;  // int32 on the device: the batch's row at each place; null: as they lie
};

/// Of the stack of adapters' matrices: A is [R, in], B is [out, R]. `wide` is in or out.
enum class LowRankMatrix { kA, kB };

/// low = drop(x) A^T, or x B.  x: [N, wide]; low: [N, most ranks], of which a row has as many as its adapter's rank.
void product_to_low_rank(Context& context, const char* name, const AdapterSegments& segments, const Tensor& x,
                         const Tensor& stack, LowRankMatrix matrix, Tensor& low);

/// y += s low B^T, or s drop'(low A).  low: [N, most ranks]; y: [N, wide].
void add_product_from_low_rank(Context& context, const char* name, const AdapterSegments& segments, const Tensor& low,
                               const Tensor& stack, LowRankMatrix matrix, Tensor& y);

/// gradient += s low^T drop(x) for A, s x^T low for B.  x: [N, wide]; gradient: float32, stacked as the matrices are.
void add_low_rank_gradient(Context& context, const char* name, const AdapterSegments& segments, const Tensor& x,
                           const Tensor& low, LowRankMatrix matrix, Tensor& gradient);

}  // namespace kernels::cuda
