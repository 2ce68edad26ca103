// What the attention kernels share: which keys a query sees, rows of one head as tiles in shared memory, and products
// of such tiles on the tensor cores. A tile of queries is 16 kM rows a warp and crosses document borders freely: every
// row has a range of keys of its own, and documents, causality and windows are nothing but these ranges.
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/core/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/tensor_core.h"
#include "kernels/ops/attention.h"

namespace kernels::cuda {

inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

/// Rows [first, last).
struct Range {
  int first, last;
};

/// How scores are made of products, in units of log2 so that a probability is exp2 of a difference.
struct Scores {
  float scale, softcap;
  /// Is applied together with the exponential; 1 where `bent` has done it all.
  float factor;

  explicit Scores(const AttentionOptions& options)
      : scale(options.scale),
        softcap(options.softcap),
        factor(options.softcap == 0.0f && options.scale > 0.0f ? options.scale * kLog2E : 1.0f),
        plain_(options.softcap == 0.0f && options.scale > 0.0f) {}

  /// The score but for `factor`, which is positive; `slope` becomes d(score) / d(scale * product).
  __device__ float bent(float product, float& slope) const {
    slope = 1.0f;
    if (plain_) return product;
    if (softcap == 0.0f) return product * scale * kLog2E;
    // tanh x = 1 - 2 / (exp(2 x) + 1); its error of 1e-7 is relative to 1, which is what a cap needs.
    const float t = 1.0f - 2.0f / (exp2_fast(product * scale / softcap * (2.0f * kLog2E)) + 1.0f);
    slope = 1.0f - t * t;
    return softcap * kLog2E * t;
  }
  __device__ float bent(float product) const {
    float slope;
    return bent(product, slope);
  }

 private:
  bool plain_;
};

/// A packed batch: rows are tokens, all tensors [tokens, heads, head_size].
struct AttentionBatch {
  GlobalView<const std::int32_t> cu_seqlens;  // [documents + 1]
  FaultView faults;
  int documents, tokens, heads, key_heads, head_size;
  int window;  // 0: none
  bool causal;
  bool vectors;  // rows can be moved 16 bytes at once
  Scores scores;

  __device__ int key_head_of(int head) const { return head / (heads / key_heads); }

  /// Empty when cu_seqlens is not in order, which note_faults() tells.
  __device__ Range document_of(int token) const {
    int low = 0, high = documents;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (cu_seqlens.load(middle) <= token ? low : high) = middle;
    }
    const Range range{max(cu_seqlens.load(low), 0), min(cu_seqlens.load(high), tokens)};
    return range.first <= token && token < range.last ? range : Range{token, token};
  }

  __device__ Range keys_seen_by(int query) const {
    Range range = document_of(query);
    if (causal) range.last = min(range.last, query + 1);
    return inside_window(range, query);
  }
  __device__ Range queries_that_see(int key) const {
    Range range = document_of(key);
    if (causal) range.first = max(range.first, key);
    return inside_window(range, key);
  }

  /// For all threads of one block.
  __device__ void note_faults() const {
    for (int i = static_cast<int>(threadIdx.x); i <= documents; i += static_cast<int>(blockDim.x)) {
      const int sum = cu_seqlens.load(i), next = i < documents ? cu_seqlens.load(i + 1) : tokens;
      const bool fits = i < documents ? sum <= next : sum == next;
      if (!fits || (i == 0 && sum != 0)) note_fault(faults, Fault::kSequences, i, tokens);
    }
  }

 private:
  __device__ Range inside_window(Range range, int token) const {
    if (window == 0) return range;
    return {max(range.first, token - window + 1), min(range.last, token + window)};
  }
};

/// Fills ranges[2 i], ranges[2 i + 1] for row first + i; rows past the end have the range of the last token. The ranges
/// of neighbouring rows never fall, neither in `first` nor in `last`, so those of a tile lie between its corners'.
template <int kRows, typename RangeOf>
__device__ inline void fill_ranges(const SharedArray<int>& ranges, int first, int tokens, const RangeOf& range_of) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows; i += static_cast<int>(blockDim.x)) {
    const Range range = range_of(min(first + i, tokens - 1));
    ranges[2 * i] = range.first;
    ranges[2 * i + 1] = range.last;
  }
}
__device__ inline Range range_at(const SharedArray<int>& ranges, int row) {
  return {ranges.load(2 * row), ranges.load(2 * row + 1)};
}

