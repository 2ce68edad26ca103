// What the measurements of speed have in common: the shapes and types that they are asked for by name, who is told of
// their progress, and what a product is held against. Plain values and pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "finetune/model/weights.h"
#include "kernels/bench/cpu_description.h"
#include "kernels/bench/decoder_shape.h"
#include "kernels/bench/peaks.h"

namespace finetune {

/// Told what is measured; asked whether to go on. On the measuring thread.
class SpeedObserver {
 public:
  virtual ~SpeedObserver() = default;
  virtual void on_stage(const std::string& /*stage*/) {}
  /// After a step of a training or a round of decoding, of `total` (0 = not known).
  virtual void on_progress(std::int64_t /*done*/, std::int64_t /*total*/, double /*tokens_per_second*/) {}
  /// True: leave with kCancelled.
  virtual bool should_stop() { return false; }
};

/// What the peaks are measured with. Less is for tests, where nobody reads them.
struct PeakEffort {
  double seconds = 0.5;  // for each form of each product, and for the memory
  std::int64_t product_size = kernels::kProductSize;
  std::int64_t read_bytes = kernels::kReadBytes;
};

/// Throws kCancelled if the observer asks to stop.
void check_stop(SpeedObserver& observer);

/// Throws kInvalidInput listing the names.
const kernels::DecoderShape& shape_named(std::string_view name);

/// How the frozen base is held: fp32, bf16, int8 or nf4.
const std::vector<std::string>& speed_dtypes();
/// Throws kInvalidInput listing the names.
WeightPrecision precision_of(std::string_view dtype);
/// The type in which the products of a base held so are computed: whatever a weight is held in is widened to it.
kernels::ProductType computed_in(std::string_view dtype);
/// The type of the large product that a rate is held against: bfloat16 for bf16 where the processor has instructions
/// for it, whether they are used or not, else float32.
kernels::ProductType held_against(std::string_view dtype, const kernels::CpuDescription& cpu);

/// Throws kInvalidInput naming the field unless low <= value <= high.
void check_range(std::int64_t value, std::int64_t low, std::int64_t high, const char* field);

}  // namespace finetune
