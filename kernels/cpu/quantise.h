// The CPU version behind ops/quantise.h. Weights are float32 and finite; contracts are those of that header.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/ops/quantise.h"

namespace kernels::cpu {

inline constexpr std::array<float, 16> kNf4Book{-1.0f,
                                                -0.6961928009986877f,
                                                -0.5250730514526367f,
                                                -0.39491748809814453f,
                                                -0.28444138169288635f,
                                                -0.18477343022823334f,
                                                -0.09105003625154495f,
                                                0.0f,
                                                0.07958029955625534f,
                                                0.16093020141124725f,
                                                0.24611230194568634f,
                                                0.33791524171829224f,
                                                0.44070982933044434f,
                                                0.5626170039176941f,
                                                0.7229568362236023f,
                                                1.0f};

const std::array<float, 256>& nested_book();

void quantise_nf4(Context& context, const Tensor& weight, QuantisedWeight& into);
/// Moves the scales into 8 bits.
void nest_scales(QuantisedWeight& weight);
void quantise_int8(Context& context, const Tensor& weight, QuantisedWeight& into);

/// out[i] = restored element begin + i, for i < count.
void dequantise(Context& context, const QuantisedWeight& weight, std::int64_t begin, std::int64_t count, float* out);

}  // namespace kernels::cpu