/// Where the ranges of the rows [first, first + rows) meet others: nowhere outside `any`, everywhere inside `all`.
struct RowRanges {
  Range any, all;

  __device__ RowRanges(const SharedArray<int>& ranges, int first, int rows) {
    const Range low = range_at(ranges, first), high = range_at(ranges, first + rows - 1);
    any = {low.first, high.last};
    all = {high.first, low.last};
  }
  __device__ bool miss(int first, int count) const { return first >= any.last || first + count <= any.first; }
  __device__ bool cover(int first, int count) const { return first >= all.first && first + count <= all.last; }
};

/// One head's rows of a tensor [tokens, heads, head_size].
template <typename T>
struct HeadRows {
  GlobalView<T> view;
  int head, heads, size, tokens;
  bool vectors;

  __device__ std::int64_t index(int row) const { return (static_cast<std::int64_t>(row) * heads + head) * size; }
};

template <typename T>
__device__ inline HeadRows<T> query_rows(const AttentionBatch& batch, const GlobalView<T>& view, int head) {
  return {view, head, batch.heads, batch.head_size, batch.tokens, batch.vectors};
}
template <typename T>
__device__ inline HeadRows<T> key_rows(const AttentionBatch& batch, const GlobalView<T>& view, int key_head) {
  return {view, key_head, batch.key_heads, batch.head_size, batch.tokens, batch.vectors};
}

/// Rows of kSize columns of 16 bits in shared memory. An odd number of 16-byte pieces a row spreads ldmatrix over all
/// banks.
template <typename T, int kSize>
struct RowTile {
  static constexpr int kStride = kSize + 8, kPieces = kSize / 8;
  SharedArray<T> memory;

  static constexpr std::int64_t elements(int rows) { return static_cast<std::int64_t>(rows) * kStride; }

  /// Starts copying rows [first, first + kRows) by all threads of the block; zeros past the tokens and past head_size.
  template <int kRows, int kThreads>
  __device__ void load(const HeadRows<const T>& rows, int first) const {
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
      const int row = i / kPieces, column = i % kPieces * 8, place = row * kStride + column;
      const bool there = first + row < rows.tokens && column < rows.size;
      const std::int64_t source = rows.index(first + row) + column;
      if (rows.vectors) {
        copy_async<16>(memory, place, rows.view, source, there ? 8 : 0);
        continue;
      }
      for (int k = 0; k < 8; ++k)
        memory[place + k] = there && column + k < rows.size ? rows.view.load(source + k) : T{};
    }
  }

  /// Writes the tile's rows to [first, first + kRows) by all threads of the block.
  template <int kRows, int kThreads>
  __device__ void save(const HeadRows<T>& rows, int first) const {
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
      const int row = i / kPieces, column = i % kPieces * 8, place = row * kStride + column;
      if (first + row >= rows.tokens || column >= rows.size) continue;
      const std::int64_t target = rows.index(first + row) + column;
      if (rows.vectors) {
        rows.view.template store<8>(target, memory.template load<8>(place));
        continue;
      }
      for (int k = 0; k < 8 && column + k < rows.size; ++k) rows.view[target + k] = memory.load(place + k);
    }
  }

  /// Puts sums of a warp, times a factor for each row, at (row, column). factors[m][half]: of row 16 m + group + 8
  /// half.
  template <int kM, int kN>
  __device__ void put(const float (&sums)[kM][kN][4], const float (&factors)[kM][2], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int n = 0; n < kN; ++n) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const Vector<T, 2> pair{narrow<T>(sums[m][n][2 * half] * factors[m][half]),
                                  narrow<T>(sums[m][n][2 * half + 1] * factors[m][half])};
          const int place = (row + 16 * m + lane / 4 + 8 * half) * kStride + column + 8 * n + lane % 4 * 2;
          memory.template store<2>(place, pair);
        }
      }
    }
  }
};

/// sums += a b^T: 16 kM rows of `a` from a_row on, 8 kN rows of `b`, all columns.
template <typename T, int kSize, int kM, int kN>
__device__ inline void add_row_products(float (&sums)[kM][kN][4], const RowTile<T, kSize>& a, int a_row,
                                        const RowTile<T, kSize>& b) {
  static_assert(kN % 2 == 0);
  constexpr int kStride = RowTile<T, kSize>::kStride;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int a_place = (a_row + lane % 16) * kStride + lane / 16 * 8;
  const int b_place = (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
#pragma unroll
  for (int k = 0; k < kSize / 16; ++k) {
    std::uint32_t left[kM][4];
#pragma unroll
    for (int m = 0; m < kM; ++m) ldmatrix(left[m], a.memory, a_place + m * 16 * kStride + k * 16);
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
      std::uint32_t right[4];
      ldmatrix(right, b.memory, b_place + n * 8 * kStride + k * 16);
      const std::uint32_t low[2] = {right[0], right[1]}, high[2] = {right[2], right[3]};
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        mma_m16n8k16<T>(sums[m][n], left[m], low, sums[m][n]);
        mma_m16n8k16<T>(sums[m][n + 1], left[m], high, sums[m][n + 1]);
      }
    }
  }
}

