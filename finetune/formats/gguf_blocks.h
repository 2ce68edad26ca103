// The element types of GGUF files: numbers, and blocks of numbers that share a scale. Quantised blocks are
// little-endian bytes; the formulas stand in the .cpp files. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace finetune {

/// Values as in the file.
enum class GgufType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ4_NL = 20,
  kIQ4_XS = 23,
  kI8 = 24,
  kI16 = 25,
  kI32 = 26,
  kI64 = 27,
  kF64 = 28,
  kBF16 = 30,
};

/// Block by block: so many elements in so many bytes, and what turns one into the other; null where there is none.
struct GgufLayout {
  GgufType type;
  const char* name;  // "Q4_K"
  std::int64_t block_elements;
  std::int64_t block_bytes;
  void (*restore)(const std::uint8_t* block, float* values);
  void (*quantise)(const float* values, std::uint8_t* block);
};

/// Every type above, ascending.
std::span<const GgufLayout> gguf_layouts();
/// nullptr for a number or a name that is not among them.
const GgufLayout* find_gguf_layout(std::uint32_t type);
const GgufLayout* find_gguf_layout(std::string_view name);
const GgufLayout& gguf_layout(GgufType type);

/// `values` fill whole blocks and `bytes` holds just those. Throws kInvalidInput where they do not fit each other,
/// where a value of a block is not finite, or where the type is not written here.
void quantise_blocks(GgufType type, std::span<const float> values, std::span<std::uint8_t> bytes);
void restore_blocks(GgufType type, std::span<const std::uint8_t> bytes, std::span<float> values);

}  // namespace finetune
