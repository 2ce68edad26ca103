// Blocks of 32 and plain numbers. Element j of a block of 32 is in the low half of byte j, element j + 16 in the high
// half; a fifth bit of element j is bit j of four bytes. Compiled without contraction: bytes are compared with those of
// other programs.
#include "finetune/formats/gguf_blocks.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "finetune/formats/gguf_block_kinds.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using gguf::half_at;
using gguf::put_half;
using platform::Error;
using platform::ErrorCode;

constexpr int kBlock = 32;

// 0 where all values of a block are (all but) equal, so that every q is the same.
float inverse_of(float d) { return std::isfinite(1.0f / d) ? 1.0f / d : 0.0f; }

template <typename T>
void restore_number(const std::uint8_t* block, float* values) {
  T value{};
  std::memcpy(&value, block, sizeof value);
  if constexpr (std::is_arithmetic_v<T>) {
    *values = static_cast<float>(value);
  } else {
    *values = kernels::to_float(value);
  }
}

void quantise_f32(const float* values, std::uint8_t* block) { std::memcpy(block, values, sizeof *values); }
void quantise_f16(const float* values, std::uint8_t* block) { put_half(*values, block); }
void quantise_bf16(const float* values, std::uint8_t* block) {
  const kernels::BFloat16 value = kernels::to_bfloat16(*values);
  std::memcpy(block, &value, sizeof value);
}

// d, q[32] signed.  x = d q; d = largest / 127, q rounded half away from zero.
void restore_q8_0(const std::uint8_t* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < kBlock; ++i) values[i] = d * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
}

void quantise_q8_0(const float* values, std::uint8_t* block) {
  float largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float d = largest / 127.0f, inverse = inverse_of(d);
  put_half(d, block);
  for (int i = 0; i < kBlock; ++i)
    block[2 + i] = static_cast<std::uint8_t>(static_cast<std::int8_t>(std::round(values[i] * inverse)));
}

// Reads and writes 32 integers of 4 bits at `low`, and of 5 where `high` is not null.
void unpack(const std::uint8_t* low, const std::uint8_t* high, int* q) {
  for (int i = 0; i < kBlock; ++i) {
    const std::uint8_t pair = low[i % 16];
    q[i] = i < 16 ? pair & 15 : pair >> 4;
    if (high != nullptr) q[i] |= (high[i / 8] >> (i % 8) & 1) << 4;
  }
}

void pack(const int* q, std::uint8_t* low, std::uint8_t* high) {
  for (int i = 0; i < 16; ++i) low[i] = static_cast<std::uint8_t>((q[i] & 15) | (q[i + 16] & 15) << 4);
  if (high == nullptr) return;
  std::fill_n(high, 4, std::uint8_t{0});
  for (int i = 0; i < kBlock; ++i) high[i / 8] = static_cast<std::uint8_t>(high[i / 8] | (q[i] >> 4) << (i % 8));
}

// Symmetric: x = d (q - half), `half` 8 or 16.
template <int half>
void restore_symmetric(const std::uint8_t* block, float* values) {
  constexpr bool kFive = half == 16;
  int q[kBlock];
  unpack(block + (kFive ? 6 : 2), kFive ? block + 2 : nullptr, q);
  const float d = half_at(block);
  for (int i = 0; i < kBlock; ++i) values[i] = d * static_cast<float>(q[i] - half);
}

// d = the value of largest magnitude / -half; q = floor(x / d + half + 1/2), the sum rounded once to float32.
template <int half>
void quantise_symmetric(const float* values, std::uint8_t* block) {
  constexpr bool kFive = half == 16;
  float largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::fabs(values[i]) > std::fabs(largest) ? values[i] : largest;
  const float d = largest / -static_cast<float>(half), inverse = inverse_of(d);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) {
    const double exact = static_cast<double>(values[i]) * static_cast<double>(inverse) + (half + 0.5);
    q[i] = std::clamp(static_cast<int>(static_cast<float>(exact)), 0, 2 * half - 1);
  }
  put_half(d, block);
  pack(q, block + (kFive ? 6 : 2), kFive ? block + 2 : nullptr);
}

// With an offset: x = d q + m; d = (largest - least) / levels, m = least.
template <int levels>
void restore_offset(const std::uint8_t* block, float* values) {
  constexpr bool kFive = levels == 31;
  int q[kBlock];
  unpack(block + (kFive ? 8 : 4), kFive ? block + 4 : nullptr, q);
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < kBlock; ++i) values[i] = d * static_cast<float>(q[i]) + m;
}

template <int levels>
void quantise_offset(const float* values, std::uint8_t* block) {
  constexpr bool kFive = levels == 31;
  const auto [least, largest] = std::minmax_element(values, values + kBlock);
  const float d = (*largest - *least) / static_cast<float>(levels), inverse = inverse_of(d);
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i)
    q[i] = std::clamp(static_cast<int>((values[i] - *least) * inverse + 0.5f), 0, levels);
  put_half(d, block);
  put_half(*least, block + 2);
  pack(q, block + (kFive ? 8 : 4), kFive ? block + 4 : nullptr);
}

// x = d * value[q] of an uneven book.
void restore_iq4_nl(const std::uint8_t* block, float* values) {
  int q[kBlock];
  unpack(block + 2, nullptr, q);
  const float d = half_at(block);
  for (int i = 0; i < kBlock; ++i) values[i] = d * static_cast<float>(gguf::kCurvedValues[q[i]]);
}

