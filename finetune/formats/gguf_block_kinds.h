// One function a direction and block type, behind the table of gguf_blocks.cpp. A block is read at its start, values
// are as many as the block holds. In the formulas d, m are float16, q the stored small integers.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/core/data_type.h"

namespace finetune::gguf {

inline float half_at(const std::uint8_t* bytes) {
  kernels::Float16 value{};
  std::memcpy(&value, bytes, sizeof value);
  return kernels::to_float(value);
}

inline void put_half(float value, std::uint8_t* bytes) {
  const kernels::Float16 half = kernels::to_float16(value);
  std::memcpy(bytes, &half, sizeof half);
}

/// The 16 values of IQ4_NL and IQ4_XS.
inline constexpr std::int8_t kCurvedValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                  1,    13,   25,  38,  53,  69,  89,  113};

/// Super-blocks of 256 (gguf_super_blocks.cpp).
void restore_q2_k(const std::uint8_t* block, float* values);
void restore_q3_k(const std::uint8_t* block, float* values);
void restore_q4_k(const std::uint8_t* block, float* values);
void restore_q5_k(const std::uint8_t* block, float* values);
void restore_q6_k(const std::uint8_t* block, float* values);
void restore_iq4_xs(const std::uint8_t* block, float* values);
/// Scale and offset of each 32 by weighted least squares (gguf_quantise_q4_k.cpp).
void quantise_q4_k(const float* values, std::uint8_t* block);

}  // namespace finetune::gguf
