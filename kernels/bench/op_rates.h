// The rate of each operation of a LoRA training step on the sizes of one decoder, each held against the peak that
// bounds it: products against the rate of large products, passes over memory against the rate at which memory is read.
// Says where a step's time goes and what is left to win. One measurement at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/bench/decoder_shape.h"
#include "kernels/bench/repeated_time.h"
#include "kernels/core/context.h"
#include "kernels/core/data_type.h"

namespace kernels {

struct OpRateOptions {
  std::int64_t sequence = 512;
  std::int64_t batch = 4;
  std::int64_t rank = 16;
  DataType weight_type = DataType::kFloat32;  // in which the frozen weights are held: float32, bfloat16
  RepeatOptions repeat;
  std::function<void(const std::string& op)> begins;  // before each operation; may be empty
};

struct OpRate {
  enum class Bound { kProducts, kMemory };
  std::string op;
  Bound bound = Bound::kProducts;
  std::int64_t calls_a_step = 1;
  RepeatedTime time;  // of one call
  double work = 0;    // of one call: useful floating-point operations, or bytes that must be read and written

  /// Operations or bytes a second.
  double rate() const { return work / time.median; }
  double seconds_a_step() const { return static_cast<double>(calls_a_step) * time.median; }
};

/// Every operation that takes a part of a step worth naming, in the order of a step. Elementwise bookkeeping (copies,
/// clearing of gradients) is left out.
std::vector<OpRate> measure_ops(Context& context, const DecoderShape& shape, const OpRateOptions& options);

}  // namespace kernels
