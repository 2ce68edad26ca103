// Frozen weights in 4 or 8 bits. Blocks follow the row-major order of the weight and run across its rows; the last one
// may be short. Letters: n elements, `out` rows.
//
// nf4: blocks of 64. scale = max |w| of the block; code = the number of thresholds (mid-points of the code book, half a
// step towards zero included) that w * (1 / scale) exceeds; w' = book[code] * scale. Element 2k is in the high half of
// byte k, element 2k + 1 in the low half; an odd end is filled with the code of 0.
// nf4_nested: the same with the scales in 8 bits: offset = their mean; (scale - offset) in blocks of 256 by the entry
// of nested_book() nearest to (scale - offset) * (1 / largest); scale' = book[code] * largest + offset.
// int8: per row, scale = max |w| / 127, code = round(w / scale) to even, w' = code * scale.
//
// All of it in float32 without fused steps, so that the codes, scales and restored values of both kinds of nf4 are
// those of bitsandbytes bit for bit.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/core/context.h"
#include "kernels/core/tensor.h"

namespace kernels {

enum class QuantisedType { kNf4, kNf4Nested, kInt8 };

struct QuantisedWeight {
  QuantisedType type = QuantisedType::kNf4;
  Shape shape;
  Tensor codes;                // nf4: uint8 [(n + 1) / 2]; int8: int8 [n]
  Tensor scales;               // float32, one a block or row; empty when nested
  Tensor scale_codes;          // nested: uint8, one a block
  Tensor nested_scales;        // nested: float32, one for 256 blocks
  float nested_offset = 0.0f;  // nested

  std::int64_t count() const;
  /// Of everything that is kept.
  std::size_t size_bytes() const;
  /// An owning copy on the device of `context`.
  QuantisedWeight to(const Context& context) const;
};

/// On the CPU; to() moves the result to a device. weight: float32, bfloat16 or float16, taken as float32; 2-D for int8.
/// Throws std::invalid_argument on another type
/// and on an element that is not finite.
QuantisedWeight quantise(Context& context, const Tensor& weight, QuantisedType type);

/// out = the restored values, rounded to out's type.  out: the weight's shape; float32, bfloat16 or float16.
void dequantise(Context& context, const QuantisedWeight& weight, Tensor& out);

/// The 16 values of nf4, ascending.
std::span<const float, 16> nf4_book();
/// The 256 values that nested scales are taken from, ascending: in every decade from 1e-6 to 1 twice as many as in the
/// one below, both signs, with 0 and 1.
std::span<const float, 256> nested_book();

}  // namespace kernels