/// A factor of products in registers: 16 kM rows and 16 kSteps columns.
template <int kM, int kSteps>
struct Factor {
  std::uint32_t words[kM][kSteps][4];

  /// Sums as mma leaves them, rounded, in the order in which it takes them.
  template <typename T>
  static __device__ Factor of(const float (&sums)[kM][2 * kSteps][4]) {
    Factor factor;
#pragma unroll
    for (int m = 0; m < kM; ++m) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const float(&source)[4] = sums[m][2 * k + part / 2];
          factor.words[m][k][part] = packed<T>(source[part % 2 * 2], source[part % 2 * 2 + 1]);
        }
      }
    }
    return factor;
  }
};

/// sums += factor b: columns [column, column + 8 kN) of 16 kSteps rows of `b`.
template <typename T, int kSize, int kM, int kN, int kSteps>
__device__ inline void add_weighted_rows(float (&sums)[kM][kN][4], const Factor<kM, kSteps>& factor,
                                         const RowTile<T, kSize>& b, int column) {
  static_assert(kN % 2 == 0);
  constexpr int kStride = RowTile<T, kSize>::kStride;
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  const int b_place = lane % 16 * kStride + column + lane / 16 * 8;
#pragma unroll
  for (int k = 0; k < kSteps; ++k) {
#pragma unroll
    for (int n = 0; n < kN; n += 2) {
      std::uint32_t right[4];
      ldmatrix<true>(right, b.memory, b_place + k * 16 * kStride + n * 8);
      const std::uint32_t low[2] = {right[0], right[1]}, high[2] = {right[2], right[3]};
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        mma_m16n8k16<T>(sums[m][n], factor.words[m][k], low, sums[m][n]);
        mma_m16n8k16<T>(sums[m][n + 1], factor.words[m][k], high, sums[m][n + 1]);
      }
    }
  }
}

/// Sum (or largest) over the four lanes that hold one row of an mma result.
__device__ inline float row_sum_of_four(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
__device__ inline float row_max_of_four(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

/// The batch of a call; `starts`: all tensors that are read or written in rows.
AttentionBatch attention_batch(Context& context, const Tensor& q, const Tensor& k, const Tensor& cu_seqlens,
                               const AttentionOptions& options, std::initializer_list<const void*> starts);

/// Calls body(std::integral_constant<int, kSize>) with the smallest tile width that holds head_size.
template <typename Body>
void with_tile_width(std::int64_t head_size, const Body& body) {
  if (head_size <= 32) return body(std::integral_constant<int, 32>{});
  if (head_size <= 64) return body(std::integral_constant<int, 64>{});
  if (head_size <= 80) return body(std::integral_constant<int, 80>{});
  if (head_size <= 96) return body(std::integral_constant<int, 96>{});
  if (head_size <= 128) return body(std::integral_constant<int, 128>{});
  if (head_size <= 192) return body(std::integral_constant<int, 192>{});
  return body(std::integral_constant<int, 256>{});
}

/// Calls body(BFloat16{}) or body(Float16{}).
template <typename Body>
void with_16_bit_type(DataType type, const Body& body) {
  if (type == DataType::kBFloat16) return body(BFloat16{});
  body(Float16{});
}

// The float32 versions, without tensor cores (attention_float32.cu).
void attention_forward_float32(Context& context, const AttentionBatch& batch, const Tensor& q, const Tensor& k,
                               const Tensor& v, Tensor& o, Tensor& lse);
/// delta: [tokens, heads], the sums of d_o o.
struct AttentionGradientTensors {
  const Tensor &d_o, &q, &k, &v, &lse;
  GlobalView<const float> delta;
  Tensor &dq, &dk, &dv;
};
void attention_backward_float32(Context& context, const AttentionBatch& batch, const AttentionGradientTensors& t);

}  // namespace kernels::cuda
