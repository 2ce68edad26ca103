#include "finetune/bench/kernel_speed.h"

#include "platform/base/error.h"

namespace finetune {

using kernels::ProductType;

void KernelSpeedOptions::validate() const {
  if (dtype != "fp32" && dtype != "bf16")
    throw platform::Error(platform::ErrorCode::kInvalidInput, "dtype must be fp32 or bf16, not " + dtype, "dtype");
  if (!(seconds >= 0 && seconds <= 60))
    throw platform::Error(platform::ErrorCode::kInvalidInput, "seconds must be 0 to 60, not " + std::to_string(seconds),
                          "seconds");
  check_range(threads, 0, 1024, "threads");
}

double ShapeSpeed::seconds_a_step() const {
  double seconds = 0;
  for (const kernels::OpRate& op : ops) seconds += op.seconds_a_step();
  return seconds;
}

double KernelSpeed::fraction_of_peak(const kernels::OpRate& op) const {
  if (op.bound == kernels::OpRate::Bound::kMemory) return bandwidth > 0 ? op.rate() / bandwidth : 0;
  const ProductType held = computed_in(options.dtype);
  for (const auto& [type, rates] : products) {
    if (type == held && rates) return op.rate() / (rates->best() * 1e9);
  }
  return 0;
}

KernelSpeed measure_kernels(const KernelSpeedOptions& options, SpeedObserver& observer) {
  options.validate();
  kernels::Context context = kernels::Context::cpu(options.threads);
  KernelSpeed speed{.options = options, .cpu = kernels::this_cpu(), .threads = context.threads()};
  const PeakEffort& peaks = options.peaks;
  kernels::RepeatOptions repeat{.seconds = peaks.seconds, .between = [&] { check_stop(observer); }};
  for (const ProductType type : {ProductType::kFloat32, ProductType::kBFloat16, ProductType::kInt8}) {
    observer.on_stage(std::string("measuring large products of ") + kernels::name_of(type));
    speed.products.emplace_back(type, kernels::measure_products(context, type, repeat, peaks.product_size));
  }
  observer.on_stage("measuring the rate of reading memory");
  speed.bandwidth = kernels::measure_read_bandwidth(context, repeat, peaks.read_bytes);
  repeat.seconds = options.seconds;
  for (const kernels::DecoderShape& shape : options.shapes) {
    observer.on_stage("measuring the operations of " + shape.name);
    kernels::OpRateOptions ops;
    ops.weight_type = options.dtype == "bf16" ? kernels::DataType::kBFloat16 : kernels::DataType::kFloat32;
    ops.repeat = repeat;
    speed.shapes.push_back({shape, kernels::measure_ops(context, shape, ops)});
  }
  return speed;
}

}  // namespace finetune
