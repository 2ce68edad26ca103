// One warp a row where rows are short (heads), else one block a row. The second pass over a row finds it in the cache.
#include "kernels/core/context.h"
#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/numeric.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/reduce.h"

namespace kernels::cuda {
namespace {

constexpr int kLongestWarpRow = 512;
constexpr int kBlockThreads = 256;
constexpr int kRowsPerBlock = 4;  // of one warp each

// Threads along x share a row; y counts the rows of a block.
LaunchShape shape_of(std::int64_t rows, std::int64_t channels) {
  if (channels <= kLongestWarpRow)
    return {dim3(static_cast<unsigned>(divided_up(rows, kRowsPerBlock))), dim3(kWarpThreads, kRowsPerBlock)};
  return {dim3(static_cast<unsigned>(rows)), dim3(kBlockThreads), SharedPlan().array<float>(kWarpThreads).bytes()};
}

// Sum over the threads of a row.
__device__ float row_sum(float value) {
  if (blockDim.x == kWarpThreads) return warp_sum(value);
  SharedMemory shared;
  return block_sum(value, shared.array<float>(kWarpThreads));
}

__device__ std::int64_t own_row() { return static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; }

template <int N, typename T, typename W>
struct Row {
  GlobalView<const W> weight;
  std::int64_t start;  // of the row, in elements
  std::int64_t channels;
  float shift;  // 1 for (1 + weight), else 0

