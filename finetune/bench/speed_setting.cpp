#include "finetune/bench/speed_setting.h"

#include <algorithm>

#include "platform/base/did_you_mean.h"
#include "platform/base/error.h"

namespace finetune {
namespace {

using platform::Error;
using platform::ErrorCode;

[[noreturn]] void refuse_name(const char* what, std::string_view name, const std::vector<std::string>& known) {
  std::string all;
  for (const std::string& each : known) all += (all.empty() ? "" : ", ") + each;
  throw Error(ErrorCode::kInvalidInput,
              "there is no " + std::string(what) + " \"" + std::string(name) + "\"" +
                  platform::did_you_mean(name, known) + "; there are: " + all,
              what);
}

}  // namespace

void check_stop(SpeedObserver& observer) {
  if (observer.should_stop()) throw Error(ErrorCode::kCancelled, "the measurement was stopped; nothing was recorded");
}

const kernels::DecoderShape& shape_named(std::string_view name) {
  std::vector<std::string> known;
  for (const kernels::DecoderShape& shape : kernels::decoder_shapes()) {
    if (shape.name == name) return shape;
    known.push_back(shape.name);
  }
  refuse_name("shape", name, known);
}

const std::vector<std::string>& speed_dtypes() {
  static const std::vector<std::string> names{"fp32", "bf16", "int8", "nf4"};
  return names;
}

WeightPrecision precision_of(std::string_view dtype) {
  if (dtype == "fp32") return WeightPrecision::kFloat32;
  if (dtype == "bf16") return WeightPrecision::kBFloat16;
  if (dtype == "int8") return WeightPrecision::kInt8;
  if (dtype == "nf4") return WeightPrecision::kNf4;
  refuse_name("dtype", dtype, speed_dtypes());
}

// The kernels have products of float32 alone.
kernels::ProductType computed_in(std::string_view) { return kernels::ProductType::kFloat32; }

kernels::ProductType held_against(std::string_view dtype, const kernels::CpuDescription& cpu) {
  return dtype == "bf16" && cpu.multiplies_bfloat16 ? kernels::ProductType::kBFloat16 : kernels::ProductType::kFloat32;
}

void check_range(std::int64_t value, std::int64_t low, std::int64_t high, const char* field) {
  if (value >= low && value <= high) return;
  throw Error(ErrorCode::kInvalidInput,
              std::string(field) + " must be " + std::to_string(low) + " to " + std::to_string(high) + ", not " +
                  std::to_string(value),
              field);
}

}  // namespace finetune
