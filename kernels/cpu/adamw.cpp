// Adapters are many small tensors, so all of them are cut into one list of pieces that the threads share. The pieces do
// not depend on the thread count, nor does the order in which their norms are added.
#include <cmath>
#include <vector>

#include "kernels/core/parallel.h"
#include "kernels/cpu/operations.h"
#include "kernels/cpu/simd.h"

namespace kernels::cpu {
namespace {

constexpr std::int64_t kPieceElements = 8192;

struct Piece {
  std::size_t tensor;
  std::int64_t begin, end;
};

template <typename CountOf>
std::vector<Piece> pieces_of(std::size_t tensors, const CountOf& count_of) {
  std::vector<Piece> pieces;
  for (std::size_t t = 0; t < tensors; ++t) {
    const std::int64_t count = count_of(t);
    for (std::int64_t begin = 0; begin < count; begin += kPieceElements) {
      pieces.push_back({t, begin, std::min(count, begin + kPieceElements)});
    }
  }
  return pieces;
}

struct StepFactors {
  float gradient_scale, beta1, beta2, rate1, rate2;  // rate = 1 - beta
  float step_size;                                   // lr / (1 - beta1^t)
  float root_correction;                             // 1 / sqrt(1 - beta2^t)
  float epsilon, decay;                              // lr * weight_decay
};

ANNEAL_SIMD void update(const StepFactors& f, const float* gradient, std::int64_t count, float* m, float* v,
                        float* value) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * f.gradient_scale;
    const float first = f.beta1 * m[i] + f.rate1 * g;
    const float second = f.beta2 * v[i] + f.rate2 * g * g;
    m[i] = first;
    v[i] = second;
    const float denominator = __builtin_sqrtf(second) * f.root_correction + f.epsilon;
    value[i] -= f.step_size * first / denominator + f.decay * value[i];
  }
}

ANNEAL_SIMD double squares(const float* x, std::int64_t count) {
  double total = 0.0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

}  // namespace

void adamw_step(Context& context, std::span<const AdamWTensor> tensors, const AdamWOptions& options, std::int64_t step,
                float gradient_scale) {
  const double power1 = std::pow(static_cast<double>(options.beta1), static_cast<double>(step));
  const double power2 = std::pow(static_cast<double>(options.beta2), static_cast<double>(step));
  const StepFactors shared{gradient_scale,
                           options.beta1,
                           options.beta2,
                           1.0f - options.beta1,
                           1.0f - options.beta2,
                           static_cast<float>(1.0 / (1.0 - power1)),
                           static_cast<float>(1.0 / std::sqrt(1.0 - power2)),
                           options.epsilon,
                           0.0f};
  const auto pieces = pieces_of(tensors.size(), [&](std::size_t t) { return tensors[t].value->count(); });
  parallel_for(context, static_cast<std::int64_t>(pieces.size()), 2, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const Piece& piece = pieces[static_cast<std::size_t>(i)];
      const AdamWTensor& tensor = tensors[piece.tensor];
      const float rate = options.learning_rate * tensor.learning_rate_scale;
      StepFactors factors = shared;
      factors.step_size *= rate;
      factors.decay = tensor.decay ? rate * options.weight_decay : 0.0f;
      update(factors, tensor.gradient->data<float>() + piece.begin, piece.end - piece.begin,
             tensor.first_moment->data<float>() + piece.begin, tensor.second_moment->data<float>() + piece.begin,
             tensor.value->data<float>() + piece.begin);
    }
  });
}

double global_norm(Context& context, std::span<const Tensor* const> tensors) {
  const auto pieces = pieces_of(tensors.size(), [&](std::size_t t) { return tensors[t]->count(); });
  std::vector<double> sums(pieces.size());
  parallel_for(context, static_cast<std::int64_t>(pieces.size()), 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const Piece& piece = pieces[static_cast<std::size_t>(i)];
      sums[static_cast<std::size_t>(i)] =
          squares(tensors[piece.tensor]->data<float>() + piece.begin, piece.end - piece.begin);
    }
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

}  // namespace kernels::cpu
