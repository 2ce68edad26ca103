// Super-blocks of 256 elements: sub-blocks of 16 or 32 with small integer scales under one float16 scale. Compiled
// without contraction: values are compared with those of other programs.
#include "finetune/formats/gguf_block_kinds.h"

namespace finetune::gguf {
namespace {

// Element `i` of 2-bit fields: 128 elements share 32 bytes, the first 32 in the lowest bits.
int two_bits(const std::uint8_t* bytes, int i) { return bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3; }
// 4-bit fields: 64 elements share 32 bytes, the first 32 in the low halves.
int four_bits(const std::uint8_t* bytes, int i) { return bytes[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15; }
// One bit: 256 elements share 32 bytes, each further 32 one bit higher.
int one_bit(const std::uint8_t* bytes, int i) { return bytes[i % 32] >> (i / 32) & 1; }

// Scale and offset of the 32-blocks of Q4_K and Q5_K: 8 pairs of 6 bits in 12 bytes.
struct Pair {
  int scale, offset;
};
Pair pair_at(const std::uint8_t* bytes, int j) {
  if (j < 4) return {bytes[j] & 63, bytes[j + 4] & 63};
  return {(bytes[j + 4] & 15) | bytes[j - 4] >> 6 << 4, bytes[j + 4] >> 4 | bytes[j] >> 6 << 4};
}

// The 16 scales of Q3_K: low halves in 8 bytes, the upper two bits in 4, all minus 32.
int third_scale(const std::uint8_t* bytes, int j) {
  const int low = j < 8 ? bytes[j] & 15 : bytes[j - 8] >> 4;
  return (low | (bytes[8 + j % 4] >> (j / 4 * 2) & 3) << 4) - 32;
}

}  // namespace

// scales[16] (low half scale, high half offset), q[64], d, m.  x = d scale q - m offset
void restore_q2_k(const std::uint8_t* block, float* values) {
  const float d = half_at(block + 80), m = half_at(block + 82);
  for (int i = 0; i < 256; ++i) {
    const std::uint8_t pair = block[i / 16];
    const float scale = d * static_cast<float>(pair & 15), offset = m * static_cast<float>(pair >> 4);
    values[i] = scale * static_cast<float>(two_bits(block + 16, i)) - offset;
  }
}

// high bits[32], q[64], scales[12], d.  x = d scale (q + 4 high - 4)
void restore_q3_k(const std::uint8_t* block, float* values) {
  const float d = half_at(block + 108);
  for (int i = 0; i < 256; ++i) {
    const float scale = d * static_cast<float>(third_scale(block + 96, i / 16));
    values[i] = scale * static_cast<float>(two_bits(block + 32, i) + 4 * one_bit(block, i) - 4);
  }
}

// d, m, pairs[12], q[128].  x = d scale q - m offset
void restore_q4_k(const std::uint8_t* block, float* values) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < 256; ++i) {
    const Pair pair = pair_at(block + 4, i / 32);
    const float scale = d * static_cast<float>(pair.scale), offset = m * static_cast<float>(pair.offset);
    values[i] = scale * static_cast<float>(four_bits(block + 16, i)) - offset;
  }
}

// d, m, pairs[12], high bits[32], q[128].  x = d scale (q + 16 high) - m offset
void restore_q5_k(const std::uint8_t* block, float* values) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < 256; ++i) {
    const Pair pair = pair_at(block + 4, i / 32);
    const float scale = d * static_cast<float>(pair.scale), offset = m * static_cast<float>(pair.offset);
    values[i] = scale * static_cast<float>(four_bits(block + 48, i) + 16 * one_bit(block + 16, i)) - offset;
  }
}

// low[128], high[64], signed scales[16], d.  x = d scale (low + 16 high - 32). Low halves: 128 elements share 64 bytes.
void restore_q6_k(const std::uint8_t* block, float* values) {
  const float d = half_at(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int low = block[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(block[192 + i / 16]));
    values[i] = scale * static_cast<float>((low | two_bits(block + 128, i) << 4) - 32);
  }
}

// d, upper scale bits (2 bytes), lower scale bits[4], q[128]; blocks of 32, each in 16 bytes of its own.
// x = d (scale - 32) value[q]
void restore_iq4_xs(const std::uint8_t* block, float* values) {
  const float d = half_at(block);
  const int upper = block[2] | block[3] << 8;
  for (int j = 0; j < 8; ++j) {
    const int scale = (block[4 + j / 2] >> (j % 2 * 4) & 15) | (upper >> (2 * j) & 3) << 4;
    const float factor = d * static_cast<float>(scale - 32);
    const std::uint8_t* pairs = block + 8 + 16 * j;
    for (int i = 0; i < 32; ++i) {
      const int q = i < 16 ? pairs[i] & 15 : pairs[i - 16] >> 4;
      values[32 * j + i] = factor * static_cast<float>(kCurvedValues[q]);
    }
  }
}

}  // namespace finetune::gguf
