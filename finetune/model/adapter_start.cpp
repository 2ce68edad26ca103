#include "finetune/model/adapter_start.h"

#include <algorithm>
#include <cmath>

#include "finetune/model/singular_values.h"
#include "platform/base/error.h"

namespace finetune {

using kernels::Tensor;

namespace {

constexpr std::int64_t kLargestExact = 512;

Tensor uniform_a(std::int64_t rank, std::int64_t inputs, kernels::Random& random) {
  Tensor a({rank, inputs});
  const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
  for (float& value : a.values<float>()) value = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
  return a;
}

Tensor normal_a(std::int64_t rank, std::int64_t inputs, kernels::Random& random) {
  Tensor a({rank, inputs});
  for (float& value : a.values<float>()) value = static_cast<float>(random.normal() / static_cast<double>(rank));
  return a;
}

void start_from_weight(kernels::Context& context, std::int64_t rank, int iterations, const Tensor& weight,
                       LinearAdapter& adapter, kernels::Random& random) {
  const std::int64_t outputs = weight.size(0), inputs = weight.size(1);
  if (rank > std::min(outputs, inputs))
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "a pissa start has at most the rank of the weight, " +
                              std::to_string(std::min(outputs, inputs)) + ", not " + std::to_string(rank),
                          "r");
  if (iterations == 0 && std::min(outputs, inputs) > kLargestExact)
    throw platform::Error(platform::ErrorCode::kInvalidInput,
                          "an exact pissa start would take minutes for each weight of " + std::to_string(outputs) +
                              " x " + std::to_string(inputs) + "; use pissa_niter_16",
                          "init_lora_weights");
  const SingularValues parts = iterations == 0 ? singular_values(Matrix::from(weight))
                                               : leading_singular_values(context, weight, rank, iterations, random);
  for (std::int64_t k = 0; k < rank; ++k) {
    const double root = std::sqrt(parts.values[static_cast<std::size_t>(k)] / static_cast<double>(adapter.scaling));
    for (std::int64_t i = 0; i < inputs; ++i)
      adapter.a.value.data<float>()[k * inputs + i] = static_cast<float>(root * parts.right.at(k, i));
    for (std::int64_t j = 0; j < outputs; ++j)
      adapter.b.value.data<float>()[j * rank + k] = static_cast<float>(root * parts.left.at(j, k));
  }
  adapter.start_a = adapter.a.value.clone();
  adapter.start_b = adapter.b.value.clone();
}

}  // namespace

void start_low_rank(kernels::Context& context, const PeftConfig& config, std::int64_t rank, std::int64_t inputs,
                    std::int64_t outputs, const std::function<Tensor()>& weight, LinearAdapter& adapter,
                    kernels::Random& random) {
  adapter.b.value = Tensor::zeros({outputs, rank});
  const int iterations = config.pissa_iterations();
  if (iterations < 0) {
    adapter.a.value =
        config.init_lora_weights == "gaussian" ? normal_a(rank, inputs, random) : uniform_a(rank, inputs, random);
    return;
  }
  adapter.a.value = Tensor({rank, inputs});
  start_from_weight(context, rank, iterations, weight(), adapter, random);
}

Tensor row_norms(const Tensor& matrix) {
  const Tensor wide = matrix.cast_to(kernels::DataType::kFloat32);
  const std::int64_t rows = wide.size(0), columns = wide.size(1);
  Tensor norms({rows});
  for (std::int64_t j = 0; j < rows; ++j) {
    double square = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      const double value = static_cast<double>(wide.data<float>()[j * columns + i]);
      square += value * value;
    }
    norms.data<float>()[j] = static_cast<float>(std::sqrt(square));
  }
  return norms;
}

}  // namespace finetune
