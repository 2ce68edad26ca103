// The teacher's tokens are taken out of the row first: their logits wait in TeacherView::logits, and the sum of all
// others, which would drown in a difference, is the statistics of what is left. Formulas: kernels/cpu/losses.cpp.
#include "kernels/cuda/distillation_rows.h"

#include "kernels/cuda/launch.h"

namespace kernels::cuda {
namespace {

constexpr int kThreads = kLogitThreads;

// Probabilities to the power 1 / T and normalised, in logarithms; `shift` is the largest.
struct Tempered {
  double inverse_temperature, shift, log_total;
  __device__ double share(double log) const { return exp(log * inverse_temperature - log_total); }
};

// Over the row's tokens, whose logarithms are log_of(i), and one outcome more.
template <typename LogOf>
__device__ Tempered tempered(std::int64_t begin, std::int64_t end, double largest, double other, double temperature,
                             const LogOf& log_of, const SharedArray<double>& scratch) {
  const double inverse = 1.0 / temperature, shift = fmax(largest, other) * inverse;
  double total = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) total += exp(log_of(i) * inverse - shift);
  total = block_sum(total, scratch) + exp(other * inverse - shift);
  return {inverse, shift, shift + log(total)};
}

template <int N, typename T>
__global__ void __launch_bounds__(kThreads) distillation_kernel(GlobalView<T> logits, DistillationRows rows) {
  constexpr double kSmallestRest = 1e-30;  // its inverse is far from the largest float
  SharedMemory shared;
  const SharedArray<float> scratch = shared.array<float>(kWarpThreads);
  const SharedArray<double> wide_scratch = shared.array<double>(kWarpThreads);
  const TeacherView& teacher = rows.teacher;
  const std::int64_t n = blockIdx.x, start = n * rows.classes, place = rows.places.load(n);
  const std::int64_t begin = teacher.borders.load(place), end = teacher.borders.load(place + 1);
  const std::int32_t target = rows.targets.load(n);
  const float weight = rows.weights.load(n);
  const Logit of_target = rows.map(widen(logits.load(start + target)));
  __syncthreads();
  float top = -INFINITY, teacher_top = -INFINITY;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const std::int64_t at = start + teacher.tokens.load(i);
    const float logit = widen(logits.load(at));
    teacher.logits.store(i, logit);
    logits.store(at, narrow<T>(-INFINITY));
    top = fmaxf(top, rows.map(logit).value);
    teacher_top = fmaxf(teacher_top, teacher.log_probabilities.load(i));
  }
  __syncthreads();
  const MaximumAndSum others =
      softmax_statistics<N>(GlobalView<const T>(logits), start, rows.classes, rows.map, scratch);
  top = block_max(top, scratch);
  teacher_top = block_max(teacher_top, scratch);
  const float highest = fmaxf(top, others.maximum);
  const double rest =
      others.maximum == -INFINITY ? 0.0 : static_cast<double>(others.sum * expf(others.maximum - highest));

  double total = 0.0, teacher_total = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    total += exp(static_cast<double>(rows.map(teacher.logits.load(i)).value - highest));
    teacher_total += exp(static_cast<double>(teacher.log_probabilities.load(i)));
  }
  total = rest + block_sum(total, wide_scratch);
  const double teacher_rest = 1.0 - block_sum(teacher_total, wide_scratch), log_total = log(total);
  const auto my_log = [&](std::int64_t i) {
    return static_cast<double>(rows.map(teacher.logits.load(i)).value - highest) - log_total;
  };
  const auto teacher_log = [&](std::int64_t i) { return static_cast<double>(teacher.log_probabilities.load(i)); };
  const double my_other = log(fmax(kSmallestRest, rest / total));
  const double teacher_other = teacher_rest > 0.0 ? log(teacher_rest) : -INFINITY;
  const Tempered mine = tempered(begin, end, static_cast<double>(top - highest) - log_total, my_other, rows.temperature,
                                 my_log, wide_scratch);
  const Tempered theirs = tempered(begin, end, static_cast<double>(teacher_top), teacher_other, rows.temperature,
                                   teacher_log, wide_scratch);
  const auto term = [&](double their_log, double log) {
    const double share = theirs.share(their_log);
    if (!(share > 0.0)) return 0.0;
    return share * (their_log * theirs.inverse_temperature - theirs.log_total - log * mine.inverse_temperature +
                    mine.log_total);
  };
  double divergence = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) divergence += term(teacher_log(i), my_log(i));
  divergence = block_sum(divergence, wide_scratch) + term(teacher_other, my_other);

  const double ratio = begin == end ? 0.0 : rows.ratio, hard = 1.0 - ratio;
  if (threadIdx.x == 0) {
    const double cross_entropy = log_total + static_cast<double>(highest - of_target.value);
    const double loss = hard * cross_entropy + ratio * rows.temperature * rows.temperature * divergence;
    rows.losses[n] = static_cast<float>(static_cast<double>(weight) * loss);
  }
  if (!rows.wants_gradient) return;
  const double factor = static_cast<double>(rows.scale) * static_cast<double>(weight);
  const auto soft = [&](double their_log, double log) {
    return ratio * rows.temperature * (mine.share(log) - theirs.share(their_log));
  };
  const auto of_others =
      static_cast<float>(factor * (hard / total + (rest > kSmallestRest ? soft(teacher_other, my_other) / rest : 0.0)));
  const auto of_hit = static_cast<float>(factor * hard);
  for (std::int64_t c = threadIdx.x * N; c < rows.classes; c += kThreads * N) {
    float values[N];
    load_floats(logits, start + c, values);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const Logit logit = rows.map(values[k]);
      values[k] = logit.slope * (of_others * expf(logit.value - highest) - (c + k == target ? of_hit : 0.0f));
    }
    store_floats(logits, start + c, values);
  }
  __syncthreads();
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const std::int32_t token = teacher.tokens.load(i);
    const Logit logit = rows.map(teacher.logits.load(i));
    const double share = exp(static_cast<double>(logit.value - highest)) / total;
    const double slope = hard * share + soft(teacher_log(i), my_log(i)) - (token == target ? hard : 0.0);
    logits.store(start + token, narrow<T>(static_cast<float>(factor * slope) * logit.slope));
  }
}

}  // namespace

void distillation_rows(Context& context, const DistillationRows& rows, Tensor& logits) {
  with_float_type(logits.type(), [&](auto element) {
    using T = decltype(element);
    with_vector_width<T>(rows.classes, {logits.raw_data()}, [&](auto width) {
      launch(context.cuda_session(), "linear_distillation", distillation_kernel<decltype(width)::value, T>,
             {dim3(static_cast<unsigned>(rows.rows)), dim3(kThreads),
              SharedPlan().array<float>(kWarpThreads).array<double>(kWarpThreads).bytes()},
             view_of<T>(logits), rows);
    });
  });
}

}  // namespace kernels::cuda
