// What this machine can do at most, measured: the rate of a large matrix product of the library that the operations
// use, and the rate at which memory is read. Every share that a benchmark reports is a share of these, taken in the
// same process. The context's threads compute; one measurement at a time.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/bench/repeated_time.h"
#include "kernels/core/context.h"

namespace kernels {

/// float32, and what is accumulated in 32 bits: bfloat16, and unsigned times signed 8-bit integers.
enum class ProductType { kFloat32, kBFloat16, kInt8 };
const char* name_of(ProductType type);  // "float32", "bfloat16", "int8"

/// 1e9 operations a second, a multiplication with its addition being two; the median of the repetitions.
struct ProductRates {
  double plain = 0;   // both factors as they lie in memory, row by row
  double packed = 0;  // the second one laid out by the library beforehand, as a frozen weight may be
  double best() const { return plain > packed ? plain : packed; }
};

inline constexpr std::int64_t kProductSize = 2048;

/// Rates of [size, size] x [size, size]. nullopt where the library has no such product on this machine but a plain
/// loop.
std::optional<ProductRates> measure_products(Context& context, ProductType type, const RepeatOptions& options = {},
                                             std::int64_t size = kProductSize);

/// Far larger than any cache.
inline constexpr std::int64_t kReadBytes = std::int64_t{512} << 20;

/// Bytes a second of all threads that read their part of `bytes` in order; the median of the repetitions.
double measure_read_bandwidth(Context& context, const RepeatOptions& options = {}, std::int64_t bytes = kReadBytes);

}  // namespace kernels
