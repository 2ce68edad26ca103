// `anneal bench kernels`: the measured peaks of this machine, and how near to them each operation of a training comes
// on the sizes of the two decoders. One measurement at a time, on the calling thread.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "finetune/bench/speed_setting.h"
#include "kernels/bench/op_rates.h"

namespace finetune {

struct KernelSpeedOptions {
  std::vector<kernels::DecoderShape> shapes = kernels::decoder_shapes();
  std::string dtype = "fp32";  // in which the frozen weights are held: fp32, bf16
  double seconds = 0.2;        // for each operation
  int threads = 0;             // 0 = one per core
  PeakEffort peaks;

  /// Throws kInvalidInput naming the field.
  void validate() const;
};

struct ShapeSpeed {
  kernels::DecoderShape shape;
  std::vector<kernels::OpRate> ops;
  /// Of all operations together, as often as a step calls them.
  double seconds_a_step() const;
};

struct KernelSpeed {
  KernelSpeedOptions options;
  kernels::CpuDescription cpu;
  int threads = 1;
  /// float32, bfloat16, int8; nullopt: the library has no product of the type on this processor.
  std::vector<std::pair<kernels::ProductType, std::optional<kernels::ProductRates>>> products;
  double bandwidth = 0;  // bytes a second
  std::vector<ShapeSpeed> shapes;

  /// Share of the peak that bounds the operation: the best float32 product, or the rate of reading memory.
  double fraction_of_peak(const kernels::OpRate& op) const;
};

/// Throws kCancelled when asked to stop.
KernelSpeed measure_kernels(const KernelSpeedOptions& options, SpeedObserver& observer);

}  // namespace finetune