  // body(i, weights of channels c .. c + N - 1), i the index of channel c; threads of the row share the channels.
  template <typename Body>
  __device__ void each(const Body& body) const {
    for (std::int64_t c = threadIdx.x * N; c < channels; c += static_cast<std::int64_t>(blockDim.x) * N) {
      float weights[N];
      load_floats(weight, c, weights);
#pragma unroll
      for (int k = 0; k < N; ++k) weights[k] += shift;
      body(start + c, weights);
    }
  }
};

// y = norm(x); with a delta, x += delta first.
template <int N, typename T, typename W>
__global__ void __launch_bounds__(kBlockThreads)
    rms_norm_forward_kernel(GlobalView<const T> delta, GlobalView<const T> x, GlobalView<T> sum,
                            GlobalView<const W> weight, GlobalView<T> y, GlobalView<float> rstd, std::int64_t rows,
                            std::int64_t channels, float epsilon, float shift) {
  const std::int64_t n = own_row();
  if (n >= rows) return;
  const std::int64_t start = n * channels;
  float squares = 0.0f;
  for (std::int64_t c = threadIdx.x * N; c < channels; c += static_cast<std::int64_t>(blockDim.x) * N) {
    float values[N];
    load_floats(x, start + c, values);
    if (delta.has_value()) {
      float changes[N];
      load_floats(delta, start + c, changes);
#pragma unroll
      for (int k = 0; k < N; ++k) values[k] = widen(narrow<T>(values[k] + changes[k]));
      store_floats(sum, start + c, values);
    }
#pragma unroll
    for (int k = 0; k < N; ++k) squares += values[k] * values[k];
  }
  const float scale = 1.0f / sqrtf(row_sum(squares) / static_cast<float>(channels) + epsilon);
  if (threadIdx.x == 0) rstd[n] = scale;
  const GlobalView<const T> source = delta.has_value() ? GlobalView<const T>(sum) : x;
  Row<N, T, W>{weight, start, channels, shift}.each([&](std::int64_t i, const float(&weights)[N]) {
    float values[N];
    load_floats(source, i, values);
#pragma unroll
    for (int k = 0; k < N; ++k) values[k] = values[k] * scale * weights[k];
    store_floats(y, i, values);
  });
}

template <int N, typename T, typename W>
__global__ void __launch_bounds__(kBlockThreads)
    rms_norm_input_gradient_kernel(GlobalView<const T> dy, GlobalView<const T> x, GlobalView<const W> weight,
                                   GlobalView<const float> rstd, GlobalView<T> dx, std::int64_t rows,
                                   std::int64_t channels, float shift, bool accumulate) {
  const std::int64_t n = own_row();
  if (n >= rows) return;
  const Row<N, T, W> row{weight, n * channels, channels, shift};
  float dot = 0.0f;
  row.each([&](std::int64_t i, const float(&weights)[N]) {
    float gradients[N], values[N];
    load_floats(dy, i, gradients);
    load_floats(x, i, values);
#pragma unroll
    for (int k = 0; k < N; ++k) dot += gradients[k] * values[k] * weights[k];
  });
  const float scale = rstd.load(n);
  const float along = scale * scale * scale * row_sum(dot) / static_cast<float>(channels);
  row.each([&](std::int64_t i, const float(&weights)[N]) {
    float gradients[N], values[N], results[N] = {};
    load_floats(dy, i, gradients);
    load_floats(x, i, values);
    if (accumulate) load_floats(GlobalView<const T>(dx), i, results);
#pragma unroll
    for (int k = 0; k < N; ++k) results[k] += scale * weights[k] * gradients[k] - values[k] * along;
    store_floats(dx, i, results);
  });
}

// A row's share of dweight[c].
template <typename T>
struct WeightGradient {
  GlobalView<const T> dy, x;
  GlobalView<const float> rstd;
  std::int64_t channels;
  __device__ float operator()(std::int64_t n, std::int64_t c) const {
    return widen(dy.load(n * channels + c)) * widen(x.load(n * channels + c)) * rstd.load(n);
  }
};

// Calls body(T, W, width) for the types of the activations and of the weight.
template <typename Body>
void with_types(const Tensor& x, const Tensor& weight, std::initializer_list<const void*> starts, const Body& body) {
  with_float_type(x.type(), [&](auto element) {
    with_float_type(weight.type(), [&](auto weight_element) {
      with_vector_width<decltype(element)>(weight.count(), starts,
                                           [&](auto width) { body(element, weight_element, width); });
    });
  });
}

float shift_of(const RmsNormOptions& options) { return options.weight_plus_one ? 1.0f : 0.0f; }

// y = norm(x), after x += delta where there is one; sum is x then.
void forward(Context& context, const Tensor* delta, const Tensor& x, Tensor* sum, const Tensor& weight,
             const RmsNormOptions& options, Tensor& y, Tensor& rstd) {
  const std::int64_t channels = weight.count(), rows = rstd.count();
  const void* added = delta == nullptr ? nullptr : delta->raw_data();
  const auto run = [&](auto element, auto weight_element, auto width) {
    using T = decltype(element);
    using W = decltype(weight_element);
    launch(context.cuda_session(), delta == nullptr ? "rms_norm_forward" : "add_rms_norm_forward",
           rms_norm_forward_kernel<decltype(width)::value, T, W>, shape_of(rows, channels), view_of<T>(delta),
           view_of<T>(x), view_of<T>(sum), view_of<W>(weight), view_of<T>(y), view_of<float>(rstd), rows, channels,
           options.epsilon, shift_of(options));
  };
  with_types(x, weight, {added, x.raw_data(), weight.raw_data(), y.raw_data()}, run);
}

}  // namespace

void rms_norm_forward(Context& context, const Tensor& x, const Tensor& weight, const RmsNormOptions& options, Tensor& y,
                      Tensor& rstd) {
  forward(context, nullptr, x, nullptr, weight, options, y, rstd);
}

void add_rms_norm_forward(Context& context, const Tensor& delta, const Tensor& weight, const RmsNormOptions& options,
                          Tensor& residual, Tensor& y, Tensor& rstd) {
  forward(context, &delta, residual, &residual, weight, options, y, rstd);
}

void rms_norm_backward(Context& context, const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const RmsNormOptions& options, Tensor& dx, Tensor* dweight, bool accumulate_dx) {
  const std::int64_t channels = weight.count(), rows = rstd.count();
  if (dweight != nullptr) {  // first, because dx may overwrite dy
    with_float_type(x.type(), [&](auto element) {
      using T = decltype(element);
      add_column_sums(context, "rms_norm_backward (weight)", rows, channels,
                      WeightGradient<T>{view_of<T>(dy), view_of<T>(x), view_of<float>(rstd), channels},
                      view_of<float>(*dweight));
    });
  }
  const auto run = [&](auto element, auto weight_element, auto width) {
    using T = decltype(element);
    using W = decltype(weight_element);
    launch(context.cuda_session(), "rms_norm_backward", rms_norm_input_gradient_kernel<decltype(width)::value, T, W>,
           shape_of(rows, channels), view_of<T>(dy), view_of<T>(x), view_of<W>(weight), view_of<float>(rstd),
           view_of<T>(dx), rows, channels, shift_of(options), accumulate_dx);
  };
  with_types(x, weight, {dy.raw_data(), x.raw_data(), weight.raw_data(), dx.raw_data()}, run);
}

}  // namespace kernels::cuda
