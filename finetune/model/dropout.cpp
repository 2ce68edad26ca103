#include "finetune/model/dropout.h"

#include "kernels/core/parallel.h"
#include "kernels/core/random.h"

namespace finetune {
namespace {

constexpr std::int64_t kGrain = 8192;

float factor(const Dropout& dropout, std::int64_t index) {
  const auto threshold = static_cast<std::uint64_t>(static_cast<double>(dropout.probability) * 0x1p32);
  const bool keep = (kernels::random_bits(dropout.seed, static_cast<std::uint64_t>(index)) >> 32) >= threshold;
  return keep ? 1.0f / (1.0f - dropout.probability) : 0.0f;
}

}  // namespace

void drop(kernels::Context& context, const kernels::Tensor& x, const Dropout& dropout, kernels::Tensor& y) {
  const float* from = x.data<float>();
  float* to = y.data<float>();
  kernels::parallel_for(context, x.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = factor(dropout, i) * from[i];
  });
}

void drop_backward(kernels::Context& context, const kernels::Tensor& dy, const Dropout& dropout, kernels::Tensor& dx) {
  const float* from = dy.data<float>();
  float* to = dx.data<float>();
  kernels::parallel_for(context, dy.count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] += factor(dropout, i) * from[i];
  });
}

}  // namespace finetune
