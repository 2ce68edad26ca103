// Element types of tensors, and the two 16-bit floating-point formats with their conversions.
// Everything here is a plain value; conversions round to nearest, ties to even, and keep NaN a NaN.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace kernels {

enum class DataType { kFloat32, kBFloat16, kFloat16, kInt32, kInt64, kUInt8, kInt8 };

/// Bytes of one element.
std::size_t size_of(DataType type);

/// "float32", "bfloat16", ...; used in messages.
const char* name_of(DataType type);

/// The upper half of a float32: 8 exponent bits, 7 fraction bits.
struct BFloat16 {
  std::uint16_t bits;
};

/// IEEE binary16: 5 exponent bits, 10 fraction bits, subnormals and infinities included.
struct Float16 {
  std::uint16_t bits;
};

inline float to_float(BFloat16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }

inline BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<std::uint16_t>(is_nan ? ((bits >> 16) | 0x40u) : rounded)};
}

float to_float(Float16 value);
Float16 to_float16(float value);

template <typename T>
struct DataTypeOf;
template <>
struct DataTypeOf<float> {
  static constexpr DataType value = DataType::kFloat32;
};
template <>
struct DataTypeOf<BFloat16> {
  static constexpr DataType value = DataType::kBFloat16;
};
template <>
struct DataTypeOf<Float16> {
  static constexpr DataType value = DataType::kFloat16;
};
template <>
struct DataTypeOf<std::int32_t> {
  static constexpr DataType value = DataType::kInt32;
};
template <>
struct DataTypeOf<std::int64_t> {
  static constexpr DataType value = DataType::kInt64;
};
template <>
struct DataTypeOf<std::uint8_t> {
  static constexpr DataType value = DataType::kUInt8;
};
template <>
struct DataTypeOf<std::int8_t> {
  static constexpr DataType value = DataType::kInt8;
};

/// The DataType of a C++ element type: data_type_of<float>() is kFloat32.
template <typename T>
constexpr DataType data_type_of() {
  return DataTypeOf<T>::value;
}

}  // namespace kernels