constexpr GgufLayout kLayouts[] = {
    {GgufType::kF32, "F32", 1, 4, restore_number<float>, quantise_f32},
    {GgufType::kF16, "F16", 1, 2, restore_number<kernels::Float16>, quantise_f16},
    {GgufType::kQ4_0, "Q4_0", 32, 18, restore_symmetric<8>, quantise_symmetric<8>},
    {GgufType::kQ4_1, "Q4_1", 32, 20, restore_offset<15>, quantise_offset<15>},
    {GgufType::kQ5_0, "Q5_0", 32, 22, restore_symmetric<16>, quantise_symmetric<16>},
    {GgufType::kQ5_1, "Q5_1", 32, 24, restore_offset<31>, quantise_offset<31>},
    {GgufType::kQ8_0, "Q8_0", 32, 34, restore_q8_0, quantise_q8_0},
    {GgufType::kQ2_K, "Q2_K", 256, 84, gguf::restore_q2_k, nullptr},
    {GgufType::kQ3_K, "Q3_K", 256, 110, gguf::restore_q3_k, nullptr},
    {GgufType::kQ4_K, "Q4_K", 256, 144, gguf::restore_q4_k, gguf::quantise_q4_k},
    {GgufType::kQ5_K, "Q5_K", 256, 176, gguf::restore_q5_k, nullptr},
    {GgufType::kQ6_K, "Q6_K", 256, 210, gguf::restore_q6_k, nullptr},
    {GgufType::kIQ4_NL, "IQ4_NL", 32, 18, restore_iq4_nl, nullptr},
    {GgufType::kIQ4_XS, "IQ4_XS", 256, 136, gguf::restore_iq4_xs, nullptr},
    {GgufType::kI8, "I8", 1, 1, restore_number<std::int8_t>, nullptr},
    {GgufType::kI16, "I16", 1, 2, restore_number<std::int16_t>, nullptr},
    {GgufType::kI32, "I32", 1, 4, restore_number<std::int32_t>, nullptr},
    {GgufType::kI64, "I64", 1, 8, restore_number<std::int64_t>, nullptr},
    {GgufType::kF64, "F64", 1, 8, restore_number<double>, nullptr},
    {GgufType::kBF16, "BF16", 1, 2, restore_number<kernels::BFloat16>, quantise_bf16},
};

std::size_t blocks_in(const GgufLayout& layout, std::size_t values, std::size_t bytes) {
  const auto elements = static_cast<std::size_t>(layout.block_elements);
  const std::size_t blocks = values / elements;
  if (values % elements == 0 && bytes == blocks * static_cast<std::size_t>(layout.block_bytes)) return blocks;
  throw Error(ErrorCode::kInvalidInput, std::string(layout.name) + " cannot hold " + std::to_string(values) +
                                            " values in " + std::to_string(bytes) + " bytes: a block of " +
                                            std::to_string(layout.block_elements) + " takes " +
                                            std::to_string(layout.block_bytes));
}

}  // namespace

std::span<const GgufLayout> gguf_layouts() { return kLayouts; }

const GgufLayout* find_gguf_layout(std::uint32_t type) {
  for (const GgufLayout& layout : kLayouts) {
    if (static_cast<std::uint32_t>(layout.type) == type) return &layout;
  }
  return nullptr;
}

const GgufLayout* find_gguf_layout(std::string_view name) {
  for (const GgufLayout& layout : kLayouts) {
    if (layout.name == name) return &layout;
  }
  return nullptr;
}

const GgufLayout& gguf_layout(GgufType type) {
  if (const GgufLayout* layout = find_gguf_layout(static_cast<std::uint32_t>(type))) return *layout;
  throw Error(ErrorCode::kInvalidInput, "there is no GGUF type " + std::to_string(static_cast<std::uint32_t>(type)));
}

void quantise_blocks(GgufType type, std::span<const float> values, std::span<std::uint8_t> bytes) {
  const GgufLayout& layout = gguf_layout(type);
  if (layout.quantise == nullptr) {
    throw Error(ErrorCode::kInvalidInput, std::string(layout.name) +
                                              " is read but not written here; use F32, F16, BF16, Q8_0, Q5_1, Q5_0, "
                                              "Q4_1, Q4_0 or Q4_K");
  }
  const std::size_t blocks = blocks_in(layout, values.size(), bytes.size());
  const auto bad = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (layout.block_elements > 1 && bad != values.end()) {
    throw Error(ErrorCode::kInvalidInput, std::string(layout.name) + " cannot hold value " +
                                              std::to_string(bad - values.begin()) + ": it is not a finite number");
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    layout.quantise(values.data() + i * static_cast<std::size_t>(layout.block_elements),
                    bytes.data() + i * static_cast<std::size_t>(layout.block_bytes));
  }
}

void restore_blocks(GgufType type, std::span<const std::uint8_t> bytes, std::span<float> values) {
  const GgufLayout& layout = gguf_layout(type);
  const std::size_t blocks = blocks_in(layout, values.size(), bytes.size());
  for (std::size_t i = 0; i < blocks; ++i) {
    layout.restore(bytes.data() + i * static_cast<std::size_t>(layout.block_bytes),
                   values.data() + i * static_cast<std::size_t>(layout.block_elements));
  }
}

}  // namespace finetune
